"""A registrar without a kernel: what it holds of one, a flow, and REGISTERs as bytes."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

from sipx_registrar import Registrar, RegistrarConfig, events

from sipx import Account, Binding, Sender, SenderKind, UserSet
from sipx.sip import parse_datagram

EPOCH = 1_800_000_000.0
CONTACT = "<sip:alice@10.0.0.11:5060>"


class FakeProxy:
    """A clock that is turned by hand, and ears for what is told of registrations."""

    def __init__(self, state_dir=None, domains=("home.example",)):
        self.domains = frozenset(domain.encode() for domain in domains)
        self.state_dir = state_dir or Path("/nonexistent")
        self.log = logging.LoggerAdapter(logging.getLogger("sipx.plugin.registrar"), {})
        self.time = 0.0
        self.known = []
        self.events = []
        self.troubles = {}
        self.store = None

    def now(self):
        return self.time

    def wall(self):
        return EPOCH + self.time

    def accounts(self):
        return tuple(self.known)

    def location_store(self):
        return self.store

    def report(self, event):
        if type(event).__module__ == events.__name__:
            self.events.append(event)

    def note_trouble(self, kind, name, text):
        self.troubles[kind, name] = text


class FakeFlow:
    """A connection from a UC server."""

    def __init__(self, account="berlin", address="10.0.0.11", port=5060, transport="tcp"):
        self.transport = transport
        self.address = address
        self.port = port
        self.closed = self.outbound = False
        self.account = account
        self.account_until = 0.0
        self.interface = SimpleNamespace(
            name="lan", uri=lambda user: b"sip:10.0.0.1:5060;transport=tcp;lr"
        )


def an_account(name="berlin", *, users=("alice", "bob", "+49*"), logon=b"uc-berlin", **more):
    patterns = None if users is None else UserSet(users)
    kind = more.pop("kind", SenderKind.UC_SERVER)
    return Account(name=name, kind=kind, users=patterns, logon=logon, **more)


def a_register(
    to="sip:alice@home.example",
    *contacts,
    uri="sip:home.example",
    sender=None,
    call_id="a@berlin",
    cseq=1,
    expires=None,
    headers=(),
    via=1,
):
    """A REGISTER, parsed. ``contacts`` are whole values; without one it is a question."""
    lines = [
        f"REGISTER {uri} SIP/2.0",
        *[f"Via: SIP/2.0/TCP 10.0.0.{n};branch=z9hG4bK{cseq}{n}" for n in range(via)],
        "Max-Forwards: 70",
        f"From: <{sender or to}>;tag=f",
        f"To: <{to}>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        *[f"Contact: {contact}" for contact in contacts],
        *([] if expires is None else [f"Expires: {expires}"]),
        *headers,
        "Content-Length: 0",
        "",
        "",
    ]
    return parse_datagram("\r\n".join(lines).encode())


def a_binding(aor=b"alice@home.example", contact=b"sip:alice@10.0.0.11:5060", **more):
    values = {
        "owner": "berlin",
        "call_id": b"a@berlin",
        "cseq": 1,
        "expires": EPOCH + 3600,
        "since": EPOCH,
        "interface": "lan",
        "transport": "tcp",
        "address": "10.0.0.11",
        "port": 5060,
        "user_agent": b"UC",
    }
    return Binding(aor, contact, **{**values, **more})


class Desk:
    """A registrar whose registrations are in memory, its accounts and their flows."""

    def __init__(self, proxy=None, **config):
        self.proxy = proxy or FakeProxy()
        values = {"store": "memory", **config}
        self.config = RegistrarConfig.model_validate(values)
        self.plugin = Registrar(self.config, self.proxy)
        self.plugin.writing.store = self.plugin.store
        self.bindings = self.plugin.bindings
        self.cseq = 0
        self.flows = {}
        self.berlin = self.add(an_account())

    def add(self, account):
        """An account, and a flow that it has proven itself on."""
        self.proxy.known.append(account)
        self.flows[account.name] = FakeFlow(account.name, f"10.0.0.{11 + len(self.flows)}", 5060)
        return account

    def flow(self, account=None):
        return self.flows[(account or self.berlin).name]

    def take(self, request, account=None, flow=None):
        """What the plugin answers at once."""
        account = account or self.berlin
        sender = Sender(
            account.kind, account.name, self.proxy.domains, trusted=True, account=account
        )
        return self.plugin.serve_request(request, sender, flow or self.flow(account))

    def register(self, to="sip:alice@home.example", *contacts, by=None, flow=None, **more):
        """Send a REGISTER with the next CSeq; the response."""
        self.cseq += 1
        more.setdefault("cseq", self.cseq)
        return self.take(a_register(to, *contacts, **more), by, flow)

    def contacts(self, aor=b"alice@home.example"):
        return [each.contact for each in self.bindings.of(aor)]


def why(response):
    """The words of the Warning header."""
    value = response.get(b"Warning")
    return "" if value is None else value.decode().partition('"')[2].rstrip('"')
