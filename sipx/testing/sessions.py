"""What lasts longer than a request at a testing user agent: calls and subscriptions."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

from sipx.errors import SipxError
from sipx.testing.dialog import Dialog, Headers

if TYPE_CHECKING:
    from sipx.sip import Request, Response
    from sipx.testing.asking import Asking
    from sipx.testing.peer import UserAgent


class RefusedError(SipxError):
    """The other side said no; ``response`` is what it said."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.start.decode("utf-8", "replace"))
        self.response = response


class Call:
    """A call that has been answered, at either side. ``ended`` is set by a BYE."""

    def __init__(self, agent: UserAgent, dialog: Dialog) -> None:
        self.agent = agent
        self.dialog = dialog
        self.acknowledged = trio.Event()
        self.ended = trio.Event()

    async def request(self, method: str, headers: Headers = (), body: bytes = b"") -> Response:
        """Any request inside the dialog (INFO, UPDATE, a new INVITE has ``reinvite``)."""
        return await self.agent.send(self.dialog.request(method.encode(), headers, body))

    async def reinvite(self, headers: Headers = (), body: bytes = b"") -> Response:
        """A re-INVITE (RFC 3261 §14) and, for a 2xx, its ACK."""
        contact = (b"Contact", b"<" + self.agent.contact + b">")
        request = self.dialog.request(b"INVITE", (contact, *headers), body)
        response = await self.agent.send(request)
        if response.status < 300:
            self.dialog.target_refreshed(response)
            await self.acknowledge(request)
        return response

    async def acknowledge(self, invite: Request) -> None:
        """Send the ACK for a 2xx to ``invite``."""
        await self.agent.send_ack(self.dialog.request(b"ACK", cseq=invite.cseq.number))

    async def hangup(self) -> Response:
        """Send BYE; the call has ended whatever the answer is. Raises NoAnswerError."""
        self.close()
        return await self.agent.send(self.dialog.request(b"BYE"))

    def close(self) -> None:
        """It has ended."""
        self.ended.set()
        self.agent.dialogs.pop(self.dialog.key, None)


class Invitation:
    """An INVITE under way. ``provisional`` holds the 1xx responses so far."""

    def __init__(self, agent: UserAgent, asking: Asking) -> None:
        self.agent = agent
        self.request = asking.request
        self.provisional: list[Response] = []
        self._asking = asking
        self._heard = trio.Event()
        asking.on_provisional = self._on_provisional

    def _on_provisional(self, response: Response) -> None:
        self.provisional.append(response)
        self._heard.set()
        self._heard = trio.Event()

    async def ringing(self) -> Response:
        """Wait for a provisional response other than 100."""
        while True:
            for response in self.provisional:
                if response.status > 100:
                    return response
            await self._heard.wait()

    def cancel(self) -> None:
        """Send CANCEL (RFC 3261 §9.1: after a provisional response only)."""
        if not self.provisional:
            raise ValueError("RFC 3261 §9.1: no CANCEL before a provisional response")
        self._asking.cancel()

    async def final(self) -> Response:
        """The final response, whatever it is; a 2xx has been acknowledged. Raises NoAnswerError."""
        response = await self._answer()
        if response.status < 300:
            await self._established(response)
        return response

    async def answered(self) -> Call:
        """The call. Raises RefusedError (another final response) or NoAnswerError."""
        response = await self._answer()
        if response.status >= 300:
            raise RefusedError(response)
        return await self._established(response)

    async def _answer(self) -> Response:
        """The final response; with a logon challenges are answered (RFC 3261 §22.3)."""
        response = await self._asking.answer()
        logon = self.agent.logon
        again = None if logon is None else logon.answered(self.request, response)
        if again is None:
            return response
        self.request = again
        self._asking = await self.agent.ask(again)
        self._asking.on_provisional = self._on_provisional
        return await self._asking.answer()

    async def _established(self, response: Response) -> Call:
        call = Call(self.agent, Dialog.of_caller(self.request, response))
        call.acknowledged.set()
        self.agent.dialogs[call.dialog.key] = call

        def again(_: Response) -> None:
            self.agent.start_soon(call.acknowledge, self.request)

        self._asking.on_2xx = again
        await call.acknowledge(self.request)
        return call


class Subscription:
    """The subscriber's side (RFC 6665). ``state`` is the last Subscription-State's first word."""

    def __init__(self, agent: UserAgent, request: Request, event: bytes) -> None:
        self.agent = agent
        self.request = request
        self.event = event
        self.dialog: Dialog | None = None
        self.state = b""
        self.first = trio.Event()
        self.notifications: deque[Request] = deque(maxlen=1000)
        self._arrival = trio.Event()
        self._taken = 0
        self._count = 0

    def accepted(self, response: Response) -> None:
        """The final response to the SUBSCRIBE. Raises RefusedError."""
        if response.status >= 300:
            raise RefusedError(response)
        if self.dialog is None:
            self.dialog = Dialog.of_caller(self.request, response)

    def notified(self, notify: Request) -> None:
        """A NOTIFY came, perhaps before the 2xx (RFC 6665 §4.1.2.4)."""
        if self.dialog is None:
            self.dialog = Dialog.of_notified(self.request, notify)
        else:
            self.dialog.target_refreshed(notify)
        self.state = (notify.get(b"Subscription-State") or b"").partition(b";")[0].strip()
        self.notifications.append(notify)
        self._count += 1
        self.first.set()
        self._arrival.set()
        if self.state == b"terminated":
            self.agent.dialogs.pop(self.dialog.key, None)

    async def next_notify(self) -> Request:
        """The next NOTIFY that has not been taken, the first one included."""
        while self._taken >= self._count:
            self._arrival = trio.Event()
            await self._arrival.wait()
        self._taken += 1
        return self.notifications[self._taken - self._count - 1]

    async def refresh(self, expires: int = 3600) -> Response:
        """A SUBSCRIBE inside the dialog. Raises NoAnswerError."""
        assert self.dialog is not None
        headers = subscribe_headers(self.agent, self.event.decode(), expires)
        return await self.agent.send(self.dialog.request(b"SUBSCRIBE", headers))

    async def unsubscribe(self) -> Response:
        """RFC 6665 §4.1.2.3: an Expires of zero. Raises NoAnswerError."""
        return await self.refresh(0)


class Notifier:
    """The notifier's side of a subscription."""

    def __init__(self, agent: UserAgent, dialog: Dialog, event: bytes) -> None:
        self.agent = agent
        self.dialog = dialog
        self.event = event

    async def notify(self, body: bytes = b"", state: str = "active;expires=3600") -> Response:
        """Send a NOTIFY. Raises NoAnswerError."""
        headers: Headers = (
            (b"Event", self.event),
            (b"Subscription-State", state.encode()),
            (b"Contact", b"<" + self.agent.contact + b">"),
        )
        if body:
            headers += ((b"Content-Type", b"application/pidf+xml"),)
        if state.startswith("terminated"):
            self.agent.dialogs.pop(self.dialog.key, None)
        return await self.agent.send(self.dialog.request(b"NOTIFY", headers, body))


def subscribe_headers(agent: UserAgent, event: str, expires: int) -> Headers:
    """What a SUBSCRIBE has beside the headers of every request."""
    return (
        (b"Event", event.encode()),
        (b"Expires", b"%d" % expires),
        (b"Accept", b"application/pidf+xml"),
        (b"Contact", b"<" + agent.contact + b">"),
    )
