"""Static routes: where a domain's requests go, and whose requests its server may send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from sipx import (
    Accept,
    Action,
    Certificate,
    Check,
    DomainSet,
    Finding,
    Flow,
    Incoming,
    Partner,
    Peer,
    Proxy,
    Refuse,
    ResolveError,
    Role,
    RouteFacts,
    Sender,
    SenderKind,
    Service,
    Severity,
    Targets,
    Verdict,
    decide_incoming,
    hookimpl,
    is_private,
)
from sipx.sip import Request, cached_uri
from sipx_static_routes.config import StaticRoutesConfig
from sipx_static_routes.counting import Passed, RouteCounts, counts, whose
from sipx_static_routes.table import RouteTable, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx import Target
    from sipx_static_routes.state import RouteState

REFRESH: Final = 5.0
"""Seconds between two looks at the names of access servers; the resolver minds their TTL."""
_VERDICTS: Final = 8192
_WEAK: Final = {
    "allow_wildcard": "whoever holds a wildcard certificate of the parent domain is believed",
    "accept_cn": "a common name is no longer checked by authorities",
}


_Who = tuple[str, str, str, frozenset[str] | None, bytes]
"""What a verdict depends on: transport, address, interface, proven partners, From domain."""


@dataclass(frozen=True, slots=True)
class RouteChanged:
    """An access server's name leads to other addresses now."""

    name: str
    addresses: tuple[str, ...]


