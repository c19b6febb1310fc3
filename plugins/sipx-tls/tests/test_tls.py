"""The transports over real sockets of this machine; the peers use Python's own ssl module."""

from __future__ import annotations

import gc
import socket
import ssl
import weakref
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from sipx import Connection, Status
from sipx.testing import Authority

HOME, AWAY, OTHER = "home.example", "away.example", "other.example"


@asynccontextmanager
async def listening(lab, name, answers=200):
    """A server with this certificate; the peers that connected to it, and its port."""
    peers = []

    async def handle(stream):
        secured = trio.SSLStream(stream, lab.context(name, server=True), server_side=True)
        peer = lab.peer_on(secured)
        peers.append(peer)
        try:
            while True:
                request = await peer.next()
                if answers and hasattr(request, "method"):
                    await peer.answer(request, answers)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
        [listener] = await nursery.start(serve)
        yield peers, listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- docs/trust.md, incoming


def certificate(lab, kind):
    """Write the certificate of a kind; its name, "" for none."""
    if kind == "none":
        return ""
    if kind == "away":
        lab.files("peer", AWAY)
    elif kind == "other":
        lab.files("peer", OTHER)
    elif kind == "unknown":
        lab.files("peer", AWAY, issuer=Authority("Lab CA"))
    elif kind == "expired":
        day = lab.ca.now
        lab.files("peer", AWAY, not_before=day.replace(year=2020), not_after=day.replace(year=2021))
    return "peer"


@pytest.mark.parametrize(
    ("row", "protocol", "kind", "sender", "expected"),
    [
        (1, "mtls", "none", AWAY, "alert"),
        (2, "mtls", "unknown", AWAY, "alert"),
        (2, "mtls", "expired", AWAY, "alert"),
        (3, "mtls", "away", AWAY, 200),
        (3, "mtls", "away", OTHER, 403),
        (25, "mtls", "away", HOME, 403),
        (9, "mtls", "other", OTHER, 403),
        (9, "mtls", "other", AWAY, 403),
        (10, "tls", "away", AWAY, 200),
        (10, "tls", "away", OTHER, 403),
        (11, "tls", "unknown", AWAY, "alert"),
        (11, "tls", "expired", AWAY, "alert"),
        (17, "tls", "none", AWAY, 403),
        (17, "tls", "other", AWAY, 403),
    ],
)
async def test_the_rows_that_need_certificates(lab, row, protocol, kind, sender, expected):
    await lab.run(protocol=protocol)
    peer = await lab.connect(certificate(lab, kind))
    assert await peer.status(sender=sender) == expected
    if expected == "alert":
        assert f"[row {row}]" in lab.trouble()


@pytest.mark.parametrize(
    ("row", "trusted", "expected"), [(12, True, 200), (14, False, 403)], ids=["trusted", "not"]
)
async def test_tls_without_a_certificate_is_known_by_address(lab, row, trusted, expected):
    route = {"server": "127.0.0.1", "protocol": "tls", "trusted": trusted}
    await lab.run(protocol="tls", routes={AWAY: route})
    assert await (await lab.connect()).status() == expected


async def test_row_26_two_routes_share_one_server(lab):
    routes = {d: {"server": "127.0.0.9", "protocol": "mtls"} for d in (AWAY, OTHER)}
    await lab.run(routes=routes)
    lab.files("peer", AWAY, OTHER)
    peer = await lab.connect("peer")
    assert [await peer.status(sender=d) for d in (AWAY, OTHER, "third.example")] == [200, 200, 403]


async def test_a_route_that_is_switched_off_matches_nobody(lab):
    route = {"server": "127.0.0.9", "protocol": "mtls", "enabled": False}
    await lab.run(routes={AWAY: route})
    assert await (await lab.connect(certificate(lab, "away"))).status() == 403


async def test_in_dialog_requests_are_checked_like_all_others(lab):
    """A To tag and a Route that somebody made up prove nothing."""
    await lab.run()
    peer = await lab.connect(certificate(lab, "other"))
    place = lab.proxy.place("far")
    route = f"Route: <sip:sipx-AAAA@{place[0]}:{place[1]};transport=tls;lr>"
    assert await peer.status(method="BYE", sender=AWAY, extra=(route,)) == 403


# ---------------------------------------------------------------- outgoing


