"""A kernel and STUN servers that only say what a test wants."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import trio
from sipx_stun.behaviour import Filtering, Mapping, NatType
from sipx_stun.client import Detection
from sipx_stun.config import StunConfig

from sipx import ResolveError, SrvAnswer, SrvRecord

ONE, TWO = "203.0.113.1", "203.0.113.2"
INSIDE = "10.99.1.2"
EPOCH = 1_800_000_000.0


class PublicAddress(NamedTuple):
    """What an interface is advertised as, as the kernel's configuration has it."""

    host: str
    port: int | None = None


def interface(name="federation", bind="*", *, advertises=True, role="wan", **more):
    """What the status shows of an interface."""
    shown = {
        "protocol": "mtls", "state": "listening", "reason": "", "address": "0.0.0.0", "port": 5061,
        "configured_port": 5061, "advertised": "",
    }  # fmt: skip
    return SimpleNamespace(name=name, bind=bind, advertises=advertises, role=role, **(shown | more))


class Records:
    """A resolver that knows the records of a.example, and addresses of hosts."""

    def __init__(self):
        self.hosts = {}
        self.srv = {}

    async def service(self, name):
        target = self.srv.get(name.removeprefix("_sipfederationtls._tcp."))
        if isinstance(target, Exception):
            raise target
        if target is None:
            raise ResolveError("nodata", f"{name} has no SRV record")
        return SrvAnswer((SrvRecord(0, 0, 5061, target),), EPOCH, "", False, "")

    async def addresses(self, host):
        if host not in self.hosts:
            raise ResolveError("nxdomain", f"{host} does not exist")
        return tuple(self.hosts[host])

    def alias_of(self, host):
        return ""


class Kernel:
    """What the plugin holds of the kernel; ``noted`` are the addresses it was handed, in order."""

    def __init__(self, state_dir, *interfaces):
        self.state_dir = state_dir
        self.interfaces = list(interfaces)
        self.wan = SimpleNamespace(use_public_address=True, public_address="auto", public_port=None)
        self.public = ()
        self.tables = {}
        self.domains = frozenset({b"a.example"})
        self.resolver = Records()
        self.log = logging.LoggerAdapter(logging.getLogger("sipx.plugin.stun"))
        self.noted, self.troubles, self.events = [], {}, []

    @property
    def config(self):
        return SimpleNamespace(wan=self.wan, interface=self.tables)

    def status(self):
        public = SimpleNamespace(
            used=self.wan.use_public_address,
            setting=self.wan.public_address,
            addresses=self.public,
            found=self.noted[-1] if self.noted else {},
        )
        return SimpleNamespace(interfaces=tuple(self.interfaces), public=public)

    def wall(self):
        return EPOCH + trio.current_time()

    def note_public_addresses(self, found):
        if not self.noted or self.noted[-1] != found:
            self.noted.append(dict(found))

    def note_trouble(self, kind, name, text):
        if text:
            self.troubles[kind, name] = text
        else:
            self.troubles.pop((kind, name), None)

    def report(self, event):
        self.events.append(event)


class World:
    """STUN servers: ``sees`` is what each run finds, the last again and again; "" is silence."""

    def __init__(self, *sees):
        self.sees = list(sees) or [ONE]
        self.nat = (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
        self.word = NatType.PORT_RESTRICTED_CONE
        self.why = ""
        self.takes_time = True
        self.asked = []
        """For each run: when, from where, whom first, and whether for the kind of the NAT."""

    async def __call__(self, servers, *, bind="", family=4, nat=True, **more):
        first = servers[0].host
        self.asked.append((trio.current_time(), bind or family, first, nat))
        if nat:
            await trio.sleep(9.5 * self.takes_time)
            return self.detection(bind, family, first, self.sees[0], *self.nat, self.word, self.why)
        found = self.sees.pop(0) if len(self.sees) > 1 else self.sees[0]
        if not found:
            await trio.sleep(39.5 * self.takes_time)
        return self.detection(bind, family, first, found)

    def detection(self, bind, family, server, public, *more):
        if not public:
            blocked = (Mapping.UNKNOWN, Filtering.UNKNOWN, NatType.FIREWALL_BLOCKING_UDP)
            why = f"{server}: no answer in 39.5 s"
            return Detection(bind, family, server, None, None, None, *blocked, why)
        unknown = (Mapping.UNKNOWN, Filtering.UNKNOWN, NatType.UNKNOWN, "")
        places = ((server, 3478), (INSIDE, 40000), (public, 41000))
        return Detection(bind, family, server, *places, *(more or unknown))


def settings(*servers, **more):
    return StunConfig(servers=servers or ("192.0.2.53",), **more)


@pytest.fixture
def no_threads(monkeypatch):
    """The virtual clock does not wait for threads: it would jump while one works."""

    async def run_sync(work, *args, **more):
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


@pytest.fixture
def kernel(tmp_path, no_threads):
    return Kernel(tmp_path, interface())
