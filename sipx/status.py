"""What runs now, in one frozen object: for ``sipx status``, for plugins, for the control API.

Nothing here waits, and nothing here names a plugin: what a plugin has to show it contributes by
the hook ``status_sections``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from sipx.flows import Traffic
from sipx.interfaces import Status as InterfaceState
from sipx.reasons import Drop, Refusal, TurnedAway
from sipx.supervision import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from enum import StrEnum

    from sipx.certificates.store import CertificateState
    from sipx.kernel import Kernel

DAY: Final = 86_400.0


class Shown(BaseModel):
    """What is shown: frozen, and what a newer sipx adds is overlooked by an older one."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Problem(Shown):
    """Something that is not as it should be. ``failure`` makes the proxy unhealthy."""

    severity: Literal["failure", "warning"]
    text: str
    remedy: str = ""


class ReloadSummary(Shown):
    """How often the configuration was read again since the start, and what came of it."""

    count: int = 0
    failed: int = 0
    last: float | None = None
    """When: seconds since 1970; None: never."""
    last_success: float | None = None
    error: str = ""
    """What was wrong with the last one, "" if it went well."""


class ServiceSummary(Shown):
    """The process, and the proxy service in it."""

    state: str
    """"starting", "running", "draining" or "stopped"."""
    version: str
    pid: int
    config: str
    """The configuration file."""
    domains: tuple[str, ...]
    started: float
    """When the process started: seconds since 1970."""
    uptime: float
    """Seconds since then."""
    reload: ReloadSummary = ReloadSummary()


class InterfaceSummary(Shown):
    """One listener. ``address`` and ``port`` are what is bound; None where nothing is."""

    name: str
    protocol: str
    role: str
    bind: str
    configured_port: int
    state: str
    """"off", "starting", "listening", "draining" or "failed"."""
    reason: str
    """Why it is not up, "" if it is."""
    address: str | None
    port: int | None
    flows: int
    """Those that are open."""
    outbound: int
    """How many of them this proxy has opened."""
    opened: int
    """All there ever were."""
    messages_in: int
    messages_out: int
    advertises: bool = False
    """Whether another address than its own is to stand in messages."""
    advertised: str = ""
    """That address with its port; "" while none is known, or its own stands there."""


class PublicSummary(Shown):
    """The public address: of [wan], and what is known of it."""

    used: bool = False
    """Whether wan.use_public_address is on."""
    setting: str = "auto"
    """wan.public_address."""
    addresses: tuple[str, ...] = ()
    """What that stands for now: itself, the addresses of the name, or those that were found."""
    found: dict[str, str] = {}
    """What a plugin found, by the bind of interfaces."""


class FlowCounts(Shown):
    """How many flows there are and were."""

    open: int
    opened: int
    closed: int


class TransactionCounts(Shown):
    """How many transactions there are. ``limit`` is what ``limits.max_transactions`` allows."""

    servers: int
    clients: int
    limit: int
    parked: int
    """Requests that wait for DNS, a connection or a plugin."""
    absorbed: int
    """Retransmissions that were taken away."""
    strays: int
    """Responses that belonged to no transaction."""
    turned_away: int
    """Requests that found the limit reached."""


class PluginService(Shown):
    """One service of a plugin, under supervision."""

    name: str
    state: str
    error: str
    """What it failed with last, "" if it never did."""
    restarts: int


class PluginSummary(Shown):
    """One plugin of the configuration file."""

    name: str
    version: str
    enabled: bool
    state: Literal["off", "starting", "running", "failed"]
    services: tuple[PluginService, ...]
    faults: int
    """How often one of its hooks or services raised."""
    summary: str = ""
    """What it does, in a sentence."""


class CertificateSummary(Shown):
    """One table [certificate.NAME]. ``not_after`` and ``days_left`` are of what is in use."""

    name: str
    subject: str
    days_left: int | None
    not_after: datetime | None
    error: str
    """What is wrong with the files as they are now."""
    used_by: tuple[str, ...]


