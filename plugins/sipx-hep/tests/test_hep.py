"""The plugin in a running proxy."""

from __future__ import annotations

import itertools
import json
import ssl

import pytest
import trio
from sipx_hep.collector import FIRST

from sipx import ResolveError
from sipx.testing import Authority

from .conftest import HERE, Heard, packets_of


async def talk(proxy, text="hello", *, transport="udp"):
    """A message through the proxy: four messages at its edge."""
    home = await proxy.open_peer("home.example", transport=transport)
    partner = await proxy.open_peer("partner.example", transport=transport)
    assert (await home.message("sip:bob@partner.example", text)).status == 200
    return home, partner


async def test_each_message_arrives_with_where_and_when_it_passed(sipx_on_loopback, datagrams):
    config = {"server": datagrams.server, "capture_id": 9, "password": "key", "node_name": "n"}
    proxy = await sipx_on_loopback(hep=config)
    before = proxy.kernel.wall()
    home, partner = await talk(proxy)
    near, four = proxy.place("udp"), await datagrams.heard.of(4)
    assert {(one.protocol, one.capture_id, one.key, one.node) for one in four} == {
        (17, 9, b"key", b"n")
    }
    ways = sorted((one.payload.split(b" ")[0], one.source, one.destination) for one in four)
    assert ways == sorted(
        [
            (b"MESSAGE", home.place, near),
            (b"MESSAGE", near, partner.place),
            (b"SIP/2.0", partner.place, near),
            (b"SIP/2.0", near, home.place),
        ]
    )
    assert len({one.correlation for one in four}) == 1
    assert b"Call-ID: " + four[0].correlation + b"\r\n" in four[0].payload
    assert all(before - 1 <= one.time <= proxy.kernel.wall() for one in four)
    assert all(b"hello" not in one.payload for one in four)
    state = proxy.plugin("hep").state()
    assert (state.state, state.sent, state.lost, state.waiting) == ("sending", 4, 0, 0)


async def test_the_text_of_chats_goes_only_where_it_is_asked_for(sipx_on_loopback, datagrams):
    proxy = await sipx_on_loopback(hep={"server": datagrams.server, "bodies": "all"})
    await talk(proxy, "a secret")
    assert sum(b"a secret" in one.payload for one in await datagrams.heard.of(4)) == 2


async def test_connections_are_told_as_tcp(sipx_on_loopback, datagrams):
    proxy = await sipx_on_loopback(hep={"server": datagrams.server})
    await talk(proxy, transport="tcp")
    assert {one.protocol for one in await datagrams.heard.of(4)} == {6}


async def test_what_is_malformed_arrives_as_well(sipx_on_loopback, datagrams):
    proxy = await sipx_on_loopback(hep={"server": datagrams.server})
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind((HERE, 0))
        data = b"OPTIONS sip:a SIP/2.0\r\ni: broken@a\r\nCSeq: nonsense\r\n\r\n"
        await sock.sendto(data, proxy.place("udp"))
        [found] = await datagrams.heard.of(1)
    assert (found.payload, found.correlation) == (data, b"broken@a")


async def test_without_a_collector_nothing_is_kept(sipx_on_loopback):
    proxy = await sipx_on_loopback(hep={})
    await talk(proxy)
    state = proxy.plugin("hep").state()
    assert (state.state, state.waiting, state.lost) == ("off", 0, 0)


async def test_the_status_says_so(sipx_on_loopback, datagrams):
    proxy = await sipx_on_loopback(hep={"server": datagrams.server})
    section = json.loads(proxy.kernel.handle("hep").status().model_dump_json())["sections"]["hep"]
    assert section["server"] == datagrams.server
    assert set(section) == {"server", "protocol", "state", "sent", "waiting", "lost", "error"}


# ---------------------------------------------------------------- the collector goes and comes


