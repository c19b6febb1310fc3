"""A DNS server on loopback for tests: records from zone text, faults on demand.

It speaks DNS over UDP and TCP on one port of 127.0.0.1, so what is tested is the whole way of a
question, packets included:

    async with dns_server("example.com. 60 IN A 192.0.2.1") as dns:
        resolver = Resolver(DnsSettings(servers=(dns.server,)))

It answers for every name below the root, records in the order of the text: what the zone text does
not have does not exist (NXDOMAIN), and a name that exists without the asked type has no data.
"""

from __future__ import annotations

import errno
import textwrap
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zonefile
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEFAULT_TTL: Final = 300
"""Seconds; the TTL of records in zone text that do not say one."""
_MAX_CHAIN: Final = 16
_PORT_TRIES: Final = 10


class Query(NamedTuple):
    """One question that arrived: ``name`` without the final dot, ``over`` is "udp" or "tcp"."""

    name: str
    type: str
    over: str


class _Fault(NamedTuple):
    """What is done instead of a prompt and true answer."""

    rcode: dns.rcode.Rcode | None = None
    silent: bool = False
    delay: float = 0.0
    truncated: bool = False


class DnsServer:
    """The running server; made by `dns_server`. Records and faults may change at any time.

    ``server`` is its address in the form of the setting ``[dns] servers``. ``queries`` are all
    questions so far, in the order of their arrival, lost and failed ones too. ``chase`` says
    whether the target of a CNAME is put into the same answer, as a recursive server does.
    """

    def __init__(self, zone: str = "") -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.queries: list[Query] = []
        self.chase = True
        self._records = _records_of(zone)
        self._faults: dict[tuple[str, str | None], _Fault] = {}
        self._arrival = trio.Event()

    @property
    def server(self) -> str:
        """Address and port, as ``127.0.0.1:53535``."""
        return f"{self.host}:{self.port}"

    def load(self, zone: str) -> None:
        """Replace all records by those of the zone text (RFC 1035 §5).

        Names need no final dot. An SOA record stands on one line with its owner.
        """
        self._records = _records_of(zone)

    def fail(self, name: str, type: str | None = None, *, rcode: str = "SERVFAIL") -> None:  # noqa: A002
        """Answer questions about a name (of one type, or all) with an error code."""
        self._set(name, type, _Fault(rcode=dns.rcode.from_text(rcode)))

    def silence(self, name: str, type: str | None = None) -> None:  # noqa: A002
        """Do not answer questions about a name at all."""
        self._set(name, type, _Fault(silent=True))

    def delay(self, name: str, seconds: float, type: str | None = None) -> None:  # noqa: A002
        """Answer questions about a name after so many seconds of the trio clock."""
        self._set(name, type, _Fault(delay=seconds))

    def truncate(self, name: str, type: str | None = None) -> None:  # noqa: A002
        """Answer questions over UDP with the TC bit and no records, so that TCP must be used."""
        self._set(name, type, _Fault(truncated=True))

    def heal(self, name: str, type: str | None = None) -> None:  # noqa: A002
        """End what `fail`, `silence`, `delay` or `truncate` began for the same name and type."""
        self._faults.pop((_key(name), type), None)

    def count(self, name: str, type: str | None = None) -> int:  # noqa: A002
        """How many questions about a name (of one type, or all) have arrived."""
        return sum(q.name == _key(name) and type in (None, q.type) for q in self.queries)

    async def wait_asked(self, name: str, type: str | None = None, times: int = 1) -> None:  # noqa: A002
        """Return when so many questions about a name have arrived since the start."""
        while self.count(name, type) < times:
            await self._arrival.wait()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started when both sockets are bound and ``port`` is known."""
        listener, socket = await _bind(self.host)
        self.port = listener.socket.getsockname()[1]
        with socket:
            async with trio.open_nursery() as nursery:
                await nursery.start(trio.serve_listeners, self._serve_stream, [listener])
                task_status.started()
                while True:
                    try:
                        wire, peer = await socket.recvfrom(65535)
                    except ConnectionError:
                        continue  # an asker that went away before its answer came (ICMP)
                    nursery.start_soon(self._serve_datagram, socket, wire, peer)

    async def _serve_datagram(
        self, socket: trio.socket.SocketType, wire: bytes, peer: tuple[str, int]
    ) -> None:
        answer = await self._answer(wire, "udp")
        if answer is not None:
            await socket.sendto(answer, peer)

    async def _serve_stream(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                while True:
                    size = await _read_exactly(stream, 2)
                    answer = await self._answer(
                        await _read_exactly(stream, int.from_bytes(size, "big")), "tcp"
                    )
                    if answer is not None:
                        await stream.send_all(len(answer).to_bytes(2, "big") + answer)
            except (EOFError, trio.BrokenResourceError):
                return  # the asker has what it wanted

    async def _answer(self, wire: bytes, over: str) -> bytes | None:
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        key = _key(question.name.to_text())
        self.queries.append(Query(key, kind, over))
        self._arrival.set()
        self._arrival = trio.Event()
        fault = self._faults.get((key, kind)) or self._faults.get((key, None)) or _Fault()
        if fault.silent:
            return None
        if fault.delay:
            await trio.sleep(fault.delay)
        response = dns.message.make_response(query, recursion_available=True)
        if fault.rcode is not None:
            response.set_rcode(fault.rcode)
        elif fault.truncated and over == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, question)
        return response.to_wire(max_size=65535, want_shuffle=False)

    def _fill(self, response: dns.message.Message, question: dns.rrset.RRset) -> None:
        name = question.name
        for _ in range(_MAX_CHAIN):
            found = self._records.get((name, question.rdtype))
            if found is not None:
                response.answer.append(found)
                return
            alias = self._records.get((name, dns.rdatatype.CNAME))
            if alias is None:
                break
            response.answer.append(alias)
            if not self.chase:
                return
            name = alias[0].target
        if not any(known.is_subdomain(name) for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._add_soa(response, name)

    def _add_soa(self, response: dns.message.Message, name: dns.name.Name) -> None:
        """RFC 2308 §3: the SOA of the zone tells for how long the "no" is true."""
        while True:
            soa = self._records.get((name, dns.rdatatype.SOA))
            if soa is not None:
                response.authority.append(soa)
            if soa is not None or name == dns.name.root:
                return
            name = name.parent()

    def _set(self, name: str, kind: str | None, fault: _Fault) -> None:
        self._faults[_key(name), kind] = fault


@asynccontextmanager
async def dns_server(zone: str = "") -> AsyncIterator[DnsServer]:
    """Run a DNS server with these records on a free port of 127.0.0.1 for the block's time."""
    server = DnsServer(zone)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        yield server
        nursery.cancel_scope.cancel()


