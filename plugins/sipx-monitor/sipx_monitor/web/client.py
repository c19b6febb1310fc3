"""One browser at the websocket: its requests, its subscriptions, and what is written to it.

The format is docs/monitor.md. What goes wrong with a client costs that client.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING, Any, Final

import trio
from trio_websocket import ConnectionClosed

from sipx import ControlError
from sipx_monitor.slices import Slices
from sipx_monitor.web.encoding import encoded
from sipx_monitor.web.messages import OUR_FAULT, Refused, control_object, error_object
from sipx_monitor.web.outbox import Outbox
from sipx_monitor.web.topics import MESSAGES, TOPICS, StateTopic

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable

    from trio_websocket import WebSocketConnection

    from sipx import ControlApi
    from sipx_monitor.web.access import Who
    from sipx_monitor.web.feeds import Feed, Feeds
    from sipx_monitor.web.long_answers import LongAnswers
    from sipx_monitor.web.outbox import Item
    from sipx_monitor.web.topics import StreamTopic

PROTOCOL: Final = 1
SUBPROTOCOL: Final = "sipx.v1"
LONGEST: Final = 1 << 20
"""Bytes of a message of a client; what is larger goes over HTTP."""
REQUESTS: Final = 16
"""Requests of one client that are worked on at the same time; further ones wait."""
SUBSCRIPTIONS: Final = 48
PING: Final = 20.0
"""Seconds between two pings."""
PONG: Final = 30.0
"""Seconds that the answer to one may take."""
GOODBYE: Final = 2.0
LOGGED_OFF: Final = 4401
"""The code of the close frame for a client that is not logged on any more."""


class Subscription:
    """One of them: it hands what comes to the client's outbox."""

    def __init__(self, outbox: Outbox, number: int) -> None:
        self._outbox = outbox
        self.number = number
        self.feed: Feed | None = None
        self.scope = trio.CancelScope()

    def take_state(self, seq: int, shown: bytes) -> None:
        """The state is this now."""
        self._outbox.state(self.number, seq, shown)

    def take_error(self, seq: int, shown: bytes) -> None:
        """There is none, for this reason."""
        self._outbox.state(self.number, seq, shown, b"error")

    def take_events(
        self, seq: int, items: Iterable[Item], *, dropped: int = 0, gap: bool = False
    ) -> None:
        """These have happened."""
        self._outbox.events(self.number, seq, items, dropped=dropped, gap=gap)


