"""Cells of the trust matrix end to end: real sockets, certificates, DNS, passwords.

tests/test_trust_matrix.py judges every cell as facts. Here some forty of them are built: what the
pure function says of the facts is what the proxy has to answer, to log, and to explain.
"""

from __future__ import annotations

import logging
import re
import ssl
from datetime import timedelta

import pytest

from sipx import hookimpl
from sipx.testing import Logon, TcpCarrier, TlsCarrier, UdpCarrier, UserAgent, dns_server
from sipx.testing.proxy import PEERS
from sipx.testing.registering import with_credentials
from sipx.trust import Action, decide_incoming

from .open_federation.lab import ADA, AWAY, HOME, OTHER, SERVICE, Lab, authority, why
from .test_trust_matrix import Cell, facts_of

COVERED = "covered.example"
SECURE = ("tls", "mtls")
PLACE = "127.0.0.9"
PASSWORD = "correct horse"
FROM = {"ours": HOME, "other": OTHER}

# fmt: off
CELLS = (
    Cell("mtls"),
    Cell("mtls", cert="bad ca"),
    Cell("mtls", cert="bad expired"),
    Cell("mtls", cert="bad early"),
    Cell("mtls", cert="bad revoked"),
    Cell("mtls", cert="bad eku"),
    Cell("mtls", cert="bad name"),
    Cell("mtls", cert="ok route", route="row"),
    Cell("mtls", cert="ok route", route="row", open=True),
    Cell("mtls", cert="ok route", route="row", sender="other"),
    Cell("mtls", cert="ok route", route="row", sender="ours", open=True),
    Cell("mtls", cert="ok route", route="row", target="foreign"),
    Cell("mtls", cert="ok route", route="two"),
    Cell("mtls", cert="ok route", route="two", sender="other", open=True),
    Cell("mtls", cert="ok route", route="inactive"),
    Cell("mtls", cert="ok both", route="row", open=True),
    Cell("mtls", cert="ok both", route="row", sender="other", open=True),
    Cell("mtls", cert="ok both", route="inactive", open=True),
    Cell("mtls", cert="ok both", route="off", open=True),
    Cell("mtls", cert="ok 5922", open=True),
    Cell("mtls", cert="ok 5922", route="row", open=True),
    Cell("mtls", cert="ok 5922"),
    Cell("mtls", cert="ok 5922", sender="ours", open=True),
    Cell("mtls", cert="ok 5922", open=True, target="foreign"),
    Cell("mtls", cert="ok 5922", open=True, blocked=True),
    Cell("mtls", cert="ok suffix", open=True),
    Cell("mtls", cert="ok hosting", open=True),
    Cell("mtls", cert="ok wrong", open=True),
    Cell("mtls", cert="ok dns failed", open=True),
    Cell("mtls", cert="ok no srv", open=True),
    Cell("mtls", "lan", cert="ok entry", lan_user=False, sender="ours"),
    Cell("mtls", "lan", cert="ok entry", sender="ours"),
    Cell("mtls", "lan", cert="ok entry", auth="valid", sender="ours"),
    Cell("tls", cert="ok route", route="row"),
    Cell("tls", cert="bad ca", route="row", flag=True),
    Cell("tls", route="row", flag=True),
    Cell("tls", route="row", auth="valid"),
    Cell("tls", route="row"),
    Cell("tls", route="row", auth="stale"),
    Cell("tls", route="row", auth="wrong"),
    Cell("tls", route="row", auth="wrong again"),
    Cell("tls", "lan", auth="valid", sender="ours"),
    Cell("tls", "lan", sender="ours"),
    Cell("tls", open=True),
    Cell("tls", cert="ok 5922", open=True),
    Cell("tcp", route="row", flag=True),
    Cell("tcp", route="row", auth="valid"),
    Cell("tcp", route="row", flag=True, sender="ours", open=True),
    Cell("tcp", route="two", flag=True, sender="other", open=True),
    Cell("tcp", open=True),
    Cell("tcp", "lan", auth="valid", sender="ours"),
    Cell("tcp", "lan", passwordless="listed", sender="ours"),
    Cell("udp", route="row", flag=True),
    Cell("udp", route="row"),
    Cell("udp", route="inactive", flag=True, open=True),
    Cell("udp", route="off", flag=True, open=True),
    Cell("udp", "lan", sender="ours"),
    Cell("udp", open=True),
)
# fmt: on


def title(cell: Cell) -> str:
    usual = Cell(cell.protocol)
    told = [f"{k}={v}" for k, v in cell._asdict().items() if getattr(usual, k) != v]
    return " ".join([cell.protocol, *told])


class Witness:
    """Sees who is accepted, and by which row."""

    def __init__(self) -> None:
        self.rows = []

    @hookimpl
    def determine_targets(self, request, sender):
        self.rows.append(sender.row)


class Bare(TlsCarrier):
    """A client without a certificate."""

    def __init__(self, bind, port, *, ca, **files):
        super().__init__(bind, port, ca=ca, **files)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.check_hostname = False
        self._client.load_verify_locations(ca)


