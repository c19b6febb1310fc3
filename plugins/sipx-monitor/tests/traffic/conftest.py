"""Messages without a proxy: a store that is filled by hand, and traffic on a clock in memory."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import trio
from sipx_monitor.traffic import Traffic
from sipx_monitor.traffic.message import Seen, Way
from sipx_monitor.traffic.store import Store

from sipx import Caller

EPOCH = 1_800_000_000.0
OURS = {"udp": "10.0.0.1:5060", "tcp": "10.0.0.1:5060", "tls": "10.0.0.1:5061"}
SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nm=audio 4000 RTP/AVP 0\r\n"


def request(method="INVITE", *, branch="a1", below=None, call="call-1", cseq=1, **more):
    """Lines of a request: ``below`` is the branch of the Via below the topmost."""
    vias = [f"Via: SIP/2.0/UDP {more.get('by', 'ua.example')};branch=z9hG4bK{branch}"]
    if below is not None:
        vias.append(f"Via: SIP/2.0/UDP ua.example;branch=z9hG4bK{below};received=192.0.2.7")
    start = f"{method} {more.get('uri', 'sip:bob@far.example')} SIP/2.0"
    to_tag = f";tag={more['to_tag']}" if "to_tag" in more else ""
    return start, [
        *vias,
        *more.get("first", ()),
        f"Max-Forwards: {more.get('hops', 70)}",
        f'From: "Alice" <{more.get("from_", "sip:alice@home.example")}>;tag=f1',
        f"To: <{more.get('to', 'sip:bob@far.example')}>{to_tag}",
        f"Call-ID: {call}",
        f"CSeq: {cseq} {method}",
        *more.get("headers", ()),
    ]


def response(status, reason="OK", method="INVITE", *, branch="a1", call="call-1", cseq=1, **more):
    """Lines of a response."""
    by = more.get("by", "ua.example")
    vias = [f"Via: SIP/2.0/UDP {by};branch=z9hG4bK{branch}"]
    if "below" in more:
        vias.append(f"Via: SIP/2.0/UDP ua.example;branch=z9hG4bK{more['below']}")
    tag = "" if status == 100 else f";tag={more.get('to_tag', 't1')}"
    return f"SIP/2.0 {status} {reason}", [
        *vias,
        'From: "Alice" <sip:alice@home.example>;tag=f1',
        f"To: <sip:bob@far.example>{tag}",
        f"Call-ID: {call}",
        f"CSeq: {cseq} {method}",
        *more.get("headers", ()),
    ]


class Recorder:
    """Fills a store, a message each hundredth of a second."""

    def __init__(self, store):
        self.store = store
        self.time = 0.0

    def add(self, lines, *, inwards=True, remote="192.0.2.7:5060", transport="udp", **more):
        """Keep a message; its body gets its Content-Length and, where it is SDP, its type."""
        start, headers = lines
        body = more.pop("body", b"")
        headers = [*headers]
        if body.startswith(b"v=0"):
            headers.append("Content-Type: application/sdp")
        elif body:
            headers.append("Content-Type: text/plain")
        headers.append(f"Content-Length: {len(body)}")
        self.time += 0.01
        way = Way(
            more.pop("interface", "lan"), transport, OURS[transport], remote, transport == "tls"
        )
        return self.store.add(
            Seen(
                self.time,
                EPOCH + self.time,
                inwards,
                way,
                more.pop("peer", ""),
                start.encode(),
                [line.encode() for line in headers],
                body,
                **more,
            )
        )

    def call(self, number=1):
        """A call through the proxy: UDP at one side, TLS at the other, both legs."""
        name, far = f"call-{number}", {"remote": "198.51.100.9:5061", "transport": "tls"}
        far |= {"interface": "federation", "peer": "far.example"}
        ours = {"by": "10.0.0.1:5061", "branch": f"p{number}", "below": f"a{number}"}
        a = {"branch": f"a{number}", "call": name}
        p = {**ours, "call": name}
        return [
            self.add(request(**a), body=SDP),
            self.add(response(100, "Trying", **a), inwards=False),
            self.add(
                request(**p, hops=69, first=("Record-Route: <sip:10.0.0.1:5061;lr>",)),
                inwards=False,
                body=SDP,
                **far,
            ),
            self.add(response(180, "Ringing", **p), **far),
            self.add(response(180, "Ringing", **a), inwards=False),
            self.add(response(200, **p), body=SDP, **far),
            self.add(response(200, **a), inwards=False, body=SDP),
            self.add(request("ACK", branch=f"k{number}", call=name, to_tag="t1")),
            self.add(
                request(
                    "ACK",
                    branch=f"q{number}",
                    below=f"k{number}",
                    call=name,
                    to_tag="t1",
                    by="10.0.0.1:5061",
                ),
                inwards=False,
                **far,
            ),
        ]


@pytest.fixture
def recorder():
    """A store for a thousand messages with all bodies."""
    return Recorder(Store(1000, 10_000_000, "all"))


class FakeProxy:
    """What traffic needs of the kernel."""

    domains = frozenset((b"home.example",))

    def __init__(self):
        self.observers = []

    def now(self):
        return trio.current_time()

    def wall(self):
        return EPOCH + trio.current_time()

    @contextmanager
    def watch(self, observer):
        self.observers.append(observer)
        try:
            yield
        finally:
            self.observers.remove(observer)


def config(**changed):
    """The part of the configuration that traffic reads."""
    values = {
        "record": "watched",
        "keep_messages": 1000,
        "keep_bytes": 10_000_000,
        "capture_bodies": "sdp",
        "pcap_file": None,
        "pcap_size": 1_000_000,
        "pcap_keep": 3,
    }
    return SimpleNamespace(**(values | changed))


class Asking:
    """The control methods of some traffic, called as the API calls them."""

    def __init__(self, traffic):
        from sipx import Method

        self.traffic = traffic
        self.recorder = Recorder(traffic.live.store)
        self._methods = {
            name: Method.of(name, function, "monitor")
            for name, function in traffic.control_methods().items()
        }

    async def __call__(self, method, /, role="admin", **params):
        """The answer of ``monitor.METHOD`` to somebody."""
        return await self._methods[f"monitor.{method}"].call(params, Caller("test", role=role))

    def follow(self, role="admin", **params):
        """The events of ``monitor.follow``."""
        return self._methods["monitor.follow"].events(params, Caller("test", role=role))


@pytest.fixture
def ask():
    """Traffic that nobody records but the test, and how to ask it."""
    return Asking(Traffic(config(), FakeProxy()))


@pytest.fixture
async def running(nursery):
    """Traffic that records what the test tells the tap."""
    traffic = Traffic(config(), FakeProxy())
    await nursery.start(traffic.run)
    return Asking(traffic)


@pytest.fixture(scope="module")
def lines():
    """Lines of messages."""
    return SimpleNamespace(request=request, response=response, sdp=SDP)


@pytest.fixture(scope="module")
def make_recorder():
    """A new store each time, for tests with many examples."""
    return lambda: Recorder(Store(1000, 10_000_000, "all"))
