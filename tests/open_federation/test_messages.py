"""What passes between discovered partners and us, and what is taken off or refused on the way."""

from __future__ import annotations

from itertools import product

import pytest
import trio

from sipx.transactions import UNANSWERED

from .lab import ADA, AWAY, BOB, why

PIGGYBACK = (
    b"--x\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n"
    b"--x\r\nContent-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) + b"\r\n--x--\r\n"
)


@pytest.fixture
async def both(lab):
    """A function that starts the lab with a partner, who is returned."""

    async def run(**settings):
        bob = await lab.published(AWAY)
        await lab.run(**settings)
        lab.reach(bob)
        return bob

    return run


async def until(condition):
    with trio.fail_after(10):
        while not condition():
            await trio.sleep(0.01)


# ---------------------------------------------------------------- identity

IDENTITY = (
    (b"P-Asserted-Identity", b"<sip:ceo@home.example>"),
    (b"P-Asserted-Identity", b"<sip:bob@away.example>"),
    (b"P-Asserted-Identity", b"<tel:+49301234567>"),
    (b"P-Preferred-Identity", b"<sip:ceo@home.example>"),
    (b"Remote-Party-ID", b"<sip:ceo@home.example>"),
    (b"P-Charging-Vector", b"icid-value=1"),
    (b"ms-edge-proxy-message-trust", b"ms-source-type=AuthorizedServer;ms-ep-fqdn=evil.example"),
    (b"MS-Edge-Proxy-Message-Trust", b"ms-source-type=DirectPartner"),
    (b"ms-asserted-verification-level", b"ms-source-verified-user=verified"),
    (b"ms-asserted-identity", b"<sip:ceo@home.example>"),
    (b"ms-user-logon-data", b"RemoteUser"),
    (b"X-sipx-sender", b"uc"),
)
KEPT = ((b"Subject", b"hello"), (b"ms-conversation-id", b"abc"), (b"X-Other", b"1"))
LINES = {name.lower() for name, _ in IDENTITY}


def claims(message):
    """The lines of a message that say who somebody is, or how far he is trusted."""
    names = (line.partition(b":")[0].strip().lower() for line in message.lines)
    return [name for name in names if name in LINES]


@pytest.mark.parametrize("privacy", [b"none", b"id"])
async def test_claims_of_identity_and_trust_end_at_us(lab, both, privacy):
    """A discovered partner is proven for its domain, and trusted for nothing else."""
    bob = await both()
    headers = (*IDENTITY, *KEPT, (b"Privacy", privacy))
    assert (await bob.request("MESSAGE", ADA, headers=headers)).status == 200
    arrived = await lab.ada.receive("MESSAGE")
    assert claims(arrived) == []
    assert all(arrived.get(name) == value for name, value in KEPT)


@pytest.mark.parametrize("privacy", [b"none", b"id"])
async def test_our_own_end_at_us_as_well(lab, both, privacy):
    bob = await both()
    headers = (*IDENTITY, *KEPT, (b"Privacy", privacy))
    assert (await lab.ada.request("MESSAGE", BOB, headers=headers)).status == 200
    arrived = await bob.receive("MESSAGE")
    assert claims(arrived) == []
    assert all(arrived.get(name) == value for name, value in KEPT)


async def test_responses_carry_none_either(lab, both):
    bob = await both()

    async def say(agent, request):
        agent.reply(request, 200, headers=(*IDENTITY, *KEPT))

    for asks, asked, uri in ((bob, lab.ada, ADA), (lab.ada, bob, BOB)):
        asked.on("MESSAGE", say)
        response = await asks.request("MESSAGE", uri)
        assert response.status == 200
        assert claims(response) == []
        assert response.get(b"Subject") == b"hello"


async def test_requests_within_dialogs_carry_none_either(lab, both):
    bob = await both()
    subscription = await bob.subscribe(ADA)
    await bob.receive("NOTIFY")
    [notifier] = lab.ada.dialogs.values()
    notify = notifier.dialog.request(b"NOTIFY", (*IDENTITY, (b"Event", b"presence")))
    assert (await lab.ada.send(notify)).status == 200
    assert claims(await bob.receive("NOTIFY")) == []
    refresh = subscription.dialog.request(b"SUBSCRIBE", (*IDENTITY, (b"Event", b"presence")))
    await lab.ada.receive("SUBSCRIBE")
    assert (await bob.send(refresh)).status == 200
    assert claims(await lab.ada.receive("SUBSCRIBE")) == []


# ---------------------------------------------------------------- methods


@pytest.mark.parametrize("method", ["NEGOTIATE", "PUBLISH", "REFER", "REGISTER", "BENOTIFY", "FOO"])
async def test_methods_that_partners_may_not_use_are_405(lab, both, method):
    bob = await both()
    response = await bob.request(method, "sip:home.example" if method == "REGISTER" else ADA)
    assert response.status == 405
    assert method in why(response)
    assert method.encode() not in response.get_list(b"Allow")
    assert not lab.ada.received


