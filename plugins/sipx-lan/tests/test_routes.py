"""Credentials for senders of untrusted static routes: rows 19 and 22 of docs/trust.md."""

from __future__ import annotations

import pytest

from sipx import SenderKind, hookimpl
from sipx.testing import Dialog

ROUTED = "127.0.1.2"
"""The address of the first client."""


def tables(protocol, *, role="wan", domain="partner.example", trusted=False):
    route = {"server": ROUTED, "protocol": protocol, "trusted": trusted}
    return {
        "static-routes": {"route": {domain: route}},
        "interface": {
            "udp": {"bind": "127.0.0.1", "port": 5060, "protocol": "udp", "role": role},
            "tcp": {"bind": "127.0.0.1", "port": 5060, "protocol": "tcp", "role": role},
        },
    }


GATE = {"gate": {"kind": "partner", "password": "g", "routes": ["partner.example"]}}


class Senders:
    """Notes who is accepted."""

    def __init__(self):
        self.seen = []

    @hookimpl
    def determine_targets(self, request, sender):
        self.seen.append(sender)
        return


async def partner(start_site, transport, **lan):
    site = await start_site(tables=tables(transport, **lan.pop("route", {})), **lan)
    senders = Senders()
    site.proxy.kernel.hooks.register("senders", senders)
    client = site.client(transport=transport, user="gate", password="g", interface=transport)
    assert client.agent.place[0] == ROUTED
    return site, client, senders


BOB = "sip:bob@home.example"
ANN = "sip:ann@partner.example"


@pytest.mark.parametrize(("transport", "row"), [("tcp", 19), ("udp", 22)])
@pytest.mark.parametrize("role", ["wan", "lan"])
async def test_right_credentials_let_its_requests_in_without_trust(
    start_site, autojump_clock, transport, row, role
):
    _, client, senders = await partner(start_site, transport, server=GATE, route={"role": role})
    plain = client.agent.new("MESSAGE", BOB, sender=ANN)
    asked = await client.agent.send(plain)
    assert asked.status == 407
    # Nobody here is bob: what counts is that it got so far.
    assert (await client.agent.send(client.answer(plain, asked))).status == 404
    [sender] = senders.seen
    assert (sender.kind, sender.name) == (SenderKind.PARTNER, "partner.example")
    assert (sender.row, sender.trusted, sender.account) == (row, False, None)


async def test_wrong_ones_end_like_those_of_the_lan_side(start_site, autojump_clock):
    _, client, senders = await partner(start_site, "tcp", server=GATE)
    client.password = "wrong"
    assert [(await client.send("MESSAGE", BOB, sender=ANN)).status for _ in range(3)] == [
        407,
        407,
        403,
    ]
    assert senders.seen == []


async def test_another_accounts_credentials_authorise_nothing(start_site, autojump_clock):
    _, client, senders = await partner(start_site, "tcp", server=GATE)
    client.user, client.password = "ucserver", "correct horse"
    assert (await client.send("MESSAGE", BOB, sender=ANN)).status == 407
    assert senders.seen == []


async def test_without_an_account_for_the_route_nobody_is_asked(start_site, autojump_clock):
    _, client, _ = await partner(start_site, "tcp")
    response = await client.send("MESSAGE", BOB, sender=ANN)
    assert response.status == 403
    assert not response.get_all(b"Proxy-Authenticate")


async def test_the_from_domain_is_still_that_of_the_route(start_site, autojump_clock):
    _, client, senders = await partner(start_site, "tcp", server=GATE)
    response = await client.send("MESSAGE", BOB, sender="sip:ann@other.example")
    assert response.status == 403
    assert senders.seen == []


async def test_a_partners_account_does_not_log_on(start_site, autojump_clock):
    site = await start_site(server=GATE)
    client = site.client(user="gate", password="g")
    assert [(await client.message()).status for _ in range(3)] == [407, 407, 403]


async def test_a_trusted_route_is_asked_nothing_on_the_lan_side(start_site, autojump_clock):
    route = {"role": "lan", "trusted": True}
    _, client, senders = await partner(start_site, "tcp", server=GATE, route=route)
    request = client.agent.new("MESSAGE", BOB, sender=ANN)
    assert (await client.agent.send(request)).status == 404
    assert [sender.row for sender in senders.seen] == [18]


async def test_within_a_dialog_it_is_not_asked_again(start_site, autojump_clock):
    site, client, _ = await partner(start_site, "tcp", server=GATE)
    home = site.proxy.peer("home.example")
    contact = ((b"Contact", b"<" + client.agent.contact + b">"),)
    subscribe = client.agent.new(
        "SUBSCRIBE", BOB, sender=ANN, headers=(*contact, (b"Event", b"presence"))
    )
    proven = client.answer(subscribe, await client.agent.send(subscribe))
    accepted = await client.agent.send(proven)
    assert accepted.status == 200
    dialog = Dialog.of_caller(proven, accepted)
    refresh = dialog.request(b"SUBSCRIBE", (*contact, (b"Event", b"presence")))
    assert (await client.agent.send(refresh)).status == 200
    assert home.received["SUBSCRIBE"] == 2


async def test_a_route_to_our_own_domain_makes_a_uc_server(start_site, autojump_clock):
    gate = {"gate": {"kind": "partner", "password": "g", "routes": ["home.example"]}}
    _, client, senders = await partner(
        start_site, "tcp", server=gate, route={"domain": "home.example"}
    )
    sent = await client.message("sip:x@nowhere.example", sender="sip:alice@home.example")
    assert sent.status == 403
    assert [(sender.kind, sender.trusted) for sender in senders.seen] == [
        (SenderKind.UC_SERVER, False)
    ]
