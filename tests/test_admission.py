"""Who a request comes from: credentials of senders that their route does not prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.plugin import Accept, Challenge, Refuse, Sender, hookimpl
from sipx.reasons import Refusal
from sipx.trust import SenderKind

if TYPE_CHECKING:
    from sipx.accounts import Account

CREDENTIALS = "Proxy-Authorization: Digest right"


class Gate:
    """Knows a partner by its address, and asks it for credentials; ``logons`` are accounts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.banned: set[str] = set()
        self.logons: dict[str, Account] = {}

    @hookimpl
    def authenticate_request(self, request, flow):
        if flow.address in self.banned:
            return Refuse(0, "the source is banned")
        account = self.logons.get(flow.address)
        if account is not None:
            sender = Sender(account.kind, account.name, {b"home.example"}, True, account=account)
            return Accept(sender)
        if request.from_domain == b"away.example":
            sender = Sender(SenderKind.PARTNER, "away.example", {b"away.example"}, trusted=False)
            return Accept(sender, authorise=True)
        return None

    @hookimpl
    def authorise_request(self, request, flow, sender):
        if sender is None:
            return None
        self.asked.append(sender.name)
        given = request.get(b"Proxy-Authorization")
        if given is None:
            return Challenge(407, ((b"Proxy-Authenticate", b"Digest ..."),))
        if given != b"Digest right":
            return Refuse(403, "wrong credentials")
        return Accept(sender)


async def gated(scene, **tables):
    made = await scene(**tables)
    gate = Gate()
    made.plug("gate", gate)
    return made, gate


async def test_credentials_are_asked_for_and_judged(scene, autojump_clock):
    made, gate = await gated(scene)
    home, away = made.raw("home.example"), made.raw("away.example", routed=False)
    away.ask("MESSAGE", "sip:anna@home.example")
    challenge = await away.next(407)
    assert challenge.get(b"Proxy-Authenticate") == b"Digest ..."
    away.ask("MESSAGE", "sip:anna@home.example", "Proxy-Authorization: Digest wrong")
    await away.next(403)
    assert home.heard() == []
    away.ask("MESSAGE", "sip:anna@home.example", CREDENTIALS)
    home.answer(await home.next("MESSAGE"), 200)
    await away.next(200)
    assert gate.asked == ["away.example"] * 3
    refused = made.kernel.journal.refused_for
    assert refused[Refusal.CHALLENGED] == refused[Refusal.NOT_AUTHORISED] == 1


async def test_within_a_dialog_that_credentials_formed_on_this_flow_they_are_not_asked_again(
    scene, autojump_clock
):
    """Row 27 of docs/trust.md."""
    made, gate = await gated(scene)
    home, away = made.raw("home.example"), made.raw("away.example", routed=False)
    away.ask("INVITE", "sip:anna@home.example", CREDENTIALS, call_id="call")
    invite = await home.next("INVITE")
    home.answer(invite, 200)
    [route] = (await away.next(200)).get_all(b"Record-Route")
    gate.asked.clear()

    def within(peer, method, *, route=route, **more):
        uri = f"sip:anna@{home.place[0]}:5060"
        peer.ask(method, uri, f"Route: {route.decode()}", call_id="call", to_tag="far", **more)

    within(away, "ACK")
    await home.next("ACK")
    within(away, "BYE", cseq=2)
    home.answer(await home.next("BYE"), 200)
    await away.next(200)
    assert gate.asked == []
    # The same cookie from another place proves nothing: the partner shares its account.
    other = made.raw("away.example", routed=False)
    within(other, "INFO", cseq=3)
    await other.next(407)
    # Nor does one that was altered.
    forged = route.replace(b"sipx-", b"sipx-A", 1)
    within(away, "INFO", route=forged, cseq=4)
    await away.next(407)
    assert gate.asked == ["away.example"] * 2
    assert home.heard() == []


async def test_a_dialog_that_was_formed_without_credentials_does_not_spare_them(
    scene, autojump_clock
):
    made, gate = await gated(scene)
    home, away = made.raw("home.example"), made.raw("away.example", routed=True)
    home.ask("SUBSCRIBE", "sip:bob@away.example", "Event: presence", call_id="watch")
    subscribe = await away.next("SUBSCRIBE")
    away.answer(subscribe, 200)
    route = (await home.next(200)).get(b"Record-Route").decode()
    # The far end, an untrusted partner that came with no credentials for this dialog yet.
    away.ask(
        "NOTIFY",
        f"sip:user@{home.place[0]}:5060",
        f"Route: {route}",
        "Event: presence",
        call_id="watch",
        to_tag="near",
    )
    await away.next(407)
    assert gate.asked == ["away.example"]


async def test_who_is_banned_gets_no_answer_and_costs_no_transaction_for_long(
    scene, autojump_clock
):
    made, gate = await gated(scene)
    home, away = made.raw("home.example"), made.raw("away.example", routed=False)
    gate.banned.add(away.place[0])
    asked = away.ask("MESSAGE", "sip:anna@home.example", CREDENTIALS)
    away.send(asked)
    home.ask("OPTIONS", "sip:127.0.0.1:5060")
    await home.next(200)
    assert away.heard() == home.heard() == []
    journal = made.kernel.journal
    assert journal.refused_for[Refusal.BANNED] == 1
    assert journal.answers[b"MESSAGE", 0] == 1
    assert made.kernel.transactions.absorbed == 1


class Asks:
    """Asks everybody for credentials whom nobody knows."""

    def __init__(self) -> None:
        self.senders: list[str | None] = []

    @hookimpl
    def authorise_request(self, request, flow, sender):
        self.senders.append(None if sender is None else sender.name)
        return Challenge(407, ((b"Proxy-Authenticate", b"Digest ..."),))


async def test_who_is_known_to_one_plugin_is_not_asked_for_credentials_by_another(
    scene, autojump_clock
):
    """However plugins are listed: this one stands before the one that knows the sender."""
    made = await scene()
    asks = Asks()
    made.plug("asks", asks)
    home, away = made.raw("home.example"), made.raw("away.example")
    stranger = made.raw("elsewhere.example", routed=False)
    away.ask("MESSAGE", "sip:anna@home.example")
    home.answer(await home.next("MESSAGE"), 200)
    await away.next(200)
    assert asks.senders == []
    stranger.ask("MESSAGE", "sip:anna@home.example")
    await stranger.next(407)
    assert asks.senders == [None]
    assert made.kernel.journal.refused_for[Refusal.CHALLENGED] == 1
