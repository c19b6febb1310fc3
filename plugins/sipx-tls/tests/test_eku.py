"""C-03: which extended key usages are taken, over the real transport, in both roles.

The certificates, and which of them Python's own ssl module would refuse, are those of the table
"Extended key usage in 2026" in docs/certificates.md. The peers are OpenSSL without any rules, so
every refusal is the proxy's.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager

import pytest
import trio
from OpenSSL import SSL

from sipx.testing import Authority, UdpCarrier, UserAgent

HOME, AWAY = "home.example", "away.example"
KINDS = {
    "serverAuth": ["serverAuth"],
    "serverAuth under a serverAuth-only authority": ["serverAuth"],
    "serverAuth and clientAuth": ["serverAuth", "clientAuth"],
    "clientAuth": ["clientAuth"],
    "no extension": None,
    "sipDomain": ["sipDomain"],
    "anyExtendedKeyUsage": ["any"],
}
ALL = frozenset(KINDS)
SERVERS = frozenset(kind for kind in KINDS if kind.startswith("serverAuth"))
TAKEN = {
    # policy: (when the peer connects to us, when we connect to it)
    "strict": (
        {"serverAuth and clientAuth", "clientAuth", "no extension"},
        SERVERS | {"no extension"},
    ),
    "federation": (ALL - {"anyExtendedKeyUsage"}, ALL - {"anyExtendedKeyUsage"}),
    "sip-only": ({"no extension", "sipDomain", "anyExtendedKeyUsage"},) * 2,
    "any": (ALL, ALL),
}


def written(directory, kind):
    """The certificate of a partner; the files that OpenSSL reads."""
    ca = Authority("Lab CA")
    ca.write(directory)
    issuer = Authority("for servers only", issuer=ca, eku=["serverAuth"]) if "under" in kind else ca
    issuer.leaf(dns=[AWAY], eku=KINDS[kind]).write(directory, "peer")
    return ca


def connection(directory, *, accepting):
    """OpenSSL that shows the partner's certificate and believes everybody."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(str(directory / "peer.crt"))
    context.use_privatekey_file(str(directory / "peer.key"))
    if accepting:
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    made = SSL.Connection(context, None)
    (made.set_accept_state if accepting else made.set_connect_state)()
    return made


async def speak(stream, tls, *, first=b"", answer=None):
    """Shake hands, send ``first``, answer what comes until the end; returns what came."""
    came, sent = b"", not first
    while True:
        try:
            tls.do_handshake()
            if not sent:
                sent = True
                tls.send(first)
            came += tls.recv(65536)
            if answer is not None and came.endswith(b"\r\n\r\n"):
                tls.send(answer(came))
            elif answer is None:
                return came
        except SSL.WantReadError:
            pass
        except SSL.Error:
            return came
        try:
            await stream.send_all(tls.bio_read(65536))
        except SSL.WantReadError:
            data = await stream.receive_some()
            if not data:
                return came
            tls.bio_write(data)
        except trio.BrokenResourceError:
            return came


def ok(request):
    """The 200 to a request, as bytes."""
    lines = request.split(b"\r\n")
    kept = [line for line in lines if line.startswith((b"Via", b"From", b"Call-ID", b"CSeq"))]
    to = next(line for line in lines if line.startswith(b"To:"))
    head = [b"SIP/2.0 200 OK", *kept, to + b";tag=1", b"Content-Length: 0", b"", b""]
    return b"\r\n".join(head)


@asynccontextmanager
async def proxy(directory, start, nursery, ca, *, policy, per_route, port=5999):
    """A proxy with this policy, on its interface or on its route."""
    home = UserAgent(f"sip:ada@{HOME}", UdpCarrier("127.0.0.3"))
    await nursery.start(home.serve)
    cert_file, key_file = ca.leaf(dns=[f"sip.{HOME}"]).write(directory, "own")
    far = {"bind": "127.0.0.1", "port": 0, "protocol": "mtls", "certificate": "own"}
    route = {"server": "127.0.0.1", "port": port, "protocol": "mtls"}
    # The other place has a policy that would decide the other way.
    far["eku_policy"] = ("strict" if policy == "any" else "any") if per_route else policy
    if per_route:
        route["eku_policy"] = policy
    running = await start(
        domains=[HOME],
        plugins=["tls"],
        interface={"near": {"bind": "127.0.0.1", "port": 0, "protocol": "udp"}, "far": far},
        certificate={"own": {"cert_file": cert_file, "key_file": key_file}},
        trust={"ca": str(directory / "ca.crt")},
        **{
            "static-routes": {
                "route": {
                    HOME: {"server": "127.0.0.3", "port": home.place[1], "trusted": True},
                    AWAY: route,
                }
            }
        },
    )
    home.proxy = running.place("near")
    yield running, home


CASES = list(itertools.product(TAKEN, KINDS, [False, True]))
NAMES = [f"{policy}-{kind}-{'route' if route else 'interface'}" for policy, kind, route in CASES]


@pytest.mark.parametrize(("policy", "kind", "per_route"), CASES, ids=NAMES)
async def test_a_peer_that_connects(tmp_path, sipx_on_loopback, nursery, policy, kind, per_route):
    ca = written(tmp_path, kind)
    async with proxy(
        tmp_path, sipx_on_loopback, nursery, ca, policy=policy, per_route=per_route
    ) as (running, _):
        request = (
            f"MESSAGE sip:ada@{HOME} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK-1\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:bob@{AWAY}>;tag=1\r\nTo: <sip:ada@{HOME}>\r\n"
            "Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        async with await trio.open_tcp_stream(*running.place("far")) as stream:
            with trio.fail_after(10):
                came = await speak(stream, connection(tmp_path, accepting=False), first=request)
        trouble = running.kernel.troubles.of("interface", "far")
        if kind in TAKEN[policy][0]:
            assert came.startswith(b"SIP/2.0 200 ")
            assert trouble is None
        elif per_route and policy != "any":
            # The interface lets it in; that it is this partner its policy does not allow.
            assert came.startswith(b"SIP/2.0 403 ")
        else:
            assert came == b""
            assert "extended key usage is" in trouble.text
            assert f"the policy {policy} wants" in trouble.text
            assert "[row 2]" in trouble.text


@pytest.mark.parametrize(("policy", "kind", "per_route"), CASES, ids=NAMES)
async def test_a_peer_that_we_connect_to(
    tmp_path, sipx_on_loopback, nursery, policy, kind, per_route
):
    ca = written(tmp_path, kind)

    async def serve(stream):
        async with stream:
            await speak(stream, connection(tmp_path, accepting=True), answer=ok)

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, serve, [listener])
    port = listener.socket.getsockname()[1]
    async with proxy(
        tmp_path, sipx_on_loopback, nursery, ca, policy=policy, per_route=per_route, port=port
    ) as (_, home):
        answer = await home.message(f"sip:bob@{AWAY}", "")
        if kind in TAKEN[policy][1]:
            assert answer.status == 200
        else:
            assert answer.status == 502
            assert f"the policy {policy} wants" in answer.get(b"Warning").decode()