class Site:
    """A cell that was built: the proxy, and the peer whose request is judged."""

    def __init__(self, lab, cell):
        self.lab, self.cell = lab, cell
        self.witness = Witness()
        self.chain = ()
        opened = cell.cert.startswith("ok ") and cell.cert not in ("ok route", "ok both")
        self.domain = FROM.get(cell.sender, AWAY if opened else COVERED)
        self.user = "cheap" if cell.passwordless != "none" else "bob"

    # ------------------------------------------------------------ what is there

    def certificate(self):
        """The certificate of the peer, and the DNS records that go with it."""
        lab, cert = self.lab, self.cell.cert
        if cert == "bad ca":
            return authority("Unknown CA").leaf(dns=[f"sip.{AWAY}"])
        if cert in ("bad expired", "bad early"):
            days = 30 if cert == "bad early" else -120
            begin = lab.ca.now + timedelta(days=days)
            end = begin + timedelta(days=90)
            return lab.ca.leaf(dns=[f"sip.{AWAY}"], not_before=begin, not_after=end)
        if cert == "bad eku":
            return lab.ca.leaf(dns=[f"sip.{AWAY}"], eku=["1.3.6.1.5.5.7.3.3"])
        if cert in ("ok suffix", "ok hosting"):
            host = f"sip.{AWAY}" if cert == "ok suffix" else "sipfed.online.lync.com"
            lab.publish(AWAY, host, 5061, PLACE)
            return lab.ca.leaf(dns=[host])
        if cert == "ok dns failed":
            lab.dns.fail(f"{SERVICE}.{AWAY}")
        names = {
            "bad name": "*.away.example",
            "ok route": "edge.carrier.example",
            "ok both": COVERED,
            "ok 5922": AWAY,
            "ok wrong": "sip.evil.example",
            "ok entry": "uc.berlin.example",
        }
        return lab.ca.leaf(dns=[names.get(cert, f"sip.{AWAY}")])

    def routes(self):
        """Both by certificate and by address it is the peer's."""
        cell = self.cell
        if cell.route == "none":
            return {}
        servers = ["edge.carrier.example"] if cell.cert.startswith("ok") else [PLACE]
        row = {"server": servers, "protocol": cell.protocol, "enabled": cell.route != "inactive"}
        row["trusted"] = cell.flag or cell.protocol == "mtls"
        if cell.route == "two":
            return {"first.example": row, COVERED: row}
        return {COVERED: row}

    def accounts(self):
        """[lan]: the accounts, at an interface of its own."""
        cell = self.cell
        guest = {"kind": "partner", "password": PASSWORD, "routes": [COVERED]}
        berlin = {"certificate": "uc.berlin.example"}
        if cell.lan_user and cell.cert == "ok entry":
            berlin["password"] = PASSWORD
        server = {"berlin": berlin, "leipzig": {"password": PASSWORD}}
        if cell.route != "none":
            server["guest"] = guest
        if cell.passwordless == "listed":
            server["cheap"] = {"addresses": [f"{PLACE}/32"]}
        return {"bind": "127.0.0.1", "port": 0, "protocol": "tcp", "server": server}

    async def start(self):
        lab, cell = self.lab, self.cell
        issued = self.certificate()
        crl = lab.directory / "ca.crl"
        crl.write_bytes(lab.ca.revoke(*([issued] if cell.cert == "bad revoked" else [])))
        edge = {"bind": "127.0.0.1", "port": 0, "protocol": cell.protocol, "role": cell.role}
        if cell.protocol in SECURE:
            edge["certificate"] = "own"
            if cell.cert != "none":
                self.chain = (issued.certificate,)
        elsewhere = {"edge": edge}
        tables = lab.tables(
            interface={} if self.at == "federation" else elsewhere,
            trust={"crl": [str(crl)]},
            enabled=cell.open,
            providers=["online.lync.com"],
            deny=[AWAY] if cell.blocked else [],
        )
        tables["static-routes"] = {"enabled": cell.route != "off", "route": self.routes()}
        order = ("udp", "tcp", "tls", "lan", "static-routes", "open-federation")
        self.proxy = await lab.start(
            domains=[HOME], plugins=list(order), lan=self.accounts(), **tables
        )
        lab._proxy = self.proxy
        hooks = self.proxy.kernel.hooks
        hooks._order.insert(0, "witness")
        hooks.register("witness", self.witness)
        await lab.nursery.start(lab.ada.serve)
        self.proxy.plugin(PEERS).add(HOME.encode(), "udp", lab.ada.place)
        cert, key = issued.write(lab.directory, "peer")
        if cell.protocol in SECURE:
            kind = TlsCarrier if cell.cert != "none" else Bare
            carrier = kind(PLACE, 0, cert_file=cert, key_file=key, ca=lab.ca_file)
        else:
            carrier = {"udp": UdpCarrier, "tcp": TcpCarrier}[cell.protocol](PLACE)
        self.peer = UserAgent(f"sip:{self.user}@{self.domain}", carrier)
        await lab.nursery.start(self.peer.serve)
        self.peer.proxy = self.proxy.place(self.at)
        self.files = (cert, key) if cell.cert != "none" else None

    @property
    def at(self):
        """The interface where the peer comes in."""
        cell = self.cell
        return "federation" if (cell.protocol, cell.role) == ("mtls", "wan") else "edge"

    # ------------------------------------------------------------ what is asked

    @property
    def to(self):
        return ADA if self.cell.target == "ours" else f"sip:x@{OTHER}"

    async def ask(self):
        """The final answer to the request, with the credentials of the cell."""
        account = "guest" if self.cell.route != "none" else "leipzig"
        account = "berlin" if self.cell.cert == "ok entry" else account
        request = self.peer.new("MESSAGE", self.to)
        response = await self.peer.send(request)
        match self.cell.auth:
            case "valid":
                logon = Logon(account, PASSWORD)
                return await self.peer.send(logon.answered(request, response))
            case "stale":
                return await self.stale(Logon(account, PASSWORD), request, response)
            case "wrong" | "wrong again":
                for _ in range(3 if self.cell.auth == "wrong again" else 1):
                    logon = Logon(account, "wrong")
                    response = await self.peer.send(logon.answered(request, response))
        return response

    async def stale(self, logon, request, response):
        """Right credentials, for the second time with the same count."""
        again = logon.answered(request, response)
        assert (await self.peer.send(again)).status == 200
        self.lab.ada.received.clear()
        self.witness.rows.clear()
        used = again.get(b"Proxy-Authorization")
        return await self.peer.send(with_credentials(again, b"Proxy-Authorization", used))

    async def explained(self):
        """What `sipx routes explain` says of the same request without credentials."""
        told = await self.lab.explain(
            self.to,
            source=self.peer.place,
            from_uri=self.peer.uri,
            interface=self.at,
            chain=self.chain,
        )
        [arrival] = told.arrivals
        return arrival