async def test_over_tcp_what_waited_arrives_when_the_collector_comes(
    sipx_on_loopback, eventually, nursery, monkeypatch
):
    monkeypatch.setattr("sipx_hep.collector.FIRST", 0.01)
    with trio.socket.socket() as taken:
        await taken.bind((HERE, 0))
        server = f"{HERE}:{taken.getsockname()[1]}"
        proxy = await sipx_on_loopback(hep={"server": server, "protocol": "tcp"})
        plugin = proxy.plugin("hep")
        await eventually(lambda: plugin.state().state == "unreachable")
        assert plugin.state().error == "connection refused"
        [trouble] = proxy.kernel.handle("hep").status().troubles
        assert (trouble.kind, trouble.name) == ("collector", server)
        assert trouble.text.startswith("messages do not arrive there by tcp: connection refused;")
        await talk(proxy)
        assert plugin.state().waiting == 4
        taken.listen()
        stream, _ = await taken.accept()
        heard = Heard()
        nursery.start_soon(packets_of, trio.SocketStream(stream), heard)
        assert len(await heard.of(4)) == 4
        await eventually(lambda: plugin.state().sent == 4)
        assert (plugin.state().state, plugin.state().lost) == ("connected", 0)
        assert proxy.kernel.handle("hep").status().troubles == ()


async def test_a_connection_that_ends_is_made_again(sipx_on_loopback, eventually):
    ends = []

    async def serve(stream):
        ends.append(stream)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host=HERE)
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        server = f"{HERE}:{listener.socket.getsockname()[1]}"
        proxy = await sipx_on_loopback(hep={"server": server, "protocol": "tcp"})
        plugin = proxy.plugin("hep")
        plugin._collector._pause = 0.01
        await eventually(lambda: plugin.state().state == "connected")
        plugin._collector._pause = 0.01
        await ends[0].aclose()
        await eventually(lambda: len(ends) == 2 and plugin.state().state == "connected")
        nursery.cancel_scope.cancel()


async def test_a_collector_that_takes_nothing_costs_messages_and_no_time(
    sipx_proxy, autojump_clock, monkeypatch
):
    others = []

    async def connect(_self):
        ours, theirs = trio.testing.lockstep_stream_pair()
        others.append(theirs)
        return ours

    monkeypatch.setattr("sipx_hep.collector.Collector._connect", connect)
    proxy = await sipx_proxy(hep={"server": "127.0.0.1", "protocol": "tcp", "queue": 65_536})
    home, _partner = proxy.peer("home.example"), proxy.peer("partner.example")
    before = trio.current_time()
    for _ in range(40):
        assert (await home.message("sip:bob@partner.example", "x" * 800)).status == 200
    assert trio.current_time() - before < 1
    state = proxy.plugin("hep").state()
    assert state.lost > 0
    assert state.waiting < 80
    await trio.sleep(10.5)
    assert proxy.plugin("hep").state().error == "it took nothing for 10 s"


async def test_over_udp_icmp_tells_that_nobody_listens(sipx_on_loopback, eventually, monkeypatch):
    monkeypatch.setattr("sipx_hep.collector.CALM", 0)
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind((HERE, 0))
        port = sock.getsockname()[1]
    proxy = await sipx_on_loopback(hep={"server": f"{HERE}:{port}"})
    plugin = proxy.plugin("hep")
    home, _ = await talk(proxy)
    await home.message("sip:bob@partner.example", "again")
    await eventually(lambda: plugin.state().waiting == 0)
    assert plugin.state().error == "connection refused" or plugin.state().lost > 0
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind((HERE, port))
        await home.message("sip:bob@partner.example", "there")
        await home.message("sip:bob@partner.example", "again")
        await eventually(lambda: plugin.state().state == "sending")
        with trio.fail_after(10):
            assert (await sock.recv(65536))[:4] == b"HEP3"


