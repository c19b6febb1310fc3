"""From a domain to its federation servers: the SRV records of ``_sipfederationtls._tcp``.

Row 8 of docs/trust.md, "Outgoing requests". The kernel resolves the servers that are named here,
looks at their addresses (SEC-09), connects, and sees that a certificate is good for the domain.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import trio

from sipx import (
    FEDERATION_SERVICE,
    Discovered,
    Failure,
    Lookup,
    NextHop,
    Outgoing,
    Refuse,
    ResolveError,
    SenderKind,
    Target,
    Targets,
    decide_outgoing,
)
from sipx_open_federation.config import NAME, PROTOCOL

if TYPE_CHECKING:
    from sipx import Partner, Proxy, SrvAnswer, SrvRecord
    from sipx_open_federation.partners import Partners

LEAST_TTL: Final = 1.0
"""Seconds for which an answer is used at least, so that a TTL of 0 does not cost a question for
each message."""
MOST_SERVERS: Final = 8
"""Servers of one domain that are tried: whoever writes many into the DNS does not make this proxy
connect to all of them."""
_TOLD: Final = 1024
_US: Final = SenderKind.UC_SERVER
_NOT_WELCOME: Final = Outgoing(sender=_US, open_federation_on=True, welcome=False)


class FederationDiscovery:
    """The Discovery of open federation."""

    name = NAME

    def __init__(self, partners: Partners, proxy: Proxy, interface: str) -> None:
        self._partners = partners
        self._proxy = proxy
        self._interface = interface
        self._told: OrderedDict[str, None] = OrderedDict()

    def take_over(self, old: FederationDiscovery) -> None:
        """What was warned of once is not warned of again."""
        self._told = old._told

    async def discover(self, domain: bytes) -> Discovered | Refuse | None:
        """Where a domain is served; None where it says nothing about that."""
        if self._partners.blocked(domain):
            return blocked_target(domain)
        if not self._partners.welcome(domain):
            return refused(_NOT_WELCOME, f"{domain.decode()} is not in allow of [{NAME}]")
        service = f"{FEDERATION_SERVICE}.{domain.decode()}"
        try:
            answer = await self._proxy.resolver.service(service)
        except ResolveError as error:
            if error.kind in ("nxdomain", "nodata"):
                return None
            # RFC 2782: "." is "decidedly not available", which is an answer; and that nobody
            # answers says nothing about the domain.
            lookup = Lookup.REFUSED if error.kind == "refused" else Lookup.FAILED
            return refused(_facts(lookup), str(error))
        if answer.alias:
            self._tell_once(
                service,
                f"{service} is an alias (CNAME) of {answer.alias}: not everybody follows that; "
                "they should publish the SRV record itself in its place",
            )
        permitted, other = self._by_port(domain, answer)
        records = permitted[:MOST_SERVERS]
        if not records:
            return refused(_facts(Lookup.FOUND, Failure.FILTERED), other)
        failures = await self._addresses(domain, records)
        if len(failures) == len(records):
            return _unreachable(failures)
        return self._found(domain, answer, records)

    def _found(
        self, domain: bytes, answer: SrvAnswer, records: tuple[SrvRecord, ...]
    ) -> Discovered:
        partner = self._partners.partner(domain, (r.target.encode() for r in answer.records))
        target = target_of(partner, records, self._interface, 8)
        expires = max(answer.expires, self._proxy.now() + LEAST_TTL)
        return Discovered(Targets(((target,),)), expires)

    def _by_port(self, domain: bytes, answer: SrvAnswer) -> tuple[tuple[SrvRecord, ...], str]:
        """The records whose ports are permitted, and what is to be said about the others."""
        ports = self._partners.ports(domain)
        others = [f"{r.target} port {r.port}" for r in answer.records if r.port not in ports]
        if not (ports and others):
            return answer.records, ""
        permitted = ", ".join(map(str, ports))
        said = f"its SRV record names {', '.join(others[:3])}, and ports = [{permitted}]"
        self._tell_once(said, f"{domain.decode()}: {said}: not tried")
        return tuple(record for record in answer.records if record.port in ports), said

    async def _addresses(
        self, domain: bytes, records: tuple[SrvRecord, ...]
    ) -> dict[str, ResolveError]:
        """Look up all servers at once, and tell which of them have no address and why.

        The kernel asks for them again, one by one, and finds the answers in its cache.
        """
        failures: dict[str, ResolveError] = {}
        resolver = self._proxy.resolver

        async def look_up(host: str) -> None:
            try:
                await resolver.addresses(host)
            except ResolveError as error:
                failures[host] = error.with_traceback(None)

        hosts = dict.fromkeys(record.target for record in records)
        async with trio.open_nursery() as nursery:
            for host in hosts:
                nursery.start_soon(look_up, host)
        for host in hosts:
            if alias := resolver.alias_of(host):
                # RFC 2782: "the name MUST NOT be an alias"; it is followed all the same.
                self._tell_once(
                    host,
                    f"{host}, which the SRV record of {domain.decode()} names, is an alias (CNAME) "
                    f"of {alias}: RFC 2782 forbids that, and others may not follow it; they should "
                    "publish an SRV record for the host itself",
                )
        return {
            f"{record.target} port {record.port}": failures[record.target]
            for record in records
            if record.target in failures
        }

    def _tell_once(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told[key] = None
            if len(self._told) > _TOLD:
                self._told.popitem(last=False)
            self._proxy.log.warning("%s", text)


def target_of(partner: Partner, records: tuple[SrvRecord, ...], interface: str, row: int) -> Target:
    """The target that these records are, in their order."""
    return Target(
        hops=tuple(NextHop(r.target, r.port, PROTOCOL, bind=interface) for r in records),
        name=partner.name,
        partner=partner,
        discovered=True,
        row=row,
    )


def _unreachable(failures: dict[str, ResolveError]) -> Refuse:
    """No server has an address: for now (504), or as the DNS says (404)."""
    failing = [error for error in failures.values() if error.kind in ("servfail", "timeout")]
    detail = "; ".join(str(error) for error in (failing or list(failures.values()))[:3])
    if failing:
        return refused(_facts(Lookup.FAILED), detail)
    where = ", ".join(list(failures)[:3])
    nowhere = f"its SRV record names {where}, where there is no address ({detail})"
    return refused(_facts(Lookup.NOTHING), nowhere)


def _facts(lookup: Lookup, failure: Failure | None = None) -> Outgoing:
    return Outgoing(sender=_US, open_federation_on=True, srv=lookup, failure=failure)


def blocked_target(domain: bytes) -> Refuse:
    """Row 3, whatever a static route says."""
    return refused(Outgoing(sender=_US, blocked=True), domain.decode())


def refused(facts: Outgoing, detail: str = "") -> Refuse:
    """What the table says of these facts, and what is known besides."""
    decision = decide_outgoing(facts)
    why = f"{decision.reason}; {detail}" if detail else decision.reason
    return Refuse(decision.status or 403, why, row=decision.row)
