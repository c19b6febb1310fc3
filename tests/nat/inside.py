"""Sockets in network namespaces, for the user agents of a test: they need no process of their own.

    async with namespaces():
        with at(lab.outside):
            partner = start_sipx(...)      # started there, and so is whatever it looks at
        bob = UserAgent("sip:bob@away.example", At(lab.outside, TcpCarrier(OUTSIDE)))

A network namespace belongs to a thread, and a socket to that in which it was made. trio changes
between tasks in one thread: so each task has its namespace in its context, its children inherit
it, and the thread goes there for each of their steps.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sipx.testing.carriers import Carrier, Deliver, Place, Trouble, Wire

    from .lab import Space

_CLONE_NEWNET: Final = 0x40000000
_namespace: ContextVar[str] = ContextVar("namespace", default="")


@cache
def _home() -> int:
    """Where this thread is before it goes anywhere; never closed."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(file: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(file, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


def _go(name: str) -> None:
    """To a namespace; "" is home. Raises OSError."""
    home = _home()
    if not name:
        _enter(home)
        return
    there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(there)
    finally:
        os.close(there)


class _Steps(trio.abc.Instrument):
    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        name = task.context.get(_namespace, "")
        if name:
            _go(name)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        # Whatever it was before: the task may have come to a namespace within this step.
        _go("")


@asynccontextmanager
async def namespaces() -> AsyncIterator[None]:
    """Within this, what is in ``at`` may wait."""
    steps = _Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(steps)


@contextmanager
def at(space: Space) -> Iterator[None]:
    """What is made inside is made in a namespace; tasks that begin inside stay in it.

    Nothing inside may ask for a thread: trio keeps threads, and they would stay in it as well.
    Raises OSError.
    """
    before = _namespace.get()
    _go(space.name)
    token = _namespace.set(space.name)
    try:
        yield
    finally:
        _namespace.reset(token)
        _go(before)


class At:
    """A carrier of a testing user agent whose sockets are all in a namespace."""

    def __init__(self, space: Space, carrier: Carrier) -> None:
        self.space = space
        self.carrier = carrier
        self.via = carrier.via
        self.reliable = carrier.reliable

    @property
    def place(self) -> Place:
        """Where it listens."""
        return self.carrier.place

    @place.setter
    def place(self, place: Place) -> None:
        self.carrier.place = place

    async def serve(
        self,
        deliver: Deliver,
        trouble: Trouble,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled. Raises OSError."""
        with at(self.space):
            await self.carrier.serve(deliver, trouble, task_status=task_status)

    async def wire_to(self, place: Place) -> Wire:
        """A wire to a place. Raises OSError."""
        with at(self.space):
            return await self.carrier.wire_to(place)
