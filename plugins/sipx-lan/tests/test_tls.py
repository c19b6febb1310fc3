"""Certificates and passwords over real TLS: rows 4, 13 to 16 and 10 of docs/trust.md."""

from __future__ import annotations

import hashlib
import ssl

import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sipx_lan import LoggedOn

from sipx import LAN_SIDE, Config, NextHop, SenderKind, Target, hookimpl
from sipx.sip import Request
from sipx.testing import Authority, TlsCarrier, UserAgent

HOME, AWAY = "home.example", "away.example"
MESSAGE = "sip:peer@away.example"


class TlsWithout(TlsCarrier):
    """A client that has no certificate."""

    def __init__(self, bind, port, *, ca, **files):
        super().__init__(bind, port, ca=ca, **files)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.check_hostname = False
        self._client.load_verify_locations(ca)


class Lab:
    """A proxy whose accounts log on over TLS."""

    def __init__(self, directory, start, nursery, client_of, registrar):
        self.directory, self.start, self.nursery = directory, start, nursery
        self.client_of, self.registrar = client_of, registrar
        self.ca = Authority("Lab CA")
        self.ca.write(directory)
        self.proxy = self.away = self.stub = None

    async def run(self, protocol, *, domains=(HOME,), tables=None, **lan):
        cert, key = self.ca.leaf(dns=[f"sip.{HOME}"]).write(self.directory, "own")
        self.proxy = await self.start(
            domains=list(domains),
            plugins=["tls"],
            interface={"near": {"bind": "127.0.0.1", "port": 0, "protocol": "udp"}},
            certificate={"own": {"cert_file": cert, "key_file": key}},
            trust={"ca": str(self.directory / "ca.crt")},
            **{
                **(tables or {}),
                "lan": {
                    "bind": "127.0.0.1",
                    "port": 0,
                    "protocol": protocol,
                    "certificate": "own",
                    **lan,
                },
            },
        )
        self.stub = self.registrar(self.proxy)
        self.proxy.kernel.hooks.register("stub-registrar", self.stub)
        self.away = await self.proxy.open_peer(AWAY)
        return self.proxy

    async def client(
        self, user, password, *, shows="", issuer=None, carrier=TlsCarrier, bind="127.0.0.2"
    ):
        files = (issuer or self.ca).leaf(dns=[shows or "nobody.example"])
        cert, key = files.write(self.directory, shows or "nobody")
        made = carrier(bind, 0, cert_file=cert, key_file=key, ca=self.directory / "ca.crt")
        agent = UserAgent(f"sip:{user}@{HOME}", made)
        await self.nursery.start(agent.serve)
        agent.proxy = self.proxy.place("lan")
        return self.client_of(agent, user, password)

    def events(self, kind):
        return [event for _, event in self.proxy.events if isinstance(event, kind)]


@pytest.fixture
def lab(tmp_path, nursery, sipx_on_loopback, client_of, registrar):
    return Lab(tmp_path, sipx_on_loopback, nursery, client_of, registrar)


# ---------------------------------------------------------------- mtls, row 4


async def test_a_certificate_is_a_logon(lab):
    await lab.run("mtls", server={"berlin": {"certificate": "uc.berlin.example"}})
    server = await lab.client("berlin", "", shows="uc.berlin.example")
    request = server.agent.new("MESSAGE", MESSAGE, sender=f"sip:alice@{HOME}")
    assert (await server.agent.send(request)).status == 200
    assert (await server.register()).status == 200
    [sender] = lab.stub.senders
    assert (sender.kind, sender.row, sender.trusted) == (SenderKind.UC_SERVER, 4, True)
    assert sender.name == sender.account.name == "berlin"
    [event] = lab.events(LoggedOn)
    assert (event.account, event.how) == ("berlin", "certificate")
    [flow] = [flow for flow in lab.proxy.kernel.flows if flow.transport == "mtls"]
    assert flow.peer.name == "berlin"


async def test_a_certificate_that_names_nobody_is_refused_without_a_question(lab):
    server = {"berlin": {"certificate": "uc.berlin.example"}, "b": {"password": "b"}}
    await lab.run("mtls", server=server)
    stranger = await lab.client("b", "b", shows="other.example")
    response = await stranger.message()
    assert response.status == 403
    assert not response.get_all(b"Proxy-Authenticate")