def _records_of(zone: str) -> dict[tuple[dns.name.Name, int], dns.rrset.RRset]:
    # dnspython wants an SOA record at the origin and nowhere else; here every name may have one.
    lines = textwrap.dedent(zone).splitlines()
    authorities = [line for line in lines if " SOA " in line.upper()]
    rest = "\n".join(line for line in lines if line not in authorities)
    rrsets = _read(rest, dns.name.root)
    for line in authorities:
        rrsets += _read(line, dns.name.from_text(line.split()[0]))
    return {(rrset.name, rrset.rdtype): rrset for rrset in rrsets}


def _read(zone: str, origin: dns.name.Name) -> list[dns.rrset.RRset]:
    return dns.zonefile.read_rrsets(zone, rdclass=None, default_ttl=DEFAULT_TTL, origin=origin)


def _key(name: str) -> str:
    return name.lower().removesuffix(".")


async def _bind(host: str) -> tuple[trio.SocketListener, trio.socket.SocketType]:
    """A TCP listener and a UDP socket on one port; the kernel picks it, so both may need tries."""
    for _ in range(_PORT_TRIES):
        [listener] = await trio.open_tcp_listeners(0, host=host)
        socket = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        try:
            await socket.bind((host, listener.socket.getsockname()[1]))
        except OSError as failure:
            socket.close()
            await listener.aclose()
            if failure.errno != errno.EADDRINUSE:
                raise
        else:
            return listener, socket
    raise OSError(errno.EADDRINUSE, "no port is free for both UDP and TCP")


async def _read_exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = await stream.receive_some(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
