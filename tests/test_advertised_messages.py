"""What stands in each kind of message where an interface is advertised at a public address."""

from __future__ import annotations

import pytest

from .test_advertising import LAN, hosts
from .wire import HOME, answer, party, start, values

FAMILIES = {
    "ipv4": ("127.0.0.9", "127.0.1.2", "198.51.100.7", "198.51.100.7"),
    "ipv6": ("2001:db8::9", "2001:db8::a", "2001:db8:1::7", "[2001:db8:1::7]"),
}
"""The interface, the partner, the public address, and how SIP writes that."""
DIALOGS = ("INVITE", "SUBSCRIBE")
OTHERS = ("MESSAGE", "OPTIONS")


@pytest.fixture(params=FAMILIES)
async def site(request, sipx_proxy, autojump_clock):
    """home inside, away outside, and where each sees the proxy."""
    bind, partner, public, written = FAMILIES[request.param]
    outside = {"bind": bind, "port": 5060, "protocol": "udp"}
    proxy = await sipx_proxy(
        interface={"lan": LAN, "outside": outside},
        wan={"use_public_address": True, "public_address": public},
    )
    home = party(proxy, HOME, "udp", "home.example")
    away = party(proxy, partner, "udp", "away.example")
    away.via = f"UDP {'[' + partner + ']' if ':' in partner else partner}:5060"
    return home, away, (bind, 5060), f"{written}:5060"


def sent_by(data):
    return values(data, "Via")[0].split()[1].partition(";")[0]


def without_record_route(data):
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return b"\n".join(line for line in lines if not line.startswith(b"Record-Route"))


async def sent(end, other, to, method, extra=()):
    """A request of one end as the other receives it; what the proxy said before is passed over."""
    domain = "away" if other.place[0] != HOME else "home"
    sender = "home" if domain == "away" else "away"
    data = end.request(
        method, f"sip:bob@{domain}.example", sender=f"sip:ann@{sender}.example", extra=extra
    )
    await end.send(data, to)
    return data, await other.receive()


@pytest.mark.parametrize("method", [*DIALOGS, *OTHERS])
async def test_outside_it_is_the_public_address(site, method):
    home, away, _, public = site
    _, seen = await sent(home, away, ("127.0.0.1", 5060), method, ("Contact: <sip:ann@uc>",))
    assert sent_by(seen) == public
    assert hosts(seen) == ([public, "127.0.0.1:5060"] if method in DIALOGS else [])
    assert b"127.0.0." not in without_record_route(seen).partition(b"\nVia")[0]


@pytest.mark.parametrize("method", [*DIALOGS, *OTHERS])
async def test_inside_it_is_the_address_of_the_lan(site, method):
    home, away, outside, public = site
    _, seen = await sent(away, home, outside, method, ("Contact: <sip:ann@edge>",))
    assert sent_by(seen) == "127.0.0.1:5060"
    assert hosts(seen) == (["127.0.0.1:5060", public] if method in DIALOGS else [])
    assert public.encode() not in without_record_route(seen)


async def test_cancel_and_the_ack_of_a_refusal_have_the_via_of_their_invite(site):
    home, away, _, public = site
    data, invite = await sent(home, away, ("127.0.0.1", 5060), "INVITE")
    assert start(await home.receive()).startswith("SIP/2.0 100")
    await away.send(answer(invite, 180), site[2])
    assert start(await home.receive()).startswith("SIP/2.0 180")
    await home.send(data.replace(b"INVITE", b"CANCEL"))
    cancel = await away.receive()
    assert start(cancel).startswith("CANCEL ")
    assert values(cancel, "Via") == values(invite, "Via")[:1]
    assert sent_by(cancel) == public
    await away.send(answer(invite, 487), site[2])
    ack = await away.receive()
    assert start(ack).startswith("ACK ")
    assert values(ack, "Via") == values(invite, "Via")[:1]