class TroubleSummary(Shown):
    """What does not work now: a partner, an interface, a file."""

    kind: str
    name: str
    text: str
    lasting: float
    """Seconds since it was first seen."""
    times: int


class AnswerCount(Shown):
    """How many requests of a method got this final status; 0: none was sent."""

    method: str
    status: int
    count: int


class ProxyStatus(Shown):
    """All of it. Counts are since the start of the process."""

    healthy: bool
    """Whether none of the problems is a failure."""
    problems: tuple[Problem, ...]
    service: ServiceSummary
    interfaces: tuple[InterfaceSummary, ...]
    public: PublicSummary = PublicSummary()
    flows: FlowCounts
    transactions: TransactionCounts
    plugins: tuple[PluginSummary, ...]
    certificates: tuple[CertificateSummary, ...]
    troubles: tuple[TroubleSummary, ...]
    requests: dict[str, int]
    """Requests that came in, by method; "other" for methods that no RFC knows."""
    answers: tuple[AnswerCount, ...]
    refused: dict[str, int]
    """Requests that were refused, by reason in words."""
    dropped: dict[str, int]
    """What came in and was not answered, by reason in words."""
    refusals: dict[str, int]
    """Requests that were refused, by the fixed words of docs/metrics.md."""
    drops: dict[str, int]
    """What came in and was not answered, by fixed words."""
    connections_refused: dict[str, int]
    """Connections that were not accepted, by fixed words."""
    log_lines_lost: int
    sections: dict[str, JsonValue]
    """What plugins show (hook ``status_sections``), by its title."""


def status_of(kernel: Kernel) -> ProxyStatus:
    """The status of a kernel, at any time of its life."""
    problems: list[Problem] = []
    interfaces = interfaces_of(kernel)
    plugins = plugins_of(kernel)
    certificates = certificates_of(kernel)
    sections = _sections(kernel, problems)
    service = service_of(kernel)
    problems = [
        *_service_problems(service),
        *_interface_problems(interfaces),
        *_plugin_problems(plugins),
        *_certificate_problems(kernel, certificates),
        *problems,
    ]
    counted = kernel.flows.statistics()
    transactions = kernel.transactions
    counts = kernel.journal.statistics()
    overload = counts.refusals.get(Refusal.OVERLOAD, 0) + transactions.turned_away
    return ProxyStatus(
        healthy=not any(problem.severity == "failure" for problem in problems),
        problems=tuple(problems),
        service=service,
        interfaces=interfaces,
        public=public_of(kernel),
        flows=FlowCounts(open=counted.open, opened=counted.opened, closed=counted.closed),
        transactions=TransactionCounts(
            servers=len(transactions.servers),
            clients=len(transactions.clients),
            limit=transactions.limit,
            parked=kernel.parked,
            absorbed=transactions.absorbed,
            strays=transactions.strays,
            turned_away=transactions.turned_away,
        ),
        plugins=plugins,
        certificates=certificates,
        troubles=tuple(
            TroubleSummary(
                kind=trouble.kind,
                name=trouble.name,
                text=trouble.text,
                lasting=max(0.0, kernel.clock() - trouble.since),
                times=trouble.times,
            )
            for trouble in kernel.troubles
        ),
        requests=counts.requests,
        answers=tuple(
            AnswerCount(method=method, status=status, count=count)
            for (method, status), count in sorted(counts.answers.items())
        ),
        refused=counts.refused,
        dropped=counts.dropped,
        # What the transactions count themselves has a word, too.
        refusals=_counted(Refusal, {**counts.refusals, Refusal.OVERLOAD: overload}),
        drops=_counted(Drop, {**counts.drops, Drop.STRAY: transactions.strays}),
        connections_refused=_counted(TurnedAway, counts.turned_away),
        log_lines_lost=kernel.lost_lines(),
        sections=sections,
    )


# ---------------------------------------------------------------- its parts


