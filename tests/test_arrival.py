"""RFC 3261 §17.2.3 and §18.2, RFC 3581: whose request it is, and where its response goes."""

from __future__ import annotations

import pytest

from .wire import AWAY, answer, party, start, status, two, value, values

BOB = "sip:bob@home.example"


@pytest.mark.parametrize(
    ("via", "left"),
    [
        ("UDP 127.0.1.2:5060", "UDP 127.0.1.2:5060"),
        ("UDP 127.0.1.2", "UDP 127.0.1.2"),
        ("UDP pc.away.example", "UDP pc.away.example;received=127.0.1.2"),
        ("UDP 10.0.0.7:5060", "UDP 10.0.0.7:5060;received=127.0.1.2"),
        ("UDP 127.0.1.22:5060", "UDP 127.0.1.22:5060;received=127.0.1.2"),
        ("UDP 10.0.0.7;received=1.2.3.4", "UDP 10.0.0.7;received=127.0.1.2"),
        ("UDP [2001:db8::9]", "UDP [2001:db8::9];received=127.0.1.2"),
        ("UDP 127.0.1.2:5060;rport", "UDP 127.0.1.2:5060;rport=5060;received=127.0.1.2"),
        ("UDP 10.0.0.7;rport", "UDP 10.0.0.7;rport=5060;received=127.0.1.2"),
        ("UDP 10.0.0.7;RPort;x=y", "UDP 10.0.0.7;rport=5060;x=y;received=127.0.1.2"),
    ],
)
async def test_t02_received_and_rport_say_where_a_request_came_from(
    sipx_proxy, autojump_clock, via, left
):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(via=via, branch="z9hG4bKa"))
    arrived = await home.receive()
    host, *params = left.split(";")
    ours, theirs = values(arrived, "Via")
    assert theirs.split(";")[0] == f"SIP/2.0/{host}"
    assert sorted(theirs.split(";")[1:]) == sorted([*params, "branch=z9hG4bKa"])
    await home.send(answer(arrived))
    assert values(await away.receive(), "Via") == [theirs]
    assert ours.startswith("SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK")


@pytest.mark.parametrize("asked", ["", ";rport"])
async def test_n01_the_response_goes_to_the_source_port_where_rport_asks_for_it(
    sipx_proxy, autojump_clock, asked
):
    proxy, home, away = await two(sipx_proxy)
    behind_nat = party(proxy, AWAY, port=31337)
    await behind_nat.send(away.request(via=f"UDP 127.0.1.2:5060{asked}"))
    await home.send(answer(await home.receive()))
    at, other = (behind_nat, away) if asked else (away, behind_nat)
    reply = await at.receive()
    assert ("rport=31337" in value(reply, "Via")) == bool(asked)
    assert at.sources == [("127.0.0.1", 5060)]
    await other.silence()


async def test_n01_responses_leave_by_the_socket_that_took_the_request(sipx_proxy, autojump_clock):
    interfaces = {
        "one": {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"},
        "two": {"bind": "127.0.0.9", "port": 5080, "protocol": "udp"},
    }
    _, home, away = await two(sipx_proxy, interface=interfaces)
    await away.send(away.request(via="UDP 10.0.0.7;rport"), ("127.0.0.9", 5080))
    await home.send(answer(await home.receive()))
    await away.receive()
    assert away.sources == [("127.0.0.9", 5080)]


async def test_n01_own_requests_ask_for_rport_by_udp_only(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, home="tcp")
    await away.send(away.request())
    assert ";rport" not in values(await home.receive(), "Via")[0]
    await home.send(home.request("MESSAGE", "sip:alice@away.example", sender=BOB))
    assert ";rport;" in values(await away.receive(), "Via")[0]


@pytest.mark.parametrize("maddr", ["127.0.0.1", "127.0.1.1", "239.1.2.3"])
async def test_t03_maddr_is_ignored(sipx_proxy, autojump_clock, maddr):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(via=f"UDP 127.0.1.2:5060;maddr={maddr};ttl=1"))
    await home.send(answer(await home.receive()))
    assert status(await away.receive()) == 200
    await home.silence()


