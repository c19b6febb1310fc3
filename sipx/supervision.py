"""Barriers: a service that fails is told of, shown as failed, and started again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from sipx.errors import SipxError
from sipx.logs import said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.hooks import Contribution
    from sipx.plugin import Service

log = logging.getLogger("sipx.kernel")

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
"""Seconds before a failed service is started again: 1, 2, 4 ... 60."""
PATIENCE: Final = 20.0
"""Seconds that a service may take to be ready before others are not kept waiting any more."""
END_PATIENCE: Final = 10.0
"""Seconds that the services of a plugin may take to end."""


@dataclass(slots=True)
class ServiceState:
    """What ``sipx status`` shows of a service."""

    plugin: str
    name: str
    status: str = "starting"
    error: str = ""
    restarts: int = 0


class Services:
    """The services of plugins, each in a task of its own; ``states`` is for the status.

    ``on_failure`` is told whenever one fails.
    """

    def __init__(self, on_failure: Callable[[ServiceState, Exception], None]) -> None:
        self._on_failure = on_failure
        self._nursery: trio.Nursery | None = None
        self._running: dict[str, list[_Running]] = {}

    @property
    def states(self) -> list[ServiceState]:
        """One for each service, in the order in which they were started."""
        return [one.state for running in self._running.values() for one in running]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be where services can be started, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    @property
    def running(self) -> bool:
        """Whether services can be started: not before ``run``."""
        return self._nursery is not None

    async def start(self, services: Iterable[Contribution[Service]]) -> list[ServiceState]:
        """Start services, and wait until each is ready or has failed once.

        One that is neither within PATIENCE stays "starting", and nobody waits for it.
        """
        assert self._nursery is not None
        started: list[ServiceState] = []
        for plugin, service in services:
            one = _Running(ServiceState(plugin, getattr(service, "__name__", "service")))
            self._running.setdefault(plugin, []).append(one)
            started.append(one.state)
            self._nursery.start_soon(self._run, service, one)
            with trio.move_on_after(PATIENCE):
                await one.tried.wait()
            if not one.tried.is_set():
                log.warning(
                    "service %s of plugin %s is not ready after %g s; nobody waits for it any more",
                    one.state.name,
                    plugin,
                    PATIENCE,
                )
        return started

    async def end(self, plugin: str) -> None:
        """End the services of a plugin, and wait until they have ended."""
        ending = self._running.pop(plugin, [])
        for one in ending:
            one.scope.cancel()
        # Who is cancelled while it waits here must not start them again beside themselves.
        with trio.move_on_after(END_PATIENCE, shield=True):
            for one in ending:
                await one.ended.wait()
        for one in ending:
            if not one.ended.is_set():
                log.error(
                    "service %s of plugin %s was told to end %g s ago and still runs",
                    one.state.name,
                    plugin,
                    END_PATIENCE,
                )

    async def _run(self, service: Service, one: _Running) -> None:
        try:
            with one.scope:
                await supervise(service, one.state, self._on_failure, tried=one.tried)
        finally:
            one.tried.set()
            one.ended.set()


class _Running:
    """One service: what is known of it, and how it is ended."""

    def __init__(self, state: ServiceState) -> None:
        self.state = state
        self.scope = trio.CancelScope()
        self.tried = trio.Event()
        self.ended = trio.Event()


async def supervise(
    service: Service,
    state: ServiceState,
    on_failure: Callable[[ServiceState, Exception], None],
    *,
    tried: trio.Event,
) -> None:
    """Run a service in a nursery of its own; ``tried`` is set at its first success or failure."""
    wait = FIRST_WAIT
    while True:
        began = trio.current_time()
        try:
            async with trio.open_nursery() as own:
                await own.start(service)
                state.status = "running"
                tried.set()
            state.status = "ended"
            return
        except Exception as error:
            # §3 of the architecture: nothing a plugin does may take the proxy with it. Cancelled
            # is no Exception and passes.
            state.status = "failed"
            state.error = describe(error)
            expected = isinstance(_innermost(error), SipxError)
            log.error(
                "service %s of plugin %s failed%s; next try in %g s",
                state.name,
                state.plugin,
                f": {state.error}" if expected else "",
                wait,
                exc_info=None if expected else error,  # a sentence, or else a traceback
            )
            on_failure(state, error)
        tried.set()
        if trio.current_time() - began > LONGEST_WAIT:
            wait = FIRST_WAIT
        await trio.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
        state.restarts += 1


def describe(error: BaseException) -> str:
    """The innermost reason of an exception (group), in one line, without bodies and secrets."""
    return said_by(_innermost(error))


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