def service_of(kernel: Kernel) -> ServiceSummary:
    """The process, and the proxy service in it."""
    reloads = kernel.reloads
    return ServiceSummary(
        state=kernel.state,
        version=own_version(),
        pid=os.getpid(),
        config=str(kernel.settings.path.absolute()),
        domains=tuple(kernel.config.domains),
        started=kernel.started_at,
        uptime=max(0.0, kernel.wall() - kernel.started_at),
        reload=ReloadSummary(
            count=reloads.count,
            failed=reloads.failed,
            last=reloads.last,
            last_success=reloads.last_success,
            error=reloads.error,
        ),
    )


def interfaces_of(kernel: Kernel) -> tuple[InterfaceSummary, ...]:
    """The listeners, in the order of the configuration file, then those of plugins."""
    carried = kernel.flows.traffic()
    found = []
    for interface in kernel.interfaces.all:
        traffic = carried.get(interface.name, Traffic())
        address = interface.address
        found.append(
            InterfaceSummary(
                name=interface.name,
                protocol=interface.protocol,
                role=interface.role,
                bind=interface.bind,
                configured_port=interface.port,
                state=interface.state,
                reason=interface.reason,
                address=None if address is None else address[0],
                port=None if address is None else address[1],
                flows=traffic.open,
                outbound=traffic.outbound,
                opened=traffic.opened,
                messages_in=traffic.messages_in,
                messages_out=traffic.messages_out,
                advertises=interface.public is not None,
                advertised=interface.advertised_text,
            )
        )
    return tuple(found)


def public_of(kernel: Kernel) -> PublicSummary:
    """The public address as it is known now."""
    wan = kernel.config.wan
    return PublicSummary(
        used=wan.use_public_address,
        setting=wan.public_address,
        addresses=kernel.advertising.addresses_of(wan.public_address),
        found=dict(kernel.advertising.found),
    )


def plugins_of(kernel: Kernel) -> tuple[PluginSummary, ...]:
    """The listed plugins, in the order in which they are asked."""
    versions = {info.name: info.version for info in kernel.registry.installed()}
    classes, _ = kernel.registry.examine(list(kernel.settings.plugins))
    found = []
    for name, config in kernel.settings.plugins.items():
        services = tuple(
            PluginService(name=s.name, state=s.status, error=s.error, restarts=s.restarts)
            for s in kernel.services
            if s.plugin == name
        )
        found.append(
            PluginSummary(
                name=name,
                version=versions.get(name, ""),
                enabled=config.enabled,
                state=_plugin_state(services) if config.enabled else "off",
                services=services,
                faults=kernel.journal.faults[name],
                summary=_summary(classes.get(name)),
            )
        )
    return tuple(found)


def _summary(cls: type | None) -> str:
    return " ".join((cls.__doc__ or "").partition("\n\n")[0].split()) if cls is not None else ""


def _plugin_state(
    services: Sequence[PluginService],
) -> Literal["starting", "running", "failed"]:
    states = {service.state for service in services}
    if "failed" in states:
        return "failed"
    return "starting" if "starting" in states else "running"


def certificates_of(kernel: Kernel) -> tuple[CertificateSummary, ...]:
    """Every [certificate.NAME], in the order of the file."""
    now = datetime.fromtimestamp(kernel.wall(), UTC)
    return tuple(_certificate(state, now) for state in kernel.certificates.states())