async def test_a_request_goes_to_the_partner_with_our_certificate_shown(lab):
    lab.files("peer", AWAY)
    async with listening(lab, "peer") as (peers, port):
        route = {"server": "127.0.0.1", "port": port, "protocol": "mtls"}
        await lab.run(routes={AWAY: route})
        for _ in range(3):
            assert (await lab.home.message(f"sip:bob@{AWAY}", "hello")).status == 200
        assert len(peers) == 1, "one connection for all of them"
        shown = peers[0].stream.getpeercert()
        assert ("DNS", f"sip.{HOME}") in shown["subjectAltName"]


async def test_c02_a_connection_proven_for_one_partner_serves_no_other(lab):
    """CVE-2020-15260: both partners at one address and port, the server proves only one."""
    lab.files("peer", AWAY)
    async with listening(lab, "peer") as (_, port):
        route = {"server": "127.0.0.1", "port": port, "protocol": "mtls"}
        await lab.run(routes={AWAY: route, OTHER: route})
        assert (await lab.home.message(f"sip:bob@{AWAY}", "hello")).status == 200
        answer = await lab.home.message(f"sip:eve@{OTHER}", "not for you")
        assert answer.status == 502
        assert b"it names away.example, and other.example was wanted" in answer.get(b"Warning")
        assert "was wanted" in lab.trouble("partner", OTHER)
        assert lab.trouble("partner", AWAY) == ""


async def test_a_server_that_refuses_us_is_told_in_the_502(lab):
    """TLS 1.3: its alert comes after our handshake, when the request is on its way."""
    lab.files("peer", AWAY)
    other = Authority("Somebody else")
    other.write(lab.directory, "other-ca")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(lab.directory / "peer.crt", lab.directory / "peer.key")
    context.load_verify_locations(lab.directory / "other-ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse(listening):
        with (
            listening,
            listening.accept()[0] as plain,
            pytest.raises(ssl.SSLError),
            context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False),
        ):
            pass

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    lab.nursery.start_soon(trio.to_thread.run_sync, refuse, listening)
    await lab.run(routes={AWAY: {"server": "127.0.0.1", "port": port, "protocol": "mtls"}})
    answer = await lab.home.message(f"sip:bob@{AWAY}", "hello")
    assert answer.status == 502
    warning = answer.get(b"Warning").decode()
    assert "refused us with the alert 'unknown ca'" in warning
    assert f"CN=sip.{HOME}" in warning
    assert "unknown ca" in lab.trouble("partner", AWAY)


async def test_a_server_that_stalls_in_the_handshake_is_told_so(lab):
    listener = socket.create_server(("127.0.0.1", 0))
    route = {"server": "127.0.0.1", "port": listener.getsockname()[1], "protocol": "mtls"}
    with listener:
        await lab.run(routes={AWAY: route}, limits={"connect_timeout": "50ms"})
        answer = await lab.home.message(f"sip:bob@{AWAY}", "hello")
    assert answer.status == 504
    assert b"no connection and TLS handshake within 0.05 s" in answer.get(b"Warning")
    assert "TLS handshake" in lab.trouble("partner", AWAY)


async def test_an_inbound_connection_serves_requests_by_alias(lab):
    """RFC 5923: after mutual authentication, and for the partner that opened it only."""
    routes = {d: {"server": "127.0.0.1", "port": 5999, "protocol": "mtls"} for d in (AWAY, OTHER)}
    await lab.run(routes=routes)
    lab.files("peer", AWAY)
    peer = await lab.connect("peer")
    assert await peer.status(via="127.0.0.1:5999;alias") == 200
    async with trio.open_nursery() as nursery:

        async def ask():
            assert (await lab.home.message(f"sip:bob@{AWAY}", "by your connection")).status == 200

        nursery.start_soon(ask)
        request = await peer.next()
        assert request.method == b"MESSAGE"
        await peer.answer(request)
    assert (await lab.home.message(f"sip:eve@{OTHER}", "not by that one")).status in (500, 503)


async def test_without_alias_an_inbound_connection_is_not_used_for_another_port(lab):
    await lab.run(routes={AWAY: {"server": "127.0.0.1", "port": 5998, "protocol": "mtls"}})
    lab.files("peer", AWAY)
    peer = await lab.connect("peer")
    assert await peer.status(via="127.0.0.1:5998") == 200
    assert (await lab.home.message(f"sip:bob@{AWAY}", "hello")).status in (500, 503)


# ---------------------------------------------------------------- SEC-15


async def test_a_handshake_that_stalls_is_ended(lab):
    await lab.run(limits={"handshake_timeout": "50ms"})
    stream = await lab.clear()
    with trio.fail_after(5):
        assert await stream.receive_some() == b""
    assert "did not finish it in time" in lab.trouble()