async def test_compression_is_begun_with_nobody(lab, both):
    """MS-SIPCOMP: NEGOTIATE is refused by name, also where somebody of ours asks for it."""
    bob = await both()
    for asks, uri in ((bob, ADA), (bob, "sip:home.example"), (bob, "sip:127.0.0.1")):
        response = await asks.request("NEGOTIATE", uri)
        assert response.status in (403, 405), uri
    response = await bob.request("NEGOTIATE", ADA, headers=((b"Compression", b"LZ77-64K"),))
    assert (response.status, "never compressed" in why(response)) == (405, True)
    response = await lab.ada.request("NEGOTIATE", BOB)
    assert response.status in (403, 405)
    assert not bob.received["NEGOTIATE"]


# ---------------------------------------------------------------- ms-benotify

WANTED = ((b"Proxy-Require", b"ms-benotify"), (b"Supported", b"ms-benotify"))


async def test_proxy_require_ms_benotify_is_420_by_default(lab, both):
    bob = await both()
    response = await bob.request("SUBSCRIBE", ADA, headers=WANTED)
    assert response.status == 420
    assert response.get(b"Unsupported") == b"ms-benotify"
    assert not lab.ada.received
    assert (await bob.request("MESSAGE", ADA, headers=WANTED[1:])).status == 200


async def test_a_switch_accepts_ms_benotify_and_nothing_else(lab, both):
    bob = await both(benotify=True)
    assert (await bob.request("MESSAGE", ADA, headers=WANTED)).status == 200
    other = ((b"Proxy-Require", b"ms-benotify, ms-other"),)
    response = await bob.request("MESSAGE", ADA, headers=other)
    assert response.status == 420
    assert response.get(b"Unsupported") == b"ms-other"


@pytest.mark.parametrize("inward", [True, False])
async def test_a_benotify_is_forwarded_never_answered_and_waits_for_nothing(lab, both, inward):
    bob = await both(benotify=True)
    near, far, uri = (bob, lab.ada, ADA) if inward else (lab.ada, bob, BOB)
    assert (await near.message(uri, "first")).status == 200
    far.transactions.unanswered = UNANSWERED
    near.received.clear()
    transactions = lab.proxy.kernel.transactions
    clients, servers = len(transactions.clients), len(transactions.servers)
    await near.send_ack(near.new("BENOTIFY", uri, body=b"state"))
    arrived = await far.receive("BENOTIFY")
    assert arrived.body == b"state"
    assert (len(transactions.clients), len(transactions.servers)) == (clients, servers)
    assert (await near.message(uri, "last")).status == 200
    assert near.received == {"200": 1}


async def test_a_benotify_within_a_subscription(lab, both):
    """As Microsoft's servers use it: SUBSCRIBE asks for it, what follows needs no answer."""
    bob = await both(benotify=True)
    subscription = await bob.subscribe(ADA)
    assert subscription.dialog is not None
    [notifier] = lab.ada.dialogs.values()
    bob.transactions.unanswered = UNANSWERED
    request = notifier.dialog.request(b"BENOTIFY", ((b"Event", b"presence"),), b"state")
    await lab.ada.send_ack(request)
    assert (await bob.receive("BENOTIFY")).body == b"state"


async def test_a_benotify_proves_as_much_as_any_request(lab, both):
    """From another domain, from ours, to another, blocked: nothing passes, nothing is said."""
    bob = await both(benotify=True, deny=["denied.example"])
    assert (await bob.message(ADA, "first")).status == 200
    bob.received.clear()
    lab.ada.transactions.unanswered = UNANSWERED
    for sender, to in (
        ("sip:eve@evil.example", ADA),
        (ADA, ADA),
        ("sip:x@denied.example", ADA),
        (BOB, "sip:x@other.example"),
        (BOB, "sip:x@192.0.2.1"),
    ):
        await bob.send_ack(bob.new("BENOTIFY", to, sender=sender))
    assert (await bob.message(ADA, "last")).status == 200
    assert lab.ada.received == {"MESSAGE": 2}
    assert bob.received == {"200": 1}


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(("inward", "status"), list(product([True, False], [200, 202])))
async def test_a_piggybacked_notification_passes_byte_by_byte(lab, both, inward, status):
    """ms-piggyback-first-notify: the first state is the body of the response to SUBSCRIBE."""
    bob = await both()
    near, far, uri = (bob, lab.ada, ADA) if inward else (lab.ada, bob, BOB)
    typed = (
        (b"Content-Type", b'multipart/related; type="application/pidf+xml"; boundary=x'),
        (b"Event", b"presence"),
        (b"Subscription-State", b"active;expires=3600"),
        (b"ms-piggyback-cseq", b"1"),
    )

    async def say(agent, request):
        agent.reply(request, status, headers=(*typed, (b"Expires", b"3600")), body=PIGGYBACK)

    far.on("SUBSCRIBE", say)
    wanted = ((b"Supported", b"ms-piggyback-first-notify"), (b"Event", b"presence"))
    contact = ((b"Contact", b"<" + near.contact + b">"),)
    response = await near.request("SUBSCRIBE", uri, headers=(*wanted, *contact))
    assert response.status == status
    assert response.body == PIGGYBACK
    assert all(response.get(name) == value for name, value in typed)