def _certificate(state: CertificateState, now: datetime) -> CertificateSummary:
    facts = None if state.own is None else state.own.facts
    return CertificateSummary(
        name=state.name,
        subject="" if facts is None else facts.subject,
        days_left=None if facts is None else int((facts.not_after - now).total_seconds() // DAY),
        not_after=None if facts is None else facts.not_after,
        error="" if state.error is None else str(state.error),
        used_by=state.used_by,
    )


def _counted(words: type[StrEnum], counts: Mapping[Any, int]) -> dict[str, int]:
    """Every word there is, 0 for what has not happened: a counter begins before its first event."""
    return {word.value: counts.get(word, 0) for word in words}


def _sections(kernel: Kernel, problems: list[Problem]) -> dict[str, JsonValue]:
    """What plugins show. One that raises is a fault; the rest of the status stays."""
    found: dict[str, JsonValue] = {}
    for given in kernel.hooks.status_sections():
        try:
            for title, shown in given.item().items():
                if title in found:
                    raise ValueError(f"another plugin shows {title!r} already")
                found[title] = _plain(title, shown)
        except Exception as error:
            kernel.journal.faulted(given.plugin, "status_sections", error)
            text = f"plugin {given.plugin}: its part of the status: {describe(error)}"
            problems.append(Problem(severity="warning", text=text, remedy="see the log"))
    return found


def _plain(title: str, shown: BaseModel | Sequence[BaseModel]) -> JsonValue:
    if isinstance(shown, BaseModel):
        return shown.model_dump(mode="json")
    return [one.model_dump(mode="json") for one in shown]


@cache
def own_version() -> str:
    """The version of sipx."""
    return version("sipx-proxy")


# ---------------------------------------------------------------- what is wrong


def _service_problems(service: ServiceSummary) -> list[Problem]:
    found = []
    if service.state != "running":
        remedy = "start it: `sipx service start`" if service.state == "stopped" else ""
        found.append(
            Problem(severity="failure", text=f"the proxy is {service.state}", remedy=remedy)
        )
    if service.reload.error:
        found.append(
            Problem(
                severity="warning",
                text=f"the last reload failed, the configuration before it runs on: "
                f"{service.reload.error}",
                remedy="correct the file, then `sipx reload`",
            )
        )
    return found


def _interface_problems(interfaces: Sequence[InterfaceSummary]) -> list[Problem]:
    return [
        Problem(
            severity="failure",
            text=f"interface {i.name}: cannot listen on {i.bind} port {i.configured_port} "
            f"({i.protocol}): {i.reason}",
            remedy="`sipx check` tells who has the address, or what is wrong with the certificate",
        )
        for i in interfaces
        if i.state == InterfaceState.FAILED.value
    ] + [
        Problem(
            severity="warning",
            text=f"interface {i.name}: no public address of its IP family is known, so that peers "
            f"are told its own, {i.address} port {i.port}",
            remedy="`sipx check` says why nothing has found it; or name it: `sipx config set "
            "wan.public_address ADDRESS`; or where it has none: advertise = false",
        )
        for i in interfaces
        if i.advertises and not i.advertised and i.state == InterfaceState.LISTENING.value
    ]


def _plugin_problems(plugins: Sequence[PluginSummary]) -> list[Problem]:
    return [
        Problem(
            severity="failure",
            text=f"plugin {plugin.name}: its service {service.name} failed: {service.error}",
            remedy="it is started again by itself; the log has the traceback",
        )
        for plugin in plugins
        for service in plugin.services
        if service.state == "failed"
    ]


def _certificate_problems(
    kernel: Kernel, certificates: Sequence[CertificateSummary]
) -> list[Problem]:
    found = []
    for one in certificates:
        if one.error:
            worst: Literal["failure", "warning"] = "failure" if one.used_by else "warning"
            in_use = one.days_left is not None
            found.append(
                Problem(
                    severity="warning" if in_use else worst,
                    text=f"certificate {one.name}: {one.error}"
                    + ("; the last good one stays in use" if in_use else ""),
                )
            )
        table = kernel.config.certificate.get(one.name)
        if one.days_left is None or one.not_after is None or table is None:
            continue
        renew = "renew it: `sipx cert request`"
        if one.days_left < 0:
            text = f"certificate {one.name}: expired on {one.not_after:%Y-%m-%d %H:%M} UTC"
            grave: Literal["failure", "warning"] = "failure" if one.used_by else "warning"
            found.append(Problem(severity=grave, text=text, remedy=renew))
        elif one.days_left * DAY < table.warn_before:
            text = f"certificate {one.name}: expires in {one.days_left} days"
            found.append(Problem(severity="warning", text=text, remedy=renew))
    for name, error in kernel.certificates.trust_errors():
        found.append(Problem(severity="warning", text=f"authorities of {name}: {error}"))
    return found