def logged_rows(caplog):
    return {int(row) for row in re.findall(r"\[row (\d+)\]", caplog.text)}


@pytest.fixture
async def built(tmp_path, sipx_on_loopback, nursery, request):
    async with dns_server() as dns:
        site = Site(Lab(tmp_path, sipx_on_loopback, nursery, dns), request.param)
        await site.start()
        yield site


@pytest.mark.parametrize("built", CELLS, indirect=True, ids=title)
async def test_a_cell_is_answered_logged_and_explained_as_the_table_says(built, caplog):
    cell, lab = built.cell, built.lab
    expected = decide_incoming(facts_of(cell))
    caplog.set_level(logging.INFO, "sipx")
    if expected.action is Action.CLOSE:
        ended = await lab.knock(built.files, place=built.at)
        assert ended or cell.cert == "bad name"
        assert f"[row {expected.row}]" in lab.trouble("interface", built.at)
        assert not lab.ada.received
    else:
        response = await built.ask()
        assert response.status == (expected.status or 200), why(response)
        accepted = expected.action is Action.ACCEPT
        assert lab.ada.received == ({"MESSAGE": 1} if accepted else {})
        assert built.witness.rows == ([expected.row] if accepted else [])
        if not accepted:
            assert logged_rows(caplog) >= {expected.row}
        if expected.action is Action.REFUSE and expected.row in range(5, 10):
            words = expected.reason.partition(" (the route")[0]
            assert words in why(response).replace("relaying denied", words)
        assert expected.stale == (b"stale=true" in (response.get(b"Proxy-Authenticate") or b""))
    arrival = await built.explained()
    unasked = decide_incoming(facts_of(cell._replace(auth="none")))
    assert (arrival.row, arrival.accepted) == (unasked.row, unasked.action is Action.ACCEPT)
    status = 403 if unasked.action is Action.CLOSE else unasked.status or 0
    assert arrival.status == status, arrival.why


def test_the_cells_are_many_different_and_reach_the_rows_that_can_be_built():
    """Rows 27 and 28 are about dialogs, which other tests have."""
    assert len(set(CELLS)) == len(CELLS) >= 40
    decided = [decide_incoming(facts_of(cell)) for cell in CELLS]
    rows = {row for decision in decided for row in (decision.row, *decision.through)}
    assert rows == set(range(1, 30)) - {27, 28}
    assert {cell.protocol for cell in CELLS} == {"udp", "tcp", "tls", "mtls"}
    assert {cell.cert for cell in CELLS} >= {
        "none", "bad ca", "bad expired", "bad early", "bad revoked", "bad eku", "bad name",
        "ok route", "ok 5922", "ok suffix", "ok hosting", "ok wrong",
    }  # fmt: skip
    assert {cell.route for cell in CELLS} >= {"none", "row", "inactive", "two"}
    assert {cell.auth for cell in CELLS} >= {"none", "valid", "stale", "wrong"}
    assert {cell.sender for cell in CELLS} == {"ours", "covered", "other"}
    assert {cell.open for cell in CELLS} == {True, False} == {cell.flag for cell in CELLS}
