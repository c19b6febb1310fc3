"""The Unix socket of the control API: clients in bounds, one of which never delays another.

What can go wrong with a client costs that client. Requests of one client are answered in turn;
the events of its streams wait in a bounded queue, the oldest of which is dropped and counted when
the client does not read. Nothing here is on the way of a SIP message.
"""

from __future__ import annotations

import errno
import logging
import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import trio

from sipx.control import rpc
from sipx.control.api import UNSUBSCRIBE, Subscription
from sipx.control.errors import ControlError
from sipx.control.methods import Caller, Done
from sipx.control.outbox import Outbox
from sipx.control.place import Busy, peer_process, take, user_name
from sipx.errors import StartError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from pydantic import BaseModel

    from sipx.control.api import Api
    from sipx.control.place import Taken

log = logging.getLogger("sipx.control")

CLIENTS: Final = 64
"""Clients at the same time."""
SUBSCRIPTIONS: Final = 16
"""Streams of one client at the same time."""
LINE_TIMEOUT: Final = 30.0
"""Seconds that one request may take from its first byte to its last."""
IDLE_TIMEOUT: Final = 600.0
"""Seconds after which a client is let go that asks nothing and has no stream."""
READ_SIZE: Final = 65536
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


async def serve(
    api: Api,
    path: Path,
    group: str = "",
    *,
    trouble: Callable[[str], None] | None = None,
    task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen on ``path`` until cancelled; ``started()`` when clients can come.

    ``trouble`` is told in words what is wrong with the group. Raises StartError.
    """
    taken = await _taken(path, group)
    if taken.trouble:
        (trouble or log.warning)(taken.trouble)
    try:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(taken.socket))
        server = _Server(api)
        await server.user(os.geteuid())
        async with trio.open_nursery() as clients:
            log.info("control socket: %s", path)
            task_status.started(path)
            while True:
                stream = await _accept(listener)
                clients.start_soon(server.handle, stream)
    finally:
        taken.give_up()


async def _taken(path: Path, group: str) -> Taken:
    for _ in range(40):
        try:
            return take(path, group)
        except Busy:
            await trio.sleep(0.05)
    raise StartError(f"another process holds the directory of the control socket {path}")


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in _NO_DESCRIPTORS:
                raise
            log.warning("control socket: %s; trying again", error.strerror)
            await trio.sleep(0.1)


class _Server:
    """What the clients of one socket share."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._clients = 0
        self._users: dict[int, str] = {}

    async def handle(self, stream: trio.SocketStream) -> None:
        """One client, from its first byte to its last. Nothing of it goes any further."""
        self._clients += 1
        try:
            async with stream:
                if self._clients > CLIENTS:
                    text = f"there are {CLIENTS} clients already; try again later"
                    await _refuse(stream, ControlError("busy", text))
                    return
                await _Client(self._api, stream, await self._caller(stream)).run()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # it went away
        except* Exception as failure:
            log.error("internal error with a client of the control socket", exc_info=failure)
        finally:
            self._clients -= 1

    async def _caller(self, stream: trio.SocketStream) -> Caller:
        process = peer_process(stream.socket)  # type: ignore[arg-type]  # it has getsockopt, too
        return Caller(await self.user(process.uid), process.uid, process.pid)

    async def user(self, uid: int) -> str:
        """The name of a user, which may be asked over the network, once."""
        if uid not in self._users:
            self._users[uid] = await trio.to_thread.run_sync(user_name, uid)
        return self._users[uid]


def _unwritable(what: str, error: ValueError) -> ControlError:
    log.error("control: the result of %s cannot be written as JSON", what, exc_info=error)
    return ControlError("internal", "the result cannot be written; the log has the traceback")


async def _refuse(stream: trio.SocketStream, error: ControlError) -> None:
    with trio.move_on_after(1):
        await stream.send_all(rpc.failure(None, error) + b"\n")


class _Client:
    """One connection: reads requests, answers them in turn, sends the events of its streams."""

    def __init__(self, api: Api, stream: trio.SocketStream, caller: Caller) -> None:
        self._api = api
        self._stream = stream
        self._caller = caller
        self._outbox = Outbox(stream)
        self._streams: dict[int, trio.CancelScope] = {}
        self._wanted: list[tuple[int, AsyncGenerator[BaseModel, None]]] = []
        self._last = 0
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Until it goes, or does what it must not."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._outbox.run)
            await self._read()
            nursery.cancel_scope.cancel()

    # ------------------------------------------------------------ requests

    async def _read(self) -> None:
        waiting = bytearray()
        begun = 0.0
        while True:
            end = waiting.find(b"\n")
            if end >= 0:
                line = bytes(waiting[:end])
                del waiting[: end + 1]
                begun = trio.current_time()
                if line.strip():
                    await self._answer(line)
                continue
            if len(waiting) >= rpc.LONGEST_LINE:
                await self._complain(f"a request has at most {rpc.LONGEST_LINE} bytes")
                return
            data = await self._some(begun + LINE_TIMEOUT if waiting else None)
            if not data:
                return
            if not waiting:
                begun = trio.current_time()
            waiting += data

    async def _some(self, deadline: float | None) -> bytes:
        """What comes next; nothing at its end, or when it takes too long."""
        while True:
            until = deadline or trio.current_time() + IDLE_TIMEOUT
            with trio.move_on_at(until):
                return bytes(await self._stream.receive_some(READ_SIZE))
            if deadline is not None:
                await self._complain(f"a request has to be whole within {LINE_TIMEOUT:g} seconds")
                return b""
            if not self._streams:
                return b""

    async def _complain(self, text: str) -> None:
        await self._outbox.answer(rpc.failure(None, ControlError("request", text)))

    async def _answer(self, line: bytes) -> None:
        requests, batch = rpc.read(line)
        answers = [told for request in requests if (told := await self._one(request)) is not None]
        if batch and answers:
            await self._outbox.answer(b"[" + b",".join(answers) + b"]")
        elif answers:
            await self._outbox.answer(answers[0])
        self._begin_streams()

    async def _one(self, request: rpc.Call | rpc.Wrong) -> bytes | None:
        """The answer to one request; None for a notification."""
        await trio.lowlevel.checkpoint()  # between two of a batch, or two notifications, comes SIP
        if isinstance(request, rpc.Wrong):
            return rpc.failure(request.id, request.error)
        try:
            told = await self._do(request)
        except ControlError as error:
            told = rpc.failure(request.id, error)
        except ValueError as error:  # a result that JSON cannot hold
            told = rpc.failure(request.id, _unwritable(request.method, error))
        return None if request.notification else told

    async def _do(self, request: rpc.Call) -> bytes:
        """Raises ControlError."""
        method = self._api.named(request.method)
        if method.name == UNSUBSCRIBE:
            (params,) = method.arguments(request.params, self._caller)
            assert isinstance(params, Subscription)
            return rpc.result(request.id, self._unsubscribe(params.subscription))
        if not method.stream:
            answer = await self._api.call(request.method, request.params, self._caller)
            return rpc.result(request.id, answer)
        if request.notification:
            raise ControlError("request", "a stream without an id could not be told from others")
        if len(self._streams) >= SUBSCRIPTIONS:
            raise ControlError("busy", f"a client has at most {SUBSCRIPTIONS} streams")
        events = self._api.events(request.method, request.params, self._caller)
        self._last += 1
        self._streams[self._last] = trio.CancelScope()
        self._wanted.append((self._last, events))
        return rpc.subscribed(request.id, self._last)

    # ------------------------------------------------------------ streams

    def _begin_streams(self) -> None:
        """Their first event comes after the answer that says which they are."""
        assert self._nursery is not None
        for subscription, events in self._wanted:
            self._nursery.start_soon(self._run_stream, subscription, events)
        self._wanted.clear()

    async def _run_stream(self, subscription: int, events: AsyncGenerator[BaseModel, None]) -> None:
        error: ControlError | None = None
        with self._streams[subscription] as scope:
            try:
                async with aclosing(events):
                    async for event in events:
                        self._outbox.event(subscription, event.model_dump_json().encode())
                        await trio.lowlevel.checkpoint()  # also of a stream that never waits
            except ControlError as failure:
                error = failure
            except ValueError as failure:
                error = _unwritable("a stream", failure)
        del self._streams[subscription]
        if scope.cancelled_caught:
            self._outbox.forget(subscription)
        else:
            self._outbox.end(subscription, error)

    def _unsubscribe(self, subscription: int) -> Done:
        scope = self._streams.get(subscription)
        if scope is None:
            raise ControlError("not found", f"there is no subscription {subscription} here")
        scope.cancel()
        self._outbox.forget(subscription)
        return Done(text=f"subscription {subscription} has ended")