async def test_tls_shows_who_the_collector_is(sipx_on_loopback, tmp_path, eventually, nursery):
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.leaf(ips=[HERE]).write(tmp_path, "homer"))
    heard = Heard()

    async def serve(stream):
        await packets_of(trio.SSLStream(stream, context, server_side=True), heard)

    (listener,) = await trio.open_tcp_listeners(0, host=HERE)
    nursery.start_soon(trio.serve_listeners, serve, [listener])
    server = f"{HERE}:{listener.socket.getsockname()[1]}"
    table = {"server": server, "protocol": "tls", "ca": str(authority.write(tmp_path))}
    proxy = await sipx_on_loopback(hep=table)
    await talk(proxy)
    assert len(await heard.of(4)) == 4


async def test_a_certificate_of_a_stranger_is_refused(
    sipx_on_loopback, tmp_path, eventually, nursery
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority().leaf(ips=[HERE]).write(tmp_path, "homer"))

    async def serve(stream):
        with pytest.raises(trio.BrokenResourceError):
            await trio.SSLStream(stream, context, server_side=True).do_handshake()

    (listener,) = await trio.open_tcp_listeners(0, host=HERE)
    nursery.start_soon(trio.serve_listeners, serve, [listener])
    server = f"{HERE}:{listener.socket.getsockname()[1]}"
    proxy = await sipx_on_loopback(hep={"server": server, "protocol": "tls"})
    plugin = proxy.plugin("hep")
    await eventually(lambda: plugin.state().state == "unreachable")
    assert plugin.state().error.startswith("its certificate is not taken: ")


async def test_authorities_that_cannot_be_read_cost_no_connection(
    sipx_on_loopback, tmp_path, eventually, nursery
):
    came = []

    async def serve(stream):
        came.append(stream)

    (listener,) = await trio.open_tcp_listeners(0, host=HERE)
    nursery.start_soon(trio.serve_listeners, serve, [listener])
    server = f"{HERE}:{listener.socket.getsockname()[1]}"
    (tmp_path / "ca.pem").write_text("renewed, and not yet whole")
    table = {"server": server, "protocol": "tls", "ca": str(tmp_path / "ca.pem")}
    proxy = await sipx_on_loopback(hep=table)
    plugin = proxy.plugin("hep")
    await eventually(lambda: plugin.state().state == "unreachable")
    assert plugin.state().error.startswith("the authorities of hep.ca cannot be read: ")
    assert not came


@pytest.fixture
def asked(monkeypatch):
    """When a name server was asked that knows no name."""
    times = []

    async def addresses(_self, host):
        times.append(trio.current_time())
        raise ResolveError("nxdomain", f"{host} does not exist")

    monkeypatch.setattr("sipx.resolver.Resolver.addresses", addresses)
    return times


async def test_a_name_without_an_address_is_told_and_asked_again(sipx_proxy, autojump_clock, asked):
    proxy = await sipx_proxy(hep={"server": "homer.invalid"})
    await trio.sleep(300)
    gaps = [round(b - a) for a, b in itertools.pairwise(asked)]
    assert gaps[:7] == [FIRST, 2, 4, 8, 16, 32, 60]
    assert proxy.plugin("hep").state().error == "homer.invalid does not exist"


async def test_a_reload_keeps_what_waits_and_what_was_counted(sipx_proxy, autojump_clock, asked):
    proxy = await sipx_proxy(hep={"server": "homer.invalid"})
    home, _partner = proxy.peer("home.example"), proxy.peer("partner.example")
    await home.message("sip:bob@partner.example", "x")
    old = proxy.plugin("hep")
    await proxy.reload(hep={"server": "homer.invalid", "bodies": "all"})
    assert proxy.plugin("hep") is not old
    assert proxy.plugin("hep").state().waiting == 4
    await proxy.reload(hep={})
    state = proxy.plugin("hep").state()
    assert (state.state, state.waiting, state.lost) == ("off", 0, 4)
    await proxy.reload(hep={"enabled": False})
    assert proxy.kernel.handle("x").status().troubles == ()
