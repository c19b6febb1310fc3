"""The port itself: real sockets, TLS, limits of connections, a place that is taken."""

from __future__ import annotations

import socket
import ssl

import pytest
import trio
import trio.testing
from sipx_monitor import Monitor, MonitorConfig
from sipx_monitor.web.server import HANDSHAKE_TIMEOUT, MAX_CONNECTIONS

from sipx.testing.certificates import Authority

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def said_by(stream) -> bytes:
    found = b""
    with trio.fail_after(20):
        await stream.send_all(GET)
        while data := await stream.receive_some(65536):
            found += data
    return found


async def test_it_listens_on_a_socket(console, caplog):
    assert console.plugin.address[0] == "127.0.0.1"
    stream = await trio.open_tcp_stream(*console.plugin.address)
    async with stream:
        assert (await said_by(stream)).startswith(b"HTTP/1.1 200 ")


async def test_a_port_that_is_taken_is_shown_and_sip_goes_on(sipx_proxy, mock_clock):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        proxy = await sipx_proxy(monitor={"enabled": False})
        kernel = proxy.kernel
        kernel.forgive = True
        plugin = Monitor(MonitorConfig(port=other.getsockname()[1]), kernel.handle("monitor"))
        [shown] = await kernel.running_services.start([("monitor", plugin.serve)])
        assert shown.status == "failed"
        assert "Address already in use; end what listens there" in shown.error
        assert plugin.server is None


async def test_of_too_many_connections_the_oldest_ends(console):
    oldest = console.connect()
    await trio.testing.wait_all_tasks_blocked()
    others = [console.connect() for _ in range(MAX_CONNECTIONS - 1)]
    await trio.testing.wait_all_tasks_blocked()
    assert others
    assert console.plugin.server.connections == (MAX_CONNECTIONS, 0)
    newest = console.connect()
    assert await oldest.receive_some(1) == b""
    assert (await said_by(newest)).startswith(b"HTTP/1.1 200 ")


async def test_whoever_watches_is_not_ended_for_the_sake_of_others(console):
    async with console.socket(await console.log_on()) as watcher:
        streams = [console.connect() for _ in range(2 * MAX_CONNECTIONS)]
        await trio.testing.wait_all_tasks_blocked()
        assert (await watcher.ask("control.version"))["result"]
        assert streams


# ---------------------------------------------------------------- TLS


@pytest.fixture
def authority():
    return Authority("Test")


@pytest.fixture
async def secured(start_console, authority, tmp_path):
    """A console that shows a certificate."""
    issued = authority.leaf(dns=["sipx.example", "localhost"])
    cert, key = issued.write(tmp_path, "main")
    return await start_console(
        certificate="main",
        allowed_hosts=["sipx.example"],
        tables={"certificate": {"main": {"cert_file": str(cert), "key_file": str(key)}}},
    )


def trusting(authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.pem.decode())


async def test_tls_with_a_certificate_of_the_file(secured, authority):
    stream = trio.SSLStream(
        await trio.open_tcp_stream(*secured.plugin.address),
        trusting(authority),
        server_hostname="localhost",
        https_compatible=True,
    )
    async with stream:
        await stream.do_handshake()
        assert stream.version() in ("TLSv1.2", "TLSv1.3")
        assert (await said_by(stream)).startswith(b"HTTP/1.1 200 ")
    assert secured.plugin.url().startswith("https://")


async def test_cookies_over_tls_are_for_tls_only(secured, authority):
    token = secured.plugin.access.sessions.link("anna", "admin")
    body = b'{"token": "' + token.encode() + b'"}'
    stream = trio.SSLStream(
        secured.connect(), trusting(authority), server_hostname="localhost", https_compatible=True
    )
    await stream.send_all(
        b"POST /session HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\n"
        b"Connection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    found = b""
    while data := await stream.receive_some(65536):
        found += data
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b"; SameSite=Strict; Secure\r\n" in found


async def test_clear_text_at_a_port_with_tls(secured):
    said = await secured.raw(GET)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"this port speaks TLS only: https://localhost/livez" in said
    elsewhere = await secured.raw(GET.replace(b"localhost", b"evil.example"))
    assert b"not to be reached as evil.example" in elsewhere
    assert b"ok" not in (await secured.raw(GET, GET)).partition(b"\r\n\r\n")[2]
    assert not await secured.raw(b"\x16\x03\x01\x00\x05hello")


async def test_a_handshake_that_does_not_get_on(secured, autojump_clock):
    stream = secured.connect()
    began = trio.current_time()
    assert await stream.receive_some(1) == b""
    assert trio.current_time() - began == pytest.approx(HANDSHAKE_TIMEOUT, abs=0.1)


async def test_another_certificate_is_shown_from_then_on(secured, authority, tmp_path):
    context = secured.plugin.server._tls
    before = context.current()
    assert context.current() is before
    authority.leaf(dns=["sipx.example", "localhost"]).write(tmp_path, "main")
    await secured.proxy.kernel.certificates.look_aside()
    assert context.current() is not before