async def test_t03_a_response_goes_back_on_the_connection_of_the_request(
    sipx_proxy, autojump_clock
):
    _, home, away = await two(sipx_proxy, away="tcp")
    first = away.connect()
    await away.send(away.request(via="TCP 10.0.0.7:5999"))
    arrived = await home.receive()
    assert values(arrived, "Via")[1].endswith(";received=127.0.1.2")
    await home.send(answer(arrived))
    assert status(await away.receive()) == 200
    assert away.stream is first
    assert away.accepted == 0


async def test_t03_when_the_connection_has_gone_a_new_one_is_made(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy, away="tcp")
    other = party(proxy, AWAY, "tcp", port=5999)
    connection = away.connect()
    await away.send(away.request(via="TCP 10.0.0.7:5999"))
    arrived = await home.receive()
    await connection.aclose()
    await away.closed()
    await home.send(answer(arrived))
    assert status(await other.receive()) == 200
    assert (other.accepted, away.accepted) == (1, 0)


async def test_t03_a_response_that_cannot_be_delivered_disturbs_nobody(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, away="tcp")
    connection = away.connect()
    await away.send(away.request(via="TCP 127.0.1.2:5999"))
    arrived = await home.receive()
    await connection.aclose()
    await away.closed()
    await home.send(answer(arrived))
    await away.silence()
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    assert status(await away.receive()) == 200


# ----------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"via": "UDP 127.0.1.2:5062"},
        {"via": "UDP other.away.example:5060"},
        {"branch": "z9hG4bKx02"},
        {"method": "OPTIONS"},
    ],
    ids=["port", "host", "branch", "method"],
)
async def test_x01_branch_sent_by_and_method_make_a_transaction(sipx_proxy, autojump_clock, other):
    _, home, away = await two(sipx_proxy)
    same = {"branch": "z9hG4bKx01", "call_id": "x01"}
    await away.send(away.request(**same))
    first = await home.receive()
    await away.send(away.request(**{**same, "cseq": 7, "tag": "2"}))
    await home.silence(0.3)
    await away.send(away.request(**{**same, **other}))
    second = await home.receive()
    assert values(first, "Via")[0] != values(second, "Via")[0]


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=z9hG4bK"])
async def test_x01_without_the_magic_cookie_the_headers_make_a_transaction(
    sipx_proxy, autojump_clock, branch
):
    _, home, away = await two(sipx_proxy)
    request = away.request(via="UDP 127.0.1.2", branch="GONE", call_id="x01")
    request = request.replace(b";branch=GONE", branch.encode())
    await away.send(request)
    first = await home.receive()
    await away.send(request)
    await home.silence(0.3)
    for old, new in (
        (b"Call-ID: x01", b"Call-ID: x02"),
        (b"CSeq: 1 ", b"CSeq: 2 "),
        (b";tag=1", b";tag=2"),
        (b"MESSAGE sip:bob@", b"MESSAGE sip:bo@"),
    ):
        await away.send(request.replace(old, new))
        assert values(await home.receive(), "Via")[0] != values(first, "Via")[0]
    await home.send(answer(first))
    assert status(await away.receive()) == 200


async def test_x01_an_ack_of_an_old_client_finds_its_invite(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)

    def old(method, to):
        whole = away.request(method, call_id="x01", branch="GONE", to=to)
        return whole.replace(b";branch=GONE", b"")

    await away.send(old("INVITE", f"<{BOB}>"))
    assert status(await away.receive()) == 100
    await home.send(answer(await home.receive(), 486))
    assert start(await home.receive()).startswith("ACK ")
    assert status(await away.receive()) == 486
    await away.send(old("ACK", f"<{BOB}>;tag=b"))
    await away.silence(40)  # an unacknowledged 486 would come again
    await home.silence()


async def test_x01_a_stray_response_goes_nowhere(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy)
    await away.send(away.request())
    arrived = await home.receive()
    thief = party(proxy, "127.0.1.66")
    await thief.send(answer(arrived))
    await home.send(answer(arrived).replace(b"MESSAGE", b"OPTIONS"))
    await home.send(answer(arrived).replace(b"127.0.0.1:5060", b"127.0.0.1:5061"))
    await home.send(answer(arrived).replace(b"branch=z9hG4bK", b"branch=z9hG4bKx", 1))
    await away.silence(0.3)
    assert proxy.kernel.transactions.strays == 4
    await home.send(answer(arrived))
    assert status(await away.receive()) == 200
