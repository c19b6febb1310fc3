"""All metrics there are: one row for each, with what it reads from the status of the proxy.

Names and help follow Prometheus: base units, ``_total`` for what only grows. Labels hold names
from the configuration file and fixed words; nothing that a peer sends becomes one.
"""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sipx_metrics import sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx import ProxyStatus

    Samples = Iterable[tuple[tuple[str, ...], float]]

TROUBLES: Final = {
    "interface": "interface",
    "partner": "partner",
    "certificate": "certificate",
    "trust": "trust",
    "log file": "log-file",
    "public address": "public-address",
    "SRV record": "srv-record",
}
"""Kinds of trouble that have a count of their own, with their label; all others are "other"."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, its labels, what it means, and its samples as (label values, value)."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    help: str
    read: Callable[[ProxyStatus], Samples]


def _one(value: float) -> Samples:
    return [((), value)]


def _by(counts: dict[str, int]) -> Samples:
    return [((word,), number) for word, number in counts.items()]


def _build(status: ProxyStatus) -> Samples:
    return [((status.service.version, platform.python_version()), 1)]


def _reloads(status: ProxyStatus) -> Samples:
    reload = status.service.reload
    return [(("success",), reload.count - reload.failed), (("failure",), reload.failed)]


def _interfaces(status: ProxyStatus) -> Iterable[Any]:
    """One for each name: an interface that still drains has the name of what replaced it."""
    found: dict[str, Any] = {}
    for one in status.interfaces:
        if one.name not in found or found[one.name].state == "draining":
            found[one.name] = one
    return found.values()


def _interfaces_up(status: ProxyStatus) -> Samples:
    # One that is switched off is not down.
    for one in _interfaces(status):
        if one.state != "off":
            yield (one.name, one.protocol, one.role), one.state == "listening"


def _flows(status: ProxyStatus) -> Samples:
    for one in _interfaces(status):
        yield (one.name, "inbound"), one.flows - one.outbound
        yield (one.name, "outbound"), one.outbound


def _messages(status: ProxyStatus) -> Samples:
    for one in _interfaces(status):
        yield (one.name, "in"), one.messages_in
        yield (one.name, "out"), one.messages_out


def _responses(status: ProxyStatus) -> Samples:
    counts: Counter[tuple[str, ...]] = Counter()
    for one in status.answers:
        if one.status:
            counts[one.method, f"{one.status // 100}xx"] += one.count
    return counts.items()


def _unanswered(status: ProxyStatus) -> Samples:
    return [((one.method,), one.count) for one in status.answers if not one.status]


def _transactions(status: ProxyStatus) -> Samples:
    return [(("server",), status.transactions.servers), (("client",), status.transactions.clients)]


def _plugins_up(status: ProxyStatus) -> Samples:
    for plugin in status.plugins:
        if plugin.enabled:
            yield (plugin.name,), plugin.state == "running"


def _restarts(status: ProxyStatus) -> Samples:
    for plugin in status.plugins:
        if plugin.enabled:
            yield (plugin.name,), sum(service.restarts for service in plugin.services)


def _faults(status: ProxyStatus) -> Samples:
    return [((plugin.name,), plugin.faults) for plugin in status.plugins if plugin.enabled]


def _not_after(status: ProxyStatus) -> Samples:
    for one in status.certificates:
        if one.not_after is not None:
            yield (one.name,), one.not_after.timestamp()


def _certificates_good(status: ProxyStatus) -> Samples:
    for one in status.certificates:
        yield (one.name,), not one.error and one.days_left is not None and one.days_left >= 0


def _troubles(status: ProxyStatus) -> Samples:
    counts = dict.fromkeys((*TROUBLES.values(), "other"), 0)
    for trouble in status.troubles:
        counts[TROUBLES.get(trouble.kind, "other")] += 1
    return _by(counts)


FAMILIES: Final = (
    Family(
        "sipx_build_info",
        "gauge",
        ("version", "python"),
        "The versions of sipx and Python that run; always 1.",
        _build,
    ),
    Family(
        "sipx_healthy",
        "gauge",
        (),
        "1 if nothing fails that sipx status would call a failure.",
        lambda status: _one(status.healthy),
    ),
    Family(
        "sipx_proxy_running",
        "gauge",
        (),
        "1 if the proxy service runs, 0 while it starts, drains or is stopped.",
        lambda status: _one(status.service.state == "running"),
    ),
    Family(
        "sipx_reload_total",
        "counter",
        ("result",),
        "Reloads of the configuration, by result: success or failure.",
        _reloads,
    ),
    Family(
        "sipx_reload_last_successful",
        "gauge",
        (),
        "0 if the last reload failed: then the configuration before it runs on.",
        lambda status: _one(not status.service.reload.error),
    ),
    Family(
        "sipx_reload_last_success_timestamp_seconds",
        "gauge",
        (),
        "When the configuration that runs was taken up, by a reload or by the start.",
        lambda status: _one(status.service.reload.last_success or status.service.started),
    ),
    Family(
        "sipx_interface_up",
        "gauge",
        ("interface", "protocol", "role"),
        "1 if the interface listens; one that is switched off is not there.",
        _interfaces_up,
    ),
    Family(
        "sipx_flows",
        "gauge",
        ("interface", "direction"),
        "Open flows: connections, and peer addresses behind a UDP socket; outbound are those that "
        "sipx has opened.",
        _flows,
    ),
    Family(
        "sipx_flows_opened_total",
        "counter",
        ("interface",),
        "Flows that were opened.",
        lambda status: [((one.name,), one.opened) for one in _interfaces(status)],
    ),
    Family(
        "sipx_connections_rejected_total",
        "counter",
        ("reason",),
        "Connections that were closed at once.",
        lambda status: _by(status.connections_refused),
    ),
    Family(
        "sipx_messages_total",
        "counter",
        ("interface", "direction"),
        "SIP messages in and out, retransmissions included.",
        _messages,
    ),
    Family(
        "sipx_requests_total",
        "counter",
        ("method",),
        "SIP requests that came in, retransmissions included; methods that no RFC knows are other.",
        lambda status: _by(status.requests),
    ),
    Family(
        "sipx_responses_total",
        "counter",
        ("method", "code_class"),
        "Final responses that were sent, one for each transaction; those to what was too malformed "
        "to tell have the method other.",
        _responses,
    ),
    Family(
        "sipx_requests_unanswered_total",
        "counter",
        ("method",),
        "Requests that got no final response in time (RFC 4320 §4.2).",
        _unanswered,
    ),
    Family(
        "sipx_rejected_total",
        "counter",
        ("reason",),
        "Requests that this proxy refused.",
        lambda status: _by(status.refusals),
    ),
    Family(
        "sipx_dropped_total",
        "counter",
        ("reason",),
        "What came in, was not answered and went nowhere.",
        lambda status: _by(status.drops),
    ),
    Family(
        "sipx_retransmissions_absorbed_total",
        "counter",
        (),
        "Retransmitted requests that were not forwarded again.",
        lambda status: _one(status.transactions.absorbed),
    ),
    Family(
        "sipx_transactions",
        "gauge",
        ("side",),
        "Transactions: server those of peers, finished ones that absorb retransmissions included; "
        "client those of this proxy.",
        _transactions,
    ),
    Family(
        "sipx_transactions_limit",
        "gauge",
        (),
        "Server transactions at which new requests are answered 503 (limits.max_transactions).",
        lambda status: _one(status.transactions.limit),
    ),
    Family(
        "sipx_requests_parked",
        "gauge",
        (),
        "Requests that wait for a name, a connection or a plugin.",
        lambda status: _one(status.transactions.parked),
    ),
    Family(
        "sipx_certificate_not_after_timestamp_seconds",
        "gauge",
        ("certificate",),
        "When the certificate in use ends.",
        _not_after,
    ),
    Family(
        "sipx_certificate_good",
        "gauge",
        ("certificate",),
        "1 if the files of the certificate are in order and it has not ended.",
        _certificates_good,
    ),
    Family(
        "sipx_troubles",
        "gauge",
        ("kind",),
        "What does not work now: interfaces, partners, certificates, authorities, log files, the "
        "public address, records in the DNS.",
        _troubles,
    ),
    Family(
        "sipx_plugin_up",
        "gauge",
        ("plugin",),
        "1 if all services of the plugin run.",
        _plugins_up,
    ),
    Family(
        "sipx_plugin_restarts_total",
        "counter",
        ("plugin",),
        "Restarts of the plugin's services after a failure.",
        _restarts,
    ),
    Family(
        "sipx_plugin_faults_total",
        "counter",
        ("plugin",),
        "Times that a hook or a service of the plugin raised.",
        _faults,
    ),
    Family(
        "sipx_server_state",
        "gauge",
        ("server", "state"),
        "1 for the state that a UC server is in, 0 for the others.",
        sections.server_states,
    ),
    Family(
        "sipx_server_users",
        "gauge",
        ("server",),
        "Users that a UC server has registered.",
        sections.server_users,
    ),
    Family(
        "sipx_server_share_ratio",
        "gauge",
        ("server",),
        "The part of the requests to UC servers in the last minute that went to this one, 0 to 1.",
        sections.server_shares,
    ),
    Family(
        "sipx_server_requests_total",
        "counter",
        ("server",),
        "Requests that were sent to a UC server.",
        sections.server_counts("requests"),
    ),
    Family(
        "sipx_server_pings_total",
        "counter",
        ("server",),
        "Times that a UC server was asked for signs of life.",
        sections.server_counts("pings"),
    ),
    Family(
        "sipx_server_pings_answered_total",
        "counter",
        ("server",),
        "Times that it answered.",
        sections.server_counts("pongs"),
    ),
    Family(
        "sipx_server_failures_total",
        "counter",
        ("server",),
        "Pings and requests that a UC server did not answer, answers 503, and "
        "connections that failed.",
        sections.server_counts("failures"),
    ),
    Family(
        "sipx_registered_users",
        "gauge",
        (),
        "Users that are registered.",
        sections.number_of("registrations", "users"),
    ),
    Family(
        "sipx_registrations",
        "gauge",
        (),
        "Registrations: a user may have several.",
        sections.number_of("registrations", "registrations"),
    ),
    Family(
        "sipx_logons_total",
        "counter",
        (),
        "Accounts that have proven themselves on a flow.",
        sections.number_of("logons", "accepted"),
    ),
    Family(
        "sipx_wrong_credentials_total",
        "counter",
        (),
        "Wrong user names and passwords.",
        sections.number_of("logons", "wrong"),
    ),
    Family(
        "sipx_bans_total",
        "counter",
        (),
        "Times that a source was banned because it guessed passwords.",
        sections.number_of("logons", "bans"),
    ),
    Family(
        "sipx_sources_banned",
        "gauge",
        (),
        "Sources that get no answer because they guessed passwords.",
        sections.banned,
    ),
    Family(
        "sipx_federation_partners",
        "gauge",
        (),
        "Partners of open federation that are known.",
        sections.number_of("open-federation", "known"),
    ),
    Family(
        "sipx_federation_partners_connected",
        "gauge",
        (),
        "Partners of open federation that there is a connection with.",
        sections.number_of("open-federation", "connected"),
    ),
    Family(
        "sipx_federation_requests_total",
        "counter",
        ("outcome",),
        "Requests of discovered partners that were let in, had to wait first, were over a limit, "
        "or were refused for another reason.",
        sections.federation_requests,
    ),
    Family(
        "sipx_public_address_info",
        "gauge",
        ("interface", "address"),
        "What an interface is advertised as in place of its own address; always 1.",
        sections.public_addresses,
    ),
    Family(
        "sipx_public_address_changes_total",
        "counter",
        (),
        "Times that another public address than before came into use.",
        sections.number_of("stun", "changes"),
    ),
    Family(
        "sipx_nat_info",
        "gauge",
        ("bind", "family", "nat", "mapping", "filtering"),
        "The kind of NAT, as STUN has measured it from an address of this machine; always 1.",
        sections.nat_kinds,
    ),
    Family(
        "sipx_stun_runs_total",
        "counter",
        ("result",),
        "Times that STUN servers were asked for the public address: answered or silent.",
        sections.stun_counts("runs", "answered", "silent"),
    ),
    Family(
        "sipx_stun_bindings_total",
        "counter",
        ("result",),
        "STUN questions of others on the SIP ports: answered or refused.",
        sections.stun_counts("bindings", "answered", "refused"),
    ),
    Family(
        "sipx_log_lines_lost_total",
        "counter",
        (),
        "Log lines that came faster than they could be written.",
        lambda status: _one(status.log_lines_lost),
    ),
)
"""Every metric, in the order in which they are shown."""

COLLECTION: Final = "sipx_collection_seconds"
COLLECTION_HELP: Final = "How long it took to gather all of this; SIP waited as long."
"""The one that is not in the status."""