async def test_a_certificate_of_a_foreign_authority_is_no_logon(lab):
    await lab.run("mtls", server={"berlin": {"certificate": "uc.berlin.example"}})
    issued = Authority("Lab CA").leaf(dns=["uc.berlin.example"])
    cert, key = issued.write(lab.directory, "forged")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(lab.directory / "ca.crt")
    context.load_cert_chain(cert, key)
    raw = await trio.open_tcp_stream(*lab.proxy.place("lan"))
    stream = trio.SSLStream(raw, context)
    # TLS 1.3: the client has shaken hands before the server has seen its certificate.
    await stream.do_handshake()
    with pytest.raises(trio.BrokenResourceError) as ended:
        await stream.receive_some()
    assert "alert" in str(ended.value.__cause__)
    await trio.aclose_forcefully(raw)
    assert lab.events(LoggedOn) == []


async def test_with_a_password_besides_both_are_needed(lab):
    both = {"certificate": "uc.berlin.example", "password": "b"}
    other = {"certificate": "uc.leipzig.example", "password": "l"}
    await lab.run("mtls", server={"berlin": both, "leipzig": other})
    server = await lab.client("berlin", "b", shows="uc.berlin.example")
    request = server.agent.new("MESSAGE", MESSAGE, sender=f"sip:alice@{HOME}")
    asked = await server.agent.send(request)
    assert asked.status == 407
    # The right password of another account does not help here.
    statuses = [(await server.message(user="leipzig", password="l")).status for _ in range(3)]
    assert statuses == [407, 407, 403]
    assert (await server.agent.send(server.answer(request, asked))).status == 200
    assert (await server.register()).status == 200
    assert [sender.row for sender in lab.stub.senders] == [4]


async def test_a_pinned_key_needs_no_authority(lab):
    foreign = Authority("somebody's own")
    issued = foreign.leaf(dns=["whatever.example"])
    spki = issued.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    await lab.run("mtls", server={"berlin": {"pins": hashlib.sha256(spki).hexdigest()}})
    cert, key = issued.write(lab.directory, "pinned")
    carrier = TlsCarrier("127.0.0.2", 0, cert_file=cert, key_file=key, ca=lab.directory / "ca.crt")
    agent = UserAgent(f"sip:berlin@{HOME}", carrier)
    await lab.nursery.start(agent.serve)
    agent.proxy = lab.proxy.place("lan")
    assert (await agent.request("MESSAGE", MESSAGE)).status == 200


async def test_a_certificate_is_good_on_the_wan_side_too(lab):
    far = {"bind": "127.0.0.1", "port": 0, "protocol": "mtls", "certificate": "own"}
    near = {"bind": "127.0.0.1", "port": 0, "protocol": "udp"}
    proxy = await lab.start(
        domains=[HOME],
        plugins=["tls"],
        interface={"near": near, "far": far},
        certificate={
            "own": dict(
                zip(
                    ("cert_file", "key_file"),
                    lab.ca.leaf(dns=[f"sip.{HOME}"]).write(lab.directory, "own"),
                    strict=True,
                )
            )
        },
        trust={"ca": str(lab.directory / "ca.crt")},
        lan={"server": {"berlin": {"certificate": "uc.berlin.example"}}},
    )
    lab.proxy = proxy
    await proxy.open_peer(AWAY)
    agents = []
    for shows in ("uc.berlin.example", "other.example"):
        cert, key = lab.ca.leaf(dns=[shows]).write(lab.directory, shows)
        carrier = TlsCarrier(
            "127.0.0.2", 0, cert_file=cert, key_file=key, ca=lab.directory / "ca.crt"
        )
        agent = UserAgent(f"sip:berlin@{HOME}", carrier)
        await lab.nursery.start(agent.serve)
        agent.proxy = proxy.place("far")
        agents.append(agent)
    assert (await agents[0].request("MESSAGE", MESSAGE)).status == 200
    assert (await agents[1].request("MESSAGE", MESSAGE)).status == 403


# ---------------------------------------------------------------- tls, rows 13 to 16


async def test_over_tls_a_password_is_asked_for_and_enough(lab):
    await lab.run("tls", user="ucserver", password="s")
    server = await lab.client("ucserver", "s", carrier=TlsWithout)
    assert (await server.register()).status == 200
    assert [sender.row for sender in lab.stub.senders] == [15]
    guesser = await lab.client("ucserver", "wrong", carrier=TlsWithout, bind="127.0.0.4")
    assert [(await guesser.message()).status for _ in range(3)] == [407, 407, 403]