class StaticRoutes:
    """Static routes to the domains of partners, and to UC servers."""

    Config = StaticRoutesConfig

    def __init__(self, config: StaticRoutesConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self.table = RouteTable(config.route, proxy.domains)
        self._verdicts: dict[_Who, tuple[Verdict | None, Passed | None]] = {}
        self.passed = {row.domain: Passed() for row in self.table.rows}
        """What has come and gone, by the domain of the route."""

    @hookimpl
    def take_over(self, old: StaticRoutes) -> None:
        """What names resolved to holds on: their servers are known by it until it is asked anew.

        Counts go on.
        """
        self.table.learn_all(old.table)
        self.passed.update((d, one) for d, one in old.passed.items() if d in self.passed)

    # ------------------------------------------------------------ TLS

    @hookimpl
    def partners(self) -> Iterable[Partner]:
        """Whoever a tls or mtls route leads to."""
        return [row.partner for row in self.table.rows if row.partner is not None]

    @hookimpl
    def authenticate_peer(self, flow: Flow) -> Peer | None:
        """Whom the certificate at the other end proves, if that is somebody with a route."""
        rows = self.rows_of(flow) if flow.examined is not None else ()
        if not rows or flow.examined is None:
            return None
        proof = flow.examined.partners[rows[0].domain]
        for row in rows:
            found = flow.examined.partners[row.domain]
            count = self.passed[row.domain]
            count.identity = found.name.decode("utf-8", "backslashreplace")
            count.profile = found.profile
        names = ", ".join(row.domain for row in rows)
        return Peer(names, flow.examined.certificate.ids, proof.profile)

    # ------------------------------------------------------------ inwards

    @hookimpl
    def authenticate_request(self, request: Request, flow: Flow) -> Verdict | None:
        """By certificate or address, and by the domain in From; see docs/trust.md."""
        domain = request.from_domain
        examined = flow.examined
        # Whom a certificate proves may change with the authorities, so it is no key itself.
        proven = None if examined is None else examined.proven
        key = (flow.transport, flow.address, flow.interface.name, proven, domain)
        try:
            verdict, passed = self._verdicts[key]
        except KeyError:
            if len(self._verdicts) >= _VERDICTS:
                self._verdicts.clear()
            verdict, passed = self._verdicts[key] = self._judged(flow, domain)
        if passed is not None and flow.id:  # a request that is only explained comes on none
            passed.came(verdict, flow.last_in)
        return verdict

    def _judged(self, flow: Flow, from_domain: bytes) -> tuple[Verdict | None, Passed | None]:
        verdict = self.judge(flow, from_domain)
        rows = () if verdict is None else self.rows_of(flow)
        return verdict, self.passed.get(whose(verdict, rows[0].domain)) if rows else None

    def judge(self, flow: Flow, from_domain: bytes) -> Verdict | None:
        """The decision for requests on ``flow`` with this From domain."""
        rows = self.rows_of(flow)
        if not rows:
            return None
        decision = decide_incoming(self.facts(rows, flow, from_domain))
        covering = [row for row in rows if from_domain in row.domains]
        if not covering and flow.examined is None and flow.interface.role == Role.LAN:
            return None  # somebody else at this address may log on here
        asks = decision.action is Action.CHALLENGE
        if asks and not covering:
            # No credentials would make this right, so none are asked for.
            why = f"the route {rows[0].domain} may not use this From domain"
            return Refuse(403, why, row=decision.row)
        if not covering or not (asks or decision.action is Action.ACCEPT):
            return Refuse(decision.status or 403, decision.reason, row=decision.row)
        # A challenge does not say what the peer will be once it is answered: its route does.
        chosen = next((row for row in covering if row.local), covering[0])
        kind = SenderKind.UC_SERVER if chosen.local else SenderKind.PARTNER
        sender = Sender(
            kind=kind if asks else decision.kind or kind,
            name=chosen.domain,
            domains=_domains([row for row in rows if row.local == chosen.local]),
            trusted=decision.trusted,
            row=decision.row,
        )
        return Accept(sender, authorise=asks)

    def rows_of(self, flow: Flow) -> tuple[Row, ...]:
        """ "Route match" of docs/trust.md: by certificate where there is one, else by address."""
        if flow.examined is not None:
            return self.table.proven(flow.transport, flow.examined.partners)
        if flow.transport == "mtls":
            return ()  # there is no flow without a certificate
        return self.table.from_source(flow.transport, flow.address)

    def facts(self, rows: tuple[Row, ...], flow: Flow, from_domain: bytes) -> Incoming:
        """What the decision table asks about."""
        return Incoming(
            protocol=flow.transport,
            role=Role(flow.interface.role),
            routes=tuple(
                RouteFacts(
                    name=row.domain,
                    covers=from_domain in row.domains,
                    trusted=row.route.trusted,
                    local=row.local,
                    insecure_trust=row.route.insecure_trust is not None,
                )
                for row in rows
            ),
            certificate=Certificate.NONE if flow.examined is None else Certificate.OK,
            from_ours=from_domain in self._proxy.domains,
            peer_private=is_private(flow.address),
            bind_private=is_private(flow.interface.bind),
        )

    # ------------------------------------------------------------ outwards

    @hookimpl
    def determine_targets(self, request: Request, sender: Sender) -> Targets | None:
        """The route of the Request-URI's domain; the most specific pattern wins."""
        row = self.table.towards(cached_uri(request.uri).host)
        return None if row is None else row.targets

    @hookimpl
    def forward_request(self, request: Request, target: Target) -> None:
        """A request leaves: counted, where it goes to the server of a route."""
        passed = self.passed.get(target.name)
        if passed is not None:
            passed.requests_out += 1
            passed.last_out = self._proxy.now()

    def switched_off(self, domain: bytes) -> tuple[str, ...]:
        """Routes that match a domain and lead nowhere, because they are switched off: row 7."""
        return tuple(
            pattern
            for pattern, route in self._config.route.items()
            if not route.enabled and domain in DomainSet([pattern])
        )

    def switched_off_from(self, flow: Flow) -> tuple[str, ...]:
        """Routes whose server a sender would be if they were switched on: row 24."""
        return tuple(
            pattern
            for pattern, route in self._config.route.items()
            if not route.enabled
            and route.protocol == flow.transport
            and any(flow.address in self.table.addresses_of(server) for server in route.server)
        )

    # ------------------------------------------------------------ names

    @hookimpl
    def services(self) -> Iterable[Service]:
        """One task keeps the addresses of named servers."""
        return [self.resolve_names] if self.table.names() else []

    async def resolve_names(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """A name is resolved when the proxy starts and again whenever its TTL has ended."""
        task_status.started()
        while True:
            for name in sorted(self.table.names()):
                await self._resolve(name)
            await trio.sleep(REFRESH)

    async def _resolve(self, name: str) -> None:
        try:
            addresses = await self._proxy.resolver.addresses(name)
        except ResolveError as error:
            # A name server that fails proves nothing; a name that is gone proves nobody.
            if error.kind not in ("servfail", "timeout") and self.table.learn(name, ()):
                self._verdicts.clear()
                self._proxy.log.warning("access server %s: %s", name, error)
            return
        if self.table.learn(name, addresses):
            self._verdicts.clear()
            self._proxy.report(RouteChanged(name, tuple(addresses)))

    @hookimpl
    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """``sipx status`` shows the routes, those that are switched off too."""
        return {"routes": self.states()}

    def states(self) -> list[RouteState]:
        """Each route and what is known of its server now."""
        from sipx_static_routes.state import route_state

        return [
            route_state(domain, route, self.table, self._proxy.trouble("partner", domain))
            for domain, route in self._config.route.items()
        ]

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``routes.counts``."""
        return {"routes.counts": self.counts}

    def counts(self) -> RouteCounts:
        """What has passed between this proxy and the servers of its routes."""
        return counts(self.passed, now=self._proxy.now(), wall=self._proxy.wall())

    # ------------------------------------------------------------ command line

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx routes``."""
        from sipx_static_routes.commands import routes

        return [routes]

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check routes``."""
        return [Check("routes", self._findings)]

    def _findings(self) -> Iterable[Finding]:
        if not self.table.rows:
            yield Finding("SIPX-R001", Severity.WARNING, "no static route is switched on")
        listening = {
            table.protocol for table in self._proxy.config.interface.values() if table.enabled
        }
        for row in self.table.rows:
            route = row.route
            if route.protocol not in listening:
                yield Finding(
                    "SIPX-R004",
                    Severity.FAILURE,
                    f"route {row.domain}: no enabled interface speaks {route.protocol}",
                    f"add an [interface.NAME] with protocol = {route.protocol!r}",
                )
            if route.protocol == "mtls" and not route.trusted:
                yield Finding(
                    "SIPX-R005",
                    Severity.OK,
                    f"route {row.domain}: trusted (mtls), whatever its flag says",
                )
            for key, said in _WEAK.items():
                if getattr(route, key):
                    yield Finding(
                        "SIPX-R007",
                        Severity.WARNING,
                        f"route {row.domain}: {key}: {said}",
                        "ask the partner for a certificate with its name as subjectAltName",
                    )
            if route.verify == "off":
                yield Finding(
                    "SIPX-R008",
                    Severity.WARNING,
                    f"route {row.domain}: any certificate of its server is taken",
                    "pin its key: pins = [...]",
                )
            if not route.trusted and route.protocol in ("udp", "tcp"):
                yield Finding(
                    "SIPX-R006",
                    Severity.OK,
                    f"route {row.domain} is not trustworthy: its requests are accepted with the "
                    "credentials of an account only",
                    f'an account with routes = ["{row.domain}"]; or trusted = true, if the server '
                    "is in a network of your own",
                )
        for domain in sorted(self._proxy.domains):
            if self.table.towards(domain) is None and not self._proxy.accounts():
                yield Finding(
                    "SIPX-R002",
                    Severity.WARNING,
                    f"no route leads to a UC server of your domain {domain.decode()}",
                    f'add [static-routes.route."{domain.decode()}"], or accounts for the servers',
                )


def _domains(rows: list[Row]) -> Container[bytes]:
    """The From domains that these rows allow; a plain set where no pattern is among them."""
    if any("*" in row.domain for row in rows):
        return DomainSet([row.domain for row in rows])
    return frozenset(row.domain.encode() for row in rows)