class Client:
    """One connection. ``who`` says who it is now, and raises Refused when that has ended."""

    def __init__(
        self,
        socket: WebSocketConnection,
        control: ControlApi,
        feeds: Feeds,
        long: LongAnswers,
        who: Callable[[], Who],
        boot: str,
        log: logging.LoggerAdapter[Any],
    ) -> None:
        self._socket = socket
        self._control = control
        self._feeds = feeds
        self._long = long
        self._who = who
        self._boot = boot
        self._log = log
        self._outbox = Outbox(self._write)
        self._subscriptions: dict[int, Subscription] = {}
        self._last = 0
        self._requests = trio.Semaphore(REQUESTS)
        self._nursery: trio.Nursery | None = None

    async def run(self, version: str) -> None:
        """Until it goes, or does what it must not."""
        who = self._who()
        hello = {
            "topic": "hello",
            "protocol": PROTOCOL,
            "version": version,
            "user": who.user,
            "role": who.role,
            "boot": self._boot,
        }
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._outbox.answer(json.dumps(hello).encode())
                nursery.start_soon(self._outbox.run)
                nursery.start_soon(self._pings)
                await self._read()
                nursery.cancel_scope.cancel()
        except* ConnectionClosed:
            pass  # it went away
        except* Refused:
            with trio.move_on_after(GOODBYE):
                await self._socket.aclose(LOGGED_OFF, "log on again")
        finally:
            for subscription in self._subscriptions.values():
                self._end(subscription)

    async def _write(self, frame: bytes) -> None:
        await self._socket.send_message(frame.decode())

    async def _pings(self) -> None:
        while True:
            await trio.sleep(PING)
            self._who()
            with trio.move_on_after(PONG) as waiting:
                await self._socket.ping()
            if waiting.cancelled_caught:
                raise ConnectionClosed(None)

    # ------------------------------------------------------------ requests

    async def _read(self) -> None:
        assert self._nursery is not None
        while True:
            message = await self._socket.get_message()
            self._who()
            # Who asks faster than is answered waits here, and with it what it sends.
            await self._requests.acquire()
            self._nursery.start_soon(self._request, message)

    async def _request(self, message: str | bytes) -> None:
        try:
            with ExitStack() as held:
                await self._outbox.answer(await self._answer(message, held)).wait()
        finally:
            self._requests.release()

    async def _answer(self, message: str | bytes, held: ExitStack) -> bytes:
        number: int | str | None = None
        try:
            request = _parsed(message)
            given = request.get("id")
            if not isinstance(given, int | str | None):
                raise ControlError("request", "the id of a request is a number or a text")
            number = given
            kind, told = b"result", await self._do(request, held)
        except ControlError as error:
            kind, told = b"error", json.dumps(control_object(error)).encode()
        except Exception:
            self._log.exception("internal error with a request of the console")
            kind, told = b"error", json.dumps(error_object("internal", OUR_FAULT)).encode()
        return b'{"id":%s,"%s":%s}' % (json.dumps(number).encode(), kind, told)

    async def _do(self, request: dict[str, Any], held: ExitStack) -> bytes:
        """The result as JSON. Raises ControlError."""
        method, params = request.get("method"), request.get("params")
        if not isinstance(method, str):
            raise ControlError("request", "a request names its method")
        if params is None:
            params = {}
        if not isinstance(params, dict):
            raise ControlError("params", "the parameters of a request are an object")
        if method == "subscribe":
            return json.dumps(await self._subscribe(dict(params))).encode()
        if method == "unsubscribe":
            return json.dumps(self._unsubscribe(params)).encode()
        await self._long.room(held, method, self._who().caller())
        answer = await self._control.call(method, params, self._who().caller())
        if self._control.methods()[method].changing:
            self._feeds.poke()
        return await encoded(answer)

    # ------------------------------------------------------------ subscriptions

    async def _subscribe(self, params: dict[str, Any]) -> dict[str, int]:
        name, since, boot = (params.pop(key, None) for key in ("topic", "since", "boot"))
        topic = TOPICS.get(name) if isinstance(name, str) else None
        if topic is None:
            raise ControlError("not found", f"there is no topic {str(name)[:100]!r}")
        if not (since is None or type(since) is int):
            raise ControlError("params", "since is the number of an event")
        if topic.method not in self._control.methods():
            raise ControlError("not found", _missing(topic))
        if len(self._subscriptions) >= SUBSCRIPTIONS:
            raise ControlError("busy", f"a client has at most {SUBSCRIPTIONS} subscriptions")
        self._last += 1
        subscription = Subscription(self._outbox, self._last)
        caller = self._who().caller()
        if boot is not None and boot != self._boot and since is not None:
            since = -1  # of another process: whatever it was, it is not here
        self._subscriptions[subscription.number] = subscription
        self._outbox.open(topic.name, subscription.number, state=isinstance(topic, StateTopic))
        try:
            if topic is MESSAGES:
                seq = self._messages(subscription, params, since)
            else:
                if isinstance(topic, StateTopic):
                    subscription.feed = await self._feeds.state(topic, params, caller)
                else:
                    subscription.feed = self._feeds.stream(topic, params, caller)
                seq = subscription.feed.add(subscription, since)
        except BaseException:
            self._end(self._subscriptions.pop(subscription.number))
            raise
        return {"subscription": subscription.number, "seq": seq}

    def _messages(
        self, subscription: Subscription, params: dict[str, Any], since: int | None
    ) -> int:
        """They are kept, filtered and resumed where they are kept."""
        assert self._nursery is not None
        if since is not None:
            params["since"] = max(since, 0)
        if since == -1:
            subscription.take_events(0, (), gap=True)
        events = self._control.events(MESSAGES.method, params, self._who().caller())
        self._nursery.start_soon(self._follow, subscription, events)
        return since or 0

    async def _follow(self, subscription: Subscription, events: Any) -> None:
        with subscription.scope:
            try:
                async with aclosing(events) as taken:
                    async for event in taken:
                        async with Slices() as slices:
                            items = []
                            for line in event.batch:
                                items.append((line.seq, line.as_json))
                                await slices.next()
                        subscription.take_events(
                            event.seq, items, dropped=event.dropped, gap=event.gap
                        )
                        await trio.lowlevel.checkpoint()
            except ControlError as error:
                subscription.take_error(0, json.dumps(control_object(error)).encode())
            except Exception:
                self._log.exception("internal error while messages were followed")
                told = json.dumps(error_object("internal", OUR_FAULT)).encode()
                subscription.take_error(0, told)

    def _unsubscribe(self, params: dict[str, Any]) -> dict[str, str]:
        number = params.get("subscription")
        found = self._subscriptions.pop(number, None) if isinstance(number, int) else None
        if found is None:
            raise ControlError("not found", f"there is no subscription {str(number)[:20]} here")
        self._end(found)
        return {"text": f"subscription {number} has ended"}

    def _end(self, subscription: Subscription) -> None:
        subscription.scope.cancel()
        self._outbox.close(subscription.number)
        if subscription.feed is not None:
            self._feeds.leave(subscription.feed, subscription)


def _parsed(message: str | bytes) -> dict[str, Any]:
    try:
        request = json.loads(message)
    except (ValueError, RecursionError):
        raise ControlError("parse", "this is no JSON") from None
    if not isinstance(request, dict):
        raise ControlError("request", "a request is an object with id, method and params")
    return request


def _missing(topic: StateTopic | StreamTopic) -> str:
    if topic.plugin:
        return f"the topic {topic.name} needs the plugin {topic.plugin}, which is not switched on"
    return f"there is no method {topic.method} behind the topic {topic.name}"