async def test_handshakes_count_as_connections(lab):
    await lab.run(limits={"max_connections_per_address": 3})
    stalled = [await lab.clear() for _ in range(3)]
    await trio.testing.wait_all_tasks_blocked()
    peer = await lab.connect(certificate(lab, "away"))
    assert await peer.status() in ("closed", "alert")
    await stalled[0].aclose()
    with trio.fail_after(5):
        while await (await lab.connect("peer")).status() != 200:
            await trio.testing.wait_all_tasks_blocked()


async def test_clear_text_is_told_so(lab):
    await lab.run()
    stream = await lab.clear()
    await stream.send_all(b"OPTIONS sip:a.example SIP/2.0\r\n\r\n")
    with trio.fail_after(5):
        while await stream.receive_some():
            pass
    assert "clear text, not TLS" in lab.trouble()


async def test_an_interface_without_a_usable_certificate_fails_and_says_why(lab):
    broken = lab.directory / "broken.crt"
    broken.write_text("nothing")
    tables = {"certificate": {"own": {"cert_file": broken, "key_file": broken}}}
    proxy = await lab.start(
        domains=[HOME],
        plugins=["tls"],
        interface={
            "far": {"bind": "127.0.0.1", "port": 0, "protocol": "mtls", "certificate": "own"}
        },
        **tables,
    )
    far = proxy.kernel.interfaces.named("far")
    assert far.status is Status.FAILED
    assert "holds no certificate" in far.reason


# ---------------------------------------------------------------- one peer is not the others


async def test_a_fault_with_one_connection_costs_no_other(lab, monkeypatch):
    """Neither the listener nor its neighbours; it is told with its traceback."""
    await lab.run()
    name = certificate(lab, "away")
    bugs = []
    lab.proxy.kernel.edge.on_bug = bugs.append
    good, bad = await lab.connect(name), await lab.connect(name)
    assert [await peer.status() for peer in (good, bad)] == [200, 200]
    victim = max((f for f in lab.proxy.kernel.flows if f.transport == "mtls"), key=lambda f: f.id)
    read = type(victim).read

    def breaks(flow, data):
        if flow is victim:
            raise RuntimeError("a bug")
        return read(flow, data)

    monkeypatch.setattr(type(victim), "read", breaks)
    assert await bad.status() in ("closed", "alert")
    assert [str(bug) for bug in bugs] == ["a bug"]
    assert await good.status() == 200
    assert await (await lab.connect(name)).status() == 200


async def test_a_fault_in_a_handshake_costs_no_other(lab, monkeypatch):
    await lab.run()
    name = certificate(lab, "away")
    bugs = []
    lab.proxy.kernel.edge.on_bug = bugs.append
    good = await lab.connect(name)
    assert await good.status() == 200
    examiner = lab.proxy.kernel.tls.examiner
    with monkeypatch.context() as patch:
        patch.setattr(examiner, "examine", lambda *args, **more: 1 / 0)
        assert await (await lab.connect(name)).status() in ("closed", "alert")
    assert [type(bug) for bug in bugs] == [ZeroDivisionError]
    assert [await good.status(), await (await lab.connect(name)).status()] == [200, 200]


async def test_a_connection_that_ended_before_it_was_served_is_let_go(lab):
    """What was sent first found it broken; its task begins afterwards."""
    await lab.run()
    peer = await lab.connect(certificate(lab, "away"))
    assert await peer.status() == 200
    [flow] = [f for f in lab.proxy.kernel.flows if f.transport == "mtls"]
    flow.close("cut by the test")
    await flow.serve()


# ---------------------------------------------------------------- batches


async def test_what_a_batch_answers_leaves_in_one_record_and_one_write(lab, monkeypatch):
    await lab.run()
    peer = await lab.connect(certificate(lab, "away"))
    assert await peer.status() == 200
    written = []
    put = Connection.put
    monkeypatch.setattr(
        Connection, "put", lambda self, data: (written.append(data), put(self, data))
    )
    host, port = lab.proxy.place("far")
    batch = "".join(
        f"OPTIONS sip:{host}:{port} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK-b{n}\r\n"
        f"From: <sip:bob@{AWAY}>;tag=1\r\nTo: <sip:{host}>\r\nCall-ID: b{n}\r\n"
        "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        for n in range(8)
    )
    await peer.stream.send_all(batch.encode())
    assert [(await peer.next()).status for _ in range(8)] == [200] * 8
    [record] = written
    assert record[0] == 23, "application data (RFC 8446 §5.1)"
    assert int.from_bytes(record[3:5]) == len(record) - 5, "one record"


