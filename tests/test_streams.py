"""RFC 3261 §18.1.1, §18.3, RFC 5626 §4.4.1, SEC-15: framing, size and patience."""

from __future__ import annotations

import pytest
import trio

from .wire import (
    HOME,
    TcpParty,
    answer,
    body,
    head,
    party,
    start,
    status,
    two,
    value,
    values,
)

# ---------------------------------------------------------------- T-01


class Attempts:
    """Counts the connections that a proxy tries to make."""

    def __init__(self, proxy, monkeypatch):
        self.count = 0
        connect = proxy.network.connect

        def counted(host, to):
            self.count += 1
            return connect(host, to)

        monkeypatch.setattr(proxy.network, "connect", counted)


async def test_t01_requests_of_more_than_1300_bytes_go_by_tcp(sipx_proxy, autojump_clock):
    proxy, datagrams, away = await two(sipx_proxy)
    stream = TcpParty(proxy, HOME)
    await away.send(away.request(body=500 * "x"))
    probe = await datagrams.receive()
    await datagrams.send(answer(probe))
    await away.receive()
    sizes = {"UDP": [], "TCP": []}
    # Our own branch parameters differ in length by some bytes, so a range is tried.
    for size in range(500 + 1290 - len(probe), 500 + 1312 - len(probe)):
        request = away.request(body=size * "x")
        await away.send(request)
        await trio.sleep(0.1)
        home = stream if stream._inbox.statistics().current_buffer_used else datagrams
        arrived = await home.receive()
        assert values(arrived, "Via")[0].startswith(f"SIP/2.0/{home.kind} 127.0.0.1:5060;")
        assert body(arrived) == body(request)
        rport = 0 if home is datagrams else len(";rport")
        sizes[home.kind].append(len(arrived) + rport)
        await home.send(answer(arrived))
        assert status(await away.receive()) == 200
    assert max(sizes["UDP"]) <= 1300 < min(sizes["TCP"])
    assert len(sizes["UDP"]) > 4 < len(sizes["TCP"])


async def test_t01_a_large_request_goes_by_udp_when_tcp_is_refused(
    sipx_proxy, autojump_clock, monkeypatch
):
    proxy, home, away = await two(sipx_proxy)
    attempts = Attempts(proxy, monkeypatch)
    for _ in range(3):
        await away.send(away.request(body=2000 * "x"))
        arrived = await home.receive()
        assert len(body(arrived)) == 2000
        assert values(arrived, "Via")[0].startswith("SIP/2.0/UDP ")
        await home.send(answer(arrived))
        assert status(await away.receive()) == 200
    assert attempts.count == 1
    await trio.sleep(301)
    TcpParty(proxy, HOME)
    await away.send(away.request(body=2000 * "x"))
    await home.silence(1)
    assert attempts.count == 2


