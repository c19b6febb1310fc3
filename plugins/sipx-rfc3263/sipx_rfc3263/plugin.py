"""Row 9 of docs/trust.md, "Outgoing requests": what RFC 3263 finds where nobody federates openly.

TLS only, and no address records in the place of SRV records: a domain that publishes nothing for
SIP over TLS is not connected to. Whoever is found has to prove the domain itself (RFC 5922).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BeforeValidator

from sipx import (
    FEDERATION_SERVICE,
    Config,
    Discovered,
    Discovery,
    Failure,
    KernelConfig,
    Lookup,
    NextHop,
    Outgoing,
    Partner,
    PeerPort,
    Proxy,
    Refuse,
    ResolveError,
    SenderKind,
    Target,
    Targets,
    decide_outgoing,
    hookimpl,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx import SrvAnswer

NAME: Final = "rfc3263"
BEFORE: Final = "open-federation"
"""The plugin whose records count more, and whose ``allow`` counts here as well."""
LEAST_TTL: Final = 1.0
"""Seconds for which an answer is used at least."""
MOST_SERVERS: Final = 8
"""Servers of one domain that are looked for, as in open federation."""
_NOTHING: Final = ("nxdomain", "nodata")


def _ports(value: object) -> tuple[object, ...]:
    """A list of ports. Strict validation takes a tuple only."""
    if not isinstance(value, list | tuple):
        raise refuse(f"{value!r} is no list of ports", "a list such as [5061]; [] means any port")
    return tuple(value)


class Rfc3263Config(Config):
    """The TOML table ``[rfc3263]``."""

    interface: str | None = None
    """The [interface.NAME] to connect from, with protocol = "mtls"; without it the first such."""
    ports: Annotated[tuple[PeerPort, ...], BeforeValidator(_ports)] = ()
    """Ports that SRV records may name; [] means any."""

    def problems(self, kernel: KernelConfig) -> Iterable[tuple[tuple[str, ...], str, str]]:
        """What can only be seen beside the kernel's tables."""
        if not self.enabled:
            return
        plugins = kernel.plugins
        if BEFORE in plugins and plugins.index(NAME) < plugins.index(BEFORE):
            yield (
                (),
                f"{NAME} stands before {BEFORE} in plugins, and would be asked first",
                f"put it behind: what {BEFORE} finds or refuses counts more",
            )
        if self.interface is None:
            return
        table = kernel.interface.get(self.interface)
        fit = [name for name, t in kernel.interface.items() if t.protocol == "mtls" and t.enabled]
        known = f"known: {', '.join(sorted(fit)) or 'none yet'}; without this key the first such"
        if table is None:
            yield ("interface",), f"there is no [interface.{self.interface}]", known
        elif self.interface not in fit:
            wrong = "is switched off" if table.protocol == "mtls" else f"speaks {table.protocol}"
            yield ("interface",), f"[interface.{self.interface}] {wrong}", known


class Rfc3263:
    """Domains found by NAPTR and _sips._tcp, over TLS, where there is no federation record."""

    Config = Rfc3263Config
    name = NAME

    def __init__(self, config: Rfc3263Config, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy

    @hookimpl
    def discoveries(self) -> Iterable[Discovery]:
        """Itself."""
        return [self]

    async def discover(self, domain: bytes) -> Discovered | Refuse | None:
        """Where a domain is served; None where it publishes nothing for SIP over TLS."""
        try:
            await self._proxy.resolver.service(f"{FEDERATION_SERVICE}.{domain.decode()}")
        except ResolveError as error:
            if error.kind == "refused":
                return None  # "." is an answer (RFC 2782): there is no other way then
            if error.kind not in _NOTHING:
                return _refused(Lookup.FAILED, None, str(error))
        else:
            return None  # whoever federates openly is found by that
        try:
            answer = await self._answer(domain.decode())
        except ResolveError as failure:
            lookup = Lookup.REFUSED if failure.kind == "refused" else Lookup.FAILED
            return _refused(Lookup.NOTHING, lookup, str(failure))
        return None if answer is None else self._found(domain, answer)

    async def _answer(self, domain: str) -> SrvAnswer | None:
        """The first service of the domain that has SRV records. Raises ResolveError."""
        resolver = self._proxy.resolver
        failure: ResolveError | None = None
        for service in await resolver.sips_services(domain):
            try:
                return await resolver.service(service)
            except ResolveError as error:
                if error.kind not in _NOTHING and failure is None:
                    failure = error.with_traceback(None)
        if failure is not None:
            raise failure
        return None

    def _found(self, domain: bytes, answer: SrvAnswer) -> Discovered | Refuse:
        ports = self._config.ports
        records = [record for record in answer.records if not ports or record.port in ports]
        if not records:
            others = ", ".join(f"{record.target} port {record.port}" for record in answer.records)
            said = f"its SRV record names {others}, and ports = [{', '.join(map(str, ports))}]"
            return _refused(Lookup.NOTHING, Lookup.FOUND, said, Failure.FILTERED)
        partner = self._partner(domain)
        target = Target(
            hops=tuple(
                NextHop(record.target, record.port, "mtls", bind=self._config.interface)
                for record in records[:MOST_SERVERS]
            ),
            name=partner.name,
            partner=partner,
            discovered=True,
            row=9,
        )
        expires = max(answer.expires, self._proxy.now() + LEAST_TTL)
        return Discovered(Targets(((target,),)), expires)

    def _partner(self, domain: bytes) -> Partner:
        """Who has to be there: by trust of its own where the handshakes know of such, so that pins
        hold whichever record somebody has put into the DNS.
        """
        name = f"{domain.decode()} (discovered)"
        known = self._proxy.tls.certificates.partners
        listed = next((partner for partner in known if partner.name == name), None)
        found = listed or Partner(name=name, domain=domain, discovered=True)
        # RFC 5922 §7.8 wants the SIP domain in SNI, and names of hosts prove nothing here.
        sni = found.sni or domain.decode()
        return replace(found, profiles=("rfc5922",), srv_targets=frozenset(), sni=sni)


def _refused(
    srv: Lookup, rfc3263: Lookup | None, detail: str, failure: Failure | None = None
) -> Refuse:
    decision = decide_outgoing(
        Outgoing(
            sender=SenderKind.UC_SERVER,
            open_federation_on=True,
            srv=srv,
            rfc3263=rfc3263,
            failure=failure,
        )
    )
    return Refuse(decision.status or 403, f"{decision.reason}; {detail}", row=decision.row)