# ---------------------------------------------------------------- renewal


async def test_certificates_are_renewed_without_dropping_a_connection(lab):
    """200 connections stay; new ones see the new certificate; a broken file changes nothing."""
    await lab.run(limits={"max_connections_per_address": 500})
    name = certificate(lab, "away")
    peers = [await lab.connect(name) for _ in range(200)]
    for peer in peers:
        await peer.stream.do_handshake()
    before = peers[0].stream.getpeercert()["serialNumber"]
    store = lab.proxy.kernel.certificates

    async def serial():
        peer = await lab.connect(name)
        await peer.stream.do_handshake()
        return peer.stream.getpeercert()["serialNumber"]

    lab.files("own", f"sip.{HOME}")
    assert store.look()
    after = await serial()
    assert after != before
    (lab.directory / "own.crt").write_text("broken")
    assert not store.look()
    assert "the last good one stays in use" in lab.trouble("certificate", "own")
    assert await serial() == after
    lab.files("own", f"sip.{HOME}")
    assert store.look()
    assert await serial() not in (before, after)
    assert lab.trouble("certificate", "own") == ""
    assert [await peer.status() for peer in peers] == [200] * 200


async def test_the_next_outgoing_connection_shows_the_new_certificate(lab):
    lab.files("peer", AWAY)
    async with listening(lab, "peer") as (peers, port):
        await lab.run(routes={AWAY: {"server": "127.0.0.1", "port": port, "protocol": "mtls"}})
        assert (await lab.home.message(f"sip:bob@{AWAY}", "one")).status == 200
        lab.files("own", f"sip.{HOME}")
        assert lab.proxy.kernel.certificates.look()
        assert (await lab.home.message(f"sip:bob@{AWAY}", "two")).status == 200
        assert len(peers) == 1, "the open connection stays"
        await peers[0].stream.transport_stream.aclose()
        assert (await lab.home.message(f"sip:bob@{AWAY}", "three")).status == 200
        shown = [peer.stream.getpeercert()["serialNumber"] for peer in peers]
        assert len(set(shown)) == 2


async def test_a_connection_ends_with_the_proof_it_was_made_with(lab):
    """Its certificate is revoked while it is open: it is told, and closed; others stay."""
    crl = lab.directory / "list.crl"
    crl.write_bytes(lab.ca.revoke())
    await lab.run(trust={"crl": [str(crl)]})
    revoked, good = lab.ca.leaf(dns=[AWAY]), lab.ca.leaf(dns=[AWAY])
    revoked.write(lab.directory, "revoked")
    good.write(lab.directory, "good")
    peers = [await lab.connect("revoked"), await lab.connect("good")]
    assert [await peer.status() for peer in peers] == [200, 200]
    crl.write_bytes(lab.ca.revoke(revoked))
    assert lab.proxy.kernel.certificates.look()
    lab.proxy.kernel.edge.sweep()
    assert await peers[0].status() in ("closed", "alert")
    assert "has revoked it" in lab.trouble()
    assert await peers[1].status() == 200


async def test_who_a_certificate_proves_is_not_remembered_beyond_its_authority(lab):
    """A route's ca is exchanged: the same certificate, still good for [trust], is a stranger."""
    path = lab.ca.write(lab.directory, "away-ca")
    await lab.run(routes={AWAY: {"server": "127.0.0.9", "protocol": "mtls", "ca": str(path)}})
    name = certificate(lab, "away")
    assert await (await lab.connect(name)).status() == 200
    Authority("Another CA").write(lab.directory, "away-ca")
    assert lab.proxy.kernel.certificates.look()
    assert await (await lab.connect(name)).status() == 403


async def test_a_closed_connection_leaves_nothing_of_openssl_behind(lab):
    """Without waiting for the garbage collector, or for the timers that still know the flow."""
    await lab.run()
    certificate(lab, "away")
    ours = []
    gc.disable()
    try:
        for _ in range(5):
            peer = await lab.connect("peer")
            assert await peer.status() == 200
            [flow] = [f for f in lab.proxy.kernel.flows if f.transport == "mtls"]
            ours.append(weakref.ref(flow.session._connection))
            del flow
            await trio.aclose_forcefully(peer.stream.transport_stream)
            with trio.fail_after(5):
                while any(f.transport == "mtls" for f in lab.proxy.kernel.flows):
                    await trio.testing.wait_all_tasks_blocked()
        assert [connection() for connection in ours] == [None] * 5
    finally:
        gc.enable()