async def test_t01_without_a_tcp_interface_large_requests_go_by_udp(sipx_proxy, autojump_clock):
    only = {"udp": {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"}}
    proxy, home, away = await two(sipx_proxy, interface=only)
    TcpParty(proxy, HOME)
    await away.send(away.request(body=2000 * "x"))
    assert len(body(await home.receive())) == 2000


# ---------------------------------------------------------------- T-04, T-05


@pytest.mark.parametrize(
    "lengths",
    [
        [],
        ["Content-Length: 4", "Content-Length: 5"],
        ["Content-Length: 4", "l: 0"],
        ["Content-Length: 4, 4"],
        ["Content-Length: +4"],
        ["Content-Length: 0x4"],
        ["Content-Length: 4e0"],
        ["Content-Length: -4"],
        ["Content-Length:"],
        ["Content-Length: 4294967300"],
        ["Content-Length: 18446744073709551620"],
    ],
    ids=str,
)
async def test_t04_a_stream_without_a_clear_length_is_closed(sipx_proxy, autojump_clock, lengths):
    _, home, away = await two(sipx_proxy, away="tcp")
    broken = away.request(extra=lengths, body="four", length=False)
    await away.send(broken + away.request())
    assert status(await away.receive()) == 400
    await away.closed()
    await home.silence()
    await away.send(away.request())
    assert start(await home.receive()).startswith("MESSAGE ")


async def test_t04_a_length_beyond_the_limit_is_answered_513(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, away="tcp")
    await away.send(away.request(extra=["Content-Length: 99999999"], length=False))
    assert status(await away.receive()) == 513
    await away.closed()
    await home.silence()


async def test_t04_two_equal_lengths_leave_as_one(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, away="tcp")
    await away.send(away.request(extra=["l: 4"], body="four"))
    arrived = await home.receive()
    assert [line for line in head(arrived) if line.startswith(("Content-Length", "l:"))] == ["l: 4"]
    assert body(arrived) == b"four"


@pytest.mark.parametrize("cut", [1, 7, 64])
async def test_t04_messages_are_cut_by_their_length(sipx_proxy, autojump_clock, cut):
    _, home, away = await two(sipx_proxy, away="tcp")
    texts = ["", "MESSAGE sip:bob@home.example SIP/2.0\r\n\r\n", "\r\n\r\n", "end"]
    data = b"".join(away.request(body=text) for text in texts)
    for at in range(0, len(data), cut):
        await away.send(data[at : at + cut])
    for text in texts:
        assert body(await home.receive()) == text.encode()


async def test_t05_bytes_behind_the_body_of_a_datagram_are_dropped(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(body="four") + away.request())
    arrived = await home.receive()
    assert body(arrived) == b"four"
    await home.send(answer(arrived, body="five!") + b"SIP/2.0 404 No\r\n\r\n")
    assert body(await away.receive()) == b"five!"
    await home.silence(0.3)


async def test_t05_a_short_body_of_a_datagram_is_answered_400(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    assert status(await away.ask(away.request(body="four")[:-1])) == 400
    await home.silence()


async def test_t05_without_a_length_the_datagram_ends_the_body(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(body="four", length=False))
    assert body(await home.receive()) == b"four"


# ---------------------------------------------------------------- T-06, T-07


async def test_t06_line_ends_before_a_start_line_are_ignored(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, away="tcp")
    await away.send(b"\r\n" + away.request() + b"\r\n\r\n\r\n" + away.request() + b"\r\n")
    for _ in range(2):
        assert start(await home.receive()).startswith("MESSAGE ")


@pytest.mark.parametrize("pieces", [[b"\r\n\r\n"], [b"\r\n", b"\r\n"], [b"\r", b"\n\r", b"\n"]])
async def test_t06_a_ping_is_answered_with_one_line_end(sipx_proxy, autojump_clock, pieces):
    proxy, home, away = await two(sipx_proxy, away="tcp")
    for count in (1, 2):
        for piece in pieces:
            await away.send(piece)
        await trio.sleep(0.2)
        assert away.raw == count * b"\r\n"
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    assert status(await away.receive()) == 200
    traffic = proxy.kernel.flows.traffic()["tcp"]
    assert (traffic.messages_in, traffic.messages_out) == (1, 1), "line breaks are no messages"


async def test_t06_a_single_line_end_is_no_ping(sipx_proxy, autojump_clock):
    _, _, away = await two(sipx_proxy, away="tcp")
    await away.send(b"\r\n")
    await trio.sleep(2)
    assert away.raw == b""


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"", b"\0\0\0\0"])
async def test_t06_keepalives_by_udp_are_nothing(sipx_proxy, autojump_clock, data):
    proxy, home, away = await two(sipx_proxy)
    await away.send(data)
    await away.silence(1)
    assert not proxy.kernel.journal.drops
    await away.send(away.request())
    assert start(await home.receive()).startswith("MESSAGE ")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_t07_compact_and_folded_headers_are_read_and_unfolded(
    sipx_proxy, autojump_clock, transport
):
    _, home, away = await two(sipx_proxy, away=transport)
    compact = "\r\n".join(
        [
            "INVITE sip:bob@home.example SIP/2.0",
            f"v:SIP/2.0/{transport.upper()} 127.0.1.2:5060;branch=z9hG4bKt07",
            "F: Alice\r\n\t <sip:alice@AWAY.example>;TAG=1",
            "t  :\tsip:bob@home.example",
            "I: t07",
            "cSEQ: 0001\r\n  INVITE",
            "mAX-fORWARDS: 10",
            "S: one\r\n two\r\n\tthree",
            "m: <sip:alice@127.0.1.2>",
            "l: 4",
            "",
            "four",
        ]
    )
    await away.send(compact.encode())
    assert status(await away.receive()) == 100
    arrived = await home.receive()
    lines = head(arrived)
    assert "S: one two three" in lines
    assert "F: Alice <sip:alice@AWAY.example>;TAG=1" in lines
    assert "t:\tsip:bob@home.example" in lines
    assert "m: <sip:alice@127.0.1.2>" in lines
    assert value(arrived, "Max-Forwards") == "9"
    assert body(arrived) == b"four"
    await home.send(answer(arrived, 200))
    assert value(await away.receive(), "I") == "t07"


# ---------------------------------------------------------------- SEC-15


async def lasts(at, seconds):
    """The proxy ends the connection after so many seconds, with a sweep's grace."""
    began = trio.current_time()
    await at.closed(seconds + 5)
    assert seconds <= trio.current_time() - began <= seconds + 1.5


async def test_sec15_who_connects_has_to_speak(sipx_proxy, autojump_clock):
    _, _, away = await two(sipx_proxy, away="tcp")
    away.connect()
    await lasts(away, 10)


@pytest.mark.parametrize("part", ["head", "body"])
async def test_sec15_a_message_that_drips_is_cut_off(sipx_proxy, autojump_clock, nursery, part):
    _, home, away = await two(sipx_proxy, away="tcp")
    whole = away.request(body=1000 * "x")
    at = 20 if part == "head" else len(whole) - 900
    stream = away.connect()
    await trio.sleep(0.5)
    await stream.send_all(whole[:at])

    async def drip():
        for i in range(at, at + 30):
            await trio.sleep(1)
            try:
                await stream.send_all(whole[i : i + 1])
            except trio.BrokenResourceError:
                return

    nursery.start_soon(drip)
    await lasts(away, 10)
    await home.silence()


async def test_sec15_line_ends_are_no_message(sipx_proxy, autojump_clock):
    limits = {"idle_timeout": "30s"}
    _, _, away = await two(sipx_proxy, away="tcp", limits=limits)
    await away.send(b"\r\n\r\n")
    await lasts(away, 30)


async def test_sec15_who_speaks_in_time_stays(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, away="tcp", limits={"idle_timeout": "30s"})
    for _ in range(5):
        request = away.request(body="four")
        await away.send(request[:-2])
        await trio.sleep(9)
        await away.send(request[-2:])
        await home.send(answer(await home.receive()))
        assert status(await away.receive()) == 200
        await trio.sleep(15)
    assert not away.ended.is_set()
    await lasts(away, 15)


async def outbound(sipx_proxy, **limits):
    """A connection that the proxy has made."""
    proxy, home, away = await two(sipx_proxy, home="tcp", limits=limits)
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    assert status(await away.receive()) == 200
    home.raw = b""
    return proxy, home, away


async def test_sec15_a_connection_of_ours_is_kept_alive(sipx_proxy, autojump_clock):
    _, home, _ = await outbound(sipx_proxy, keepalive="20s")
    for _ in range(3):
        await trio.sleep(19)
        assert home.raw == b""
        await trio.sleep(3)
        assert home.raw == b"\r\n\r\n"
        home.raw = b""
        await home.send(b"\r\n")
    assert home.accepted == 1


async def test_sec15_who_has_answered_a_ping_is_held_to_it(sipx_proxy, autojump_clock):
    _, home, away = await outbound(sipx_proxy, keepalive="20s")
    await trio.sleep(22)
    await home.send(b"\r\n")
    with trio.fail_after(35):
        await home.ended.wait()
    assert home.raw == 2 * b"\r\n\r\n"
    await away.send(away.request())
    assert start(await home.receive()).startswith("MESSAGE ")
    assert home.accepted == 2


async def test_sec15_who_never_answers_a_ping_may_not_know_it(sipx_proxy, autojump_clock):
    _, home, away = await outbound(sipx_proxy, keepalive="20s", idle_timeout="120s")
    await trio.sleep(100)
    await away.send(away.request())
    assert start(await home.receive()).startswith("MESSAGE ")
    assert home.accepted == 1


async def test_a_connection_is_tried_when_the_public_address_has_changed(
    sipx_proxy, autojump_clock
):
    proxy, home, away = await two(
        sipx_proxy, home="tcp", wan={"use_public_address": True}, limits={"keepalive": "100s"}
    )
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    assert status(await away.receive()) == 200
    home.raw = b""
    for number, address in enumerate(("198.51.100.7", "198.51.100.8"), 1):
        proxy.kernel.handle("stun").note_public_addresses({"127.0.0.1": address})
        await trio.sleep(2)
        assert home.raw == number * b"\r\n\r\n"
        if number == 1:
            await home.send(b"\r\n")
    # It has answered one, and not the other.
    with trio.fail_after(15):
        await home.ended.wait()


async def test_sec15_no_ping_goes_to_who_connected_to_us(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, away="tcp", limits={"keepalive": "5s"})
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    await away.receive()
    away.raw = b""
    await trio.sleep(60)
    assert away.raw == b""


async def test_a_connection_is_kept_while_something_of_its_peer_lives(sipx_proxy, autojump_clock):
    proxy, home, _ = await outbound(sipx_proxy, idle_timeout="30s")
    [flow] = [flow for flow in proxy.kernel.flows if flow.outbound]
    flow.keep_until = trio.current_time() + 100
    await trio.sleep(99)
    assert not home.ended.is_set()
    await lasts(home, 2)


async def test_a_peer_may_ask_for_keepalives_of_its_own(sipx_proxy, autojump_clock):
    proxy, home, _ = await outbound(sipx_proxy, keepalive="100s", idle_timeout="300s")
    [flow] = [flow for flow in proxy.kernel.flows if flow.outbound]
    flow.ping_every = 40.0
    for number in range(1, 6):
        await trio.sleep(41 if number == 1 else 40)
        assert home.raw == number * b"\r\n\r\n"
    assert home.accepted == 1


async def test_a_peer_that_is_held_waits_and_loses_nothing(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy, away="tcp")
    good = party(proxy, "127.0.2.9", "tcp")
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    assert status(await away.receive()) == 200
    held = next(flow for flow in proxy.kernel.flows if flow.reliable)
    began = trio.current_time()
    held.hold(3.0)
    held.hold(1.0)
    await away.send(away.request())
    await good.send(good.request())
    assert status(await good.receive()) == 403
    assert trio.current_time() - began < 0.1, "the others notice nothing"
    await home.send(answer(await home.receive()))
    assert 3.0 <= trio.current_time() - began < 3.1
    assert status(await away.receive()) == 200
    held.hold(1000.0)
    began = trio.current_time()
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    assert 5.0 <= trio.current_time() - began < 5.1, "no longer than half a message may take"


async def test_sec15_slow_peers_do_not_hold_up_a_good_one(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy, away="tcp")
    slow = [party(proxy, f"127.0.2.{i}", "tcp") for i in range(1, 101)]
    await trio.sleep(0.5)
    for peer in slow:
        await peer.send(b"MESSAGE sip:bob@home")
    began = trio.current_time()
    await away.send(away.request())
    await home.send(answer(await home.receive()))
    assert status(await away.receive()) == 200
    assert trio.current_time() - began < 0.1
    for peer in slow:
        await peer.closed(12)
    assert proxy.kernel.flows.connections() == 1
