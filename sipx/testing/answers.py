"""What a testing user agent answers by itself: the behaviour of a plain telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx.sip.headers import digits
from sipx.testing.asking import NoAnswerError
from sipx.testing.dialog import Dialog
from sipx.testing.sessions import Call, Notifier, Subscription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sipx.sip import Request
    from sipx.testing.peer import UserAgent

ALLOW: Final = (
    b"INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH, INFO, UPDATE"
)


def sdp(agent: UserAgent) -> bytes:
    """A session description with one audio stream (RFC 4566)."""
    host = agent.place[0].encode()
    family = b"IP6" if b":" in host else b"IP4"
    return b"".join(
        line + b"\r\n"
        for line in (
            b"v=0",
            b"o=- 1 1 IN %b %b" % (family, host),
            b"s=-",
            b"c=IN %b %b" % (family, host),
            b"t=0 0",
            b"m=audio 40000 RTP/AVP 0",
        )
    )


def pidf(agent: UserAgent, entity: bytes) -> bytes:
    """A presence document (RFC 3863) that says what ``agent.presence`` is."""
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
        b'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="%b">'
        b'<tuple id="a"><status><basic>%b</basic></status></tuple></presence>\r\n'
        % (entity, agent.presence.encode())
    )


async def accept(agent: UserAgent, request: Request) -> None:
    """MESSAGE."""
    agent.reply(request, 200)


async def describe(agent: UserAgent, request: Request) -> None:
    """OPTIONS."""
    agent.reply(request, 200, headers=((b"Allow", ALLOW), (b"Accept", b"application/sdp")))


async def publish(agent: UserAgent, request: Request) -> None:
    """PUBLISH (RFC 3903 §6)."""
    etag = request.get(b"SIP-If-Match") or b"t" + request.derived_tag()
    expires = request.get(b"Expires") or b"3600"
    agent.reply(request, 200, headers=((b"SIP-ETag", etag), (b"Expires", expires)))


async def ring_and_answer(agent: UserAgent, request: Request) -> None:
    """INVITE: 180, then 200; inside a call 200 at once, for a call that is not there 481."""
    typed = ((b"Content-Type", b"application/sdp"),)
    if request.to.tag is not None:
        call = agent.session(request)
        if not isinstance(call, Call):
            agent.reply(request, 481)
            return
        call.dialog.target_refreshed(request)
    else:
        agent.reply(request, 180)
        await trio.sleep(agent.ring)
    try:
        agent.reply(request, 200, headers=typed, body=sdp(agent))
    except LookupError:
        return  # cancelled while it rang


async def hang_up(agent: UserAgent, request: Request) -> None:
    """BYE."""
    call = agent.session(request)
    if not isinstance(call, Call):
        agent.reply(request, 481)
        return
    call.close()
    agent.reply(request, 200)


async def accept_in_dialog(agent: UserAgent, request: Request) -> None:
    """INFO and UPDATE."""
    agent.reply(request, 200 if agent.session(request) is not None else 481)


async def accept_subscription(agent: UserAgent, request: Request) -> None:
    """SUBSCRIBE (RFC 6665 §4.2.1): 200, and at once a NOTIFY with the state."""
    known = agent.session(request)
    if request.to.tag is not None and not isinstance(known, Notifier):
        agent.reply(request, 481)
        return
    expires = digits(request.get(b"Expires") or b"3600", 2**32 - 1)
    event = request.get(b"Event") or b"presence"
    response = agent.reply(request, 200, headers=((b"Expires", b"%d" % expires),))
    if isinstance(known, Notifier):
        notifier = known
        notifier.dialog.target_refreshed(request)
    else:
        notifier = Notifier(agent, Dialog.of_callee(request, response), event)
        agent.dialogs[notifier.dialog.key] = notifier
    state = f"active;expires={expires}" if expires else "terminated;reason=timeout"
    try:
        await notifier.notify(pidf(agent, request.uri), state)
    except NoAnswerError:
        # RFC 6665 §4.2.2: a NOTIFY that times out ends the subscription.
        agent.dialogs.pop(notifier.dialog.key, None)


async def take_notification(agent: UserAgent, request: Request) -> None:
    """NOTIFY."""
    subscription = agent.session(request)
    if not isinstance(subscription, Subscription):
        agent.reply(request, 481)
        return
    agent.reply(request, 200)
    subscription.notified(request)


HANDLERS: Final[dict[bytes, Callable[[UserAgent, Request], Awaitable[None]]]] = {
    b"MESSAGE": accept,
    b"OPTIONS": describe,
    b"PUBLISH": publish,
    b"INVITE": ring_and_answer,
    b"BYE": hang_up,
    b"INFO": accept_in_dialog,
    b"UPDATE": accept_in_dialog,
    b"SUBSCRIBE": accept_subscription,
    b"NOTIFY": take_notification,
}
"""The handlers of a user agent that is made with ``answers=True``."""