async def test_a_route_without_trust_is_authorised_over_tls(lab):
    route = {"server": "127.0.0.2", "protocol": "tls"}
    tables = {"static-routes": {"route": {"partner.example": route}}}
    gate = {"kind": "partner", "password": "g", "routes": ["partner.example"]}
    await lab.run("tls", tables=tables, user="ucserver", password="s", server={"gate": gate})
    seen = []

    class Senders:
        Config = Config

        @hookimpl
        def serve_request(self, request, sender, flow):
            seen.append(sender)
            return request.reply(200)

    lab.proxy.kernel.hooks.register("senders", Senders())
    client = await lab.client("gate", "g", carrier=TlsWithout)
    sent = await client.send("OPTIONS", f"sip:{HOME}", sender="sip:ann@partner.example")
    assert sent.status == 200
    assert [(sender.row, sender.trusted, sender.name) for sender in seen] == [
        (13, False, "partner.example")
    ]
    client.password = "wrong"
    statuses = [
        (await client.send("OPTIONS", f"sip:{HOME}", sender="sip:ann@partner.example")).status
        for _ in range(3)
    ]
    assert statuses == [407, 407, 403]


async def test_a_trusted_route_over_tls_is_asked_nothing_though_it_has_an_account(lab):
    route = {"server": "127.0.0.2", "protocol": "tls", "trusted": True}
    tables = {"static-routes": {"route": {"partner.example": route}}}
    gate = {"kind": "partner", "password": "g", "routes": ["partner.example"]}
    await lab.run("tls", tables=tables, user="ucserver", password="s", server={"gate": gate})
    client = await lab.client("gate", "g", carrier=TlsWithout)
    request = client.agent.new("REGISTER", f"sip:{HOME}", sender="sip:ann@partner.example")
    assert (await client.agent.send(request)).status != 401
    options = client.agent.new("OPTIONS", f"sip:{HOME}", sender="sip:ann@partner.example")
    assert (await client.agent.send(options)).status == 200
    verdict_of = lab.proxy.plugin("static-routes").authenticate_request
    [flow] = [flow for flow in lab.proxy.kernel.flows if flow.address == "127.0.0.2"]
    verdict = verdict_of(options, flow)
    assert (verdict.sender.row, verdict.sender.trusted, verdict.authorise) == (12, True, False)


# ---------------------------------------------------------------- sipx connects


@pytest.mark.parametrize("protocol", ["mtls", "tls"])
async def test_a_server_that_sipx_connects_to_is_known_by_its_certificate(lab, protocol):
    cert, key = lab.ca.leaf(dns=["uc.berlin.example"]).write(lab.directory, "uc")
    carrier = TlsCarrier("127.0.0.2", 0, cert_file=cert, key_file=key, ca=lab.directory / "ca.crt")
    if protocol == "tls":
        carrier._server.verify_mode = ssl.CERT_NONE
    uc = UserAgent(f"sip:berlin@{HOME}", carrier)
    await lab.nursery.start(uc.serve)
    host, port = uc.place
    server = {"server": host, "port": port, "certificate": "uc.berlin.example"}
    await lab.run(protocol, server={"berlin": server})
    [account] = lab.proxy.plugin("lan").accounts()
    assert account.hop == NextHop(host, port, protocol, LAN_SIDE)
    handle = lab.proxy.plugin("lan")._proxy
    target = Target(hops=(account.hop,), partner=account.partner, name=account.name)
    with trio.fail_after(10):
        flow = await handle.open_flow(target)
    assert flow.outbound
    assert flow.peer.name == "berlin"
    request = Request.build(
        b"MESSAGE",
        MESSAGE.encode(),
        [
            (b"From", f"<sip:alice@{HOME}>;tag=1".encode()),
            (b"To", b"<sip:peer@away.example>"),
            (b"Call-ID", b"1"),
            (b"CSeq", b"1 MESSAGE"),
        ],
    )
    verdict = lab.proxy.plugin("lan").authorise_request(request, flow, None)
    assert verdict.sender.name == "berlin"
    assert (verdict.sender.row, verdict.authorise) == (4, False)
