"""What would become of a request: ``sipx routes explain``.

Where sipx runs, it is asked: only the running proxy knows who is registered and which UC servers
are there. The configuration file tells the rest, and all of it where nothing runs.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
import trio

from sipx import (
    ControlError,
    ExplainParams,
    Explanation,
    ProxyStatus,
    RequestError,
    ResolveError,
    decide_incoming,
    parse_address,
)
from sipx.sip import RemoteError, SipUri, cached_uri
from sipx_static_routes.listing import NAME
from sipx_static_routes.plugin import StaticRoutes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipx import CommandLine, DryRun

_ANYWHERE: Final = "192.0.2.1"
TRY_LATER: Final = 75
"""The exit code for answers that may be others soon: a name server failed."""


def explained(
    line: CommandLine,
    uri: str,
    senders: Sequence[str],
    method: str,
    interface: str | None,
    certificate: Path | None,
    account: str | None,
    *,
    offline: bool,
) -> None:
    """Tell the fate of a request. Ends the command with the exit code that stands for it."""
    who = _sender_of(senders)
    if certificate is not None and who == (None, None):
        raise click.UsageError("--certificate needs --from: an address or a SIP URI")
    if account is not None and who.source is not None:
        raise click.UsageError("a request comes from --account, or from an address of --from")
    asked = _Asked(_uri(uri), method.upper(), interface, certificate, account)
    client = None if offline else _running(line)
    with client or nullcontext(), line.dry_run() as dry:
        names = [each.name for each in dry.interfaces]
        if interface is not None and interface not in names:
            raise click.BadParameter(
                f"'{interface}' is not switched on; there are: {', '.join(names) or 'none'}",
                param_hint="--interface",
            )
        plugin = dry.plugin(NAME)
        if not isinstance(plugin, StaticRoutes):
            plugin = None
            line.say(f"the plugin {NAME} is not switched on")
        try:
            # Accounts that have shown up by themselves are known to the running one only.
            alone = asked if client is None else asked._replace(account=None)
            found = trio.run(_explained, dry, plugin, alone, who)
        except RequestError as error:
            raise click.UsageError(str(error)) from None
        if client is not None:
            found = _live(line, client, asked, found)
    line.result(_data(found), line.folded(_lines(found)))
    later = any(answer.temporary for answer in found.told.dns)
    if found.told.status not in (0, 200):
        raise click.exceptions.Exit(TRY_LATER if later and found.told.status == 504 else 1)


def _running(line: CommandLine) -> Any:
    """A connection to the sipx that runs with this configuration file, None where there is none."""
    client = line.reachable_control()
    if client is None:
        return None
    try:
        used = Path(client.call("status", None, ProxyStatus).service.config)
    except ControlError as error:
        raise line.failed(f"the running sipx: {error.text}") from error
    asked = line.config_path()
    if used.resolve() == asked.resolve():
        return client
    client.close()
    line.say(f"the sipx that runs uses {used}; {asked} is asked")
    return None


class _Asked(NamedTuple):
    """What the command was asked about."""

    uri: str
    method: str
    interface: str | None
    certificate: Path | None
    account: str | None


class _Who(NamedTuple):
    """What ``--from`` said."""

    source: tuple[str, int] | None
    uri: str | None


class _Found(NamedTuple):
    """The fate of a request, the route that matched it, and the table's word on each arrival."""

    told: Explanation
    who: _Who
    route: dict[str, Any] | None
    decisions: tuple[dict[str, Any] | None, ...]
    account: str | None = None
    switched_off: tuple[str, ...] = ()
    """Routes that would lead there if they were switched on."""
    switched_off_from: tuple[str, ...] = ()
    """Routes whose server the sender would be if they were switched on."""


def _sender_of(given: Sequence[str]) -> _Who:
    source: tuple[str, int] | None = None
    uri: str | None = None
    for text in given:
        address = _address(text)
        if address is not None and source is None:
            source = address
        elif address is None and uri is None:
            uri = _uri(text)
            try:
                SipUri.parse(uri.encode())
            except RemoteError as error:
                raise click.BadParameter(f"{text!r}: {error.reason}", param_hint="--from") from None
        else:
            raise click.BadParameter("one address and one SIP URI at most", param_hint="--from")
    return _Who(source, uri)


def _address(text: str) -> tuple[str, int] | None:
    """``192.0.2.1``, ``192.0.2.1:5060``, ``2001:db8::1`` or ``[2001:db8::1]:5060``."""
    if (numeric := parse_address(text)) is not None:
        return str(numeric), 5060
    host, colon, port = text.rpartition(":")
    numeric = parse_address(host) if colon and port.isdecimal() else None
    if numeric is None or not 0 < int(port) < 65536:
        return None
    return str(numeric), int(port)


def _uri(text: str) -> str:
    """A URI as people write it: the scheme may be left out."""
    return text if text.lower().startswith(("sip:", "sips:")) else f"sip:{text}"


async def _explained(dry: DryRun, plugin: StaticRoutes | None, asked: _Asked, who: _Who) -> _Found:
    """What the configuration file says."""
    if plugin is not None:
        for name in sorted(plugin.table.names()):
            try:
                plugin.table.learn(name, await dry.addresses(name))
            except ResolveError:
                continue  # what became of the question is told with the others
        if who != (None, None):
            with_certificate = asked.certificate is not None
            who = _completed(dry, plugin, who, with_certificate=with_certificate)
    told = await dry.explain(
        asked.uri,
        method=asked.method,
        source=who.source,
        from_uri=who.uri,
        interface=asked.interface,
        certificate=asked.certificate,
        account=asked.account,
    )
    route = None
    decisions: tuple[dict[str, Any] | None, ...] = tuple(None for _ in told.arrivals)
    if plugin is not None:
        row = plugin.table.towards(cached_uri(asked.uri.encode()).host)
        route = None if row is None else {"domain": row.domain, "why": _why(row.domain)}
        domain = cached_uri(told.from_uri.encode()).host
        decisions = tuple(_decision(plugin, arrival.flow, domain) for arrival in told.arrivals)
    off = () if plugin is None else plugin.switched_off(cached_uri(asked.uri.encode()).host)
    flows = [arrival.flow for arrival in told.arrivals]
    inert = () if plugin is None else [plugin.switched_off_from(flow) for flow in flows]
    off_from = tuple(dict.fromkeys(name for names in inert for name in names))
    explanation = Explanation.of(told, live=False)
    return _Found(explanation, who, route, decisions, asked.account, off, off_from)


def _live(line: CommandLine, client: Any, asked: _Asked, found: _Found) -> _Found:
    """The same as the running proxy says it; what it does not say stays."""
    pem = "" if asked.certificate is None else asked.certificate.read_text(errors="replace")
    source = found.who.source
    params = ExplainParams(
        uri=asked.uri,
        method=asked.method,
        address="" if source is None else source[0],
        port=5060 if source is None else source[1],
        from_uri=found.who.uri or "",
        interface=asked.interface or "",
        account=asked.account or "",
        certificate=pem,
    )
    try:
        told = client.call("explain", params, Explanation)
    except ControlError as error:
        raise line.failed(f"the running sipx: {error.text}") from error
    # The interfaces of the file and those that run are the same, unless one was changed since.
    by_name = {
        arrival.interface: decision
        for arrival, decision in zip(found.told.arrivals, found.decisions, strict=True)
    }
    decisions = tuple(by_name.get(arrival.interface) for arrival in told.arrivals)
    return found._replace(told=told, decisions=decisions, account=asked.account)


def _completed(dry: DryRun, plugin: StaticRoutes, who: _Who, *, with_certificate: bool) -> _Who:
    """Of a sender that is half known: the other half as its route says."""
    table = plugin.table
    if who.source is not None and who.uri is None:
        for interface in dry.interfaces:
            for row in table.from_source(interface.protocol, who.source[0]):
                if not row.domain.startswith("*"):
                    return who._replace(uri=f"sip:explain@{row.domain}")
    if who.uri is not None and who.source is None:
        named = table.towards(cached_uri(who.uri.encode()).host)
        for server in named.route.server if named is not None else ():
            for address in table.addresses_of(server):
                return who._replace(source=(address, 5060))
        if with_certificate:
            # Whom a certificate proves is asked whoever sends it from wherever (RFC 5737).
            return who._replace(source=(_ANYWHERE, 5061))
        raise click.UsageError(
            f"no route tells the address of {who.uri}: add --from with an IP address"
        )
    return who


def _why(pattern: str) -> str:
    if pattern == "*":
        return 'no other route matches, and "*" matches every domain'
    if pattern.startswith("*."):
        return "the longest pattern that the domain ends in"
    return "the domain itself has a route"


def _decision(plugin: StaticRoutes, flow: Any, domain: bytes) -> dict[str, Any] | None:
    """What the trust table says of a sender whose certificate or address a route names."""
    rows = plugin.rows_of(flow)
    if not rows:
        return None
    decision = decide_incoming(plugin.facts(rows, flow, domain))
    return {
        "row": decision.row,
        "action": decision.action.value,
        "reason": decision.reason,
        "trusted": decision.trusted,
        "routes": [row.domain for row in rows],
        "through": list(decision.through),
    }


# ---------------------------------------------------------------- telling it


def _data(found: _Found) -> dict[str, Any]:
    told, who = found.told, found.who
    return {
        "uri": told.uri,
        "method": told.method,
        "live": told.live,
        "account": found.account,
        "sender": None
        if who.source is None
        else {"address": who.source[0], "port": who.source[1], "from": told.from_uri},
        "forwarded": told.status == 0,
        "status": told.status or None,
        "why": told.why or None,
        "row": told.row or None,
        "route": found.route,
        "switched_off": list(found.switched_off),
        "switched_off_from": list(found.switched_off_from),
        "arrivals": [
            {
                "interface": arrival.interface,
                "protocol": arrival.protocol,
                "accepted": arrival.accepted,
                "status": arrival.status or None,
                "why": arrival.why,
                "row": arrival.row or (decision["row"] if decision else None),
                "through": _through(found, decision),
                "decision": decision,
            }
            for arrival, decision in zip(told.arrivals, found.decisions, strict=True)
        ],
        "reasons": list(told.reasons),
        "targets": [
            {
                "name": target.name,
                "group": target.group,
                "status": target.status or None,
                "why": target.why or None,
                "hops": [
                    {
                        "address": hop.address,
                        "port": hop.port,
                        "transport": hop.transport,
                        "name": hop.name,
                        "interface": hop.interface or None,
                        "refused": hop.refused or None,
                    }
                    for hop in target.hops
                ],
            }
            for target in told.targets
        ],
        "dns": [{"name": a.name, "type": a.type, "answer": a.text, "ttl": a.ttl} for a in told.dns],
    }


def _lines(found: _Found) -> Iterator[str]:
    told, who = found.told, found.who
    yield click.style(f"{told.method} {told.uri}", bold=True)
    if told.live:
        yield "asked:  the running sipx"
    else:
        yield "asked:  the configuration file; who is registered is only known where sipx runs"
    if found.account is not None:
        yield f"from:   {found.account}, as if that had logged on, {told.from_uri}"
    elif who.source is None:
        yield "from:   one of our own UC servers (nobody to judge without --from)"
    else:
        yield f"from:   {who.source[0]} port {who.source[1]}, {told.from_uri}"
    for arrival, decision in zip(told.arrivals, found.decisions, strict=True):
        yield f"sender: on {arrival.interface} ({arrival.protocol}): " + _judged(arrival, decision)
    for domain in found.switched_off_from:
        yield f"sender: its route {domain} is switched off (row 24)"
    for domain in found.switched_off:
        yield f"route:  {domain} is switched off (row 7)"
    if found.route is not None:
        yield f"route:  {found.route['domain']}: {found.route['why']}"
    elif not told.arrivals or any(arrival.accepted for arrival in told.arrivals):
        yield "route:  none"
    for reason in told.reasons:
        yield f"why:    {reason}"
    for answer in told.dns:
        yield f"dns:    {answer.text} (TTL {answer.ttl:.0f} s)"
    number = 0
    for target in told.targets:
        to = f" to {target.name}" if told.reasons and target.name else ""
        for hop in target.hops:
            number += 1
            name = "" if hop.name in (hop.address, target.name) else f" ({hop.name})"
            way = f"not tried: {hop.refused}" if hop.refused else f"from interface {hop.interface}"
            yield f"hop {number}:  {hop.transport} {hop.address} port {hop.port}{name}{to}, {way}"
    yield _end(told)


def _through(found: _Found, decision: dict[str, Any] | None) -> list[int]:
    """The rows on the way to the one that decided: 26 chose between routes, 24 left some out."""
    through: list[int] = [] if decision is None else list(decision["through"])
    return [24, *through] if found.switched_off_from and 24 not in through else through


def _judged(arrival: Any, decision: dict[str, Any] | None) -> str:
    row = f", row {decision['row']}: {decision['reason']}" if decision else ""
    if arrival.accepted:
        trust = "trusted" if arrival.trusted else "not trusted"
        return f"{arrival.why}, {trust}{row or f', row {arrival.row}'}"
    said = f"refused with {arrival.status}, {arrival.why}"
    if decision is None or decision["reason"] in arrival.why:
        return said + (f", row {arrival.row}" if arrival.row else "")
    return said + row


def _end(told: Explanation) -> str:
    row = f" (outgoing row {told.row})" if told.row and _judged_outwards(told) else ""
    if told.status == 0:
        return click.style(f"It would be forwarded{row}.", fg="green")
    if told.status == 200:
        return click.style("The proxy itself would answer it with 200.", fg="green")
    return click.style(f"It would be refused with {told.status}: {told.why}{row}.", fg="red")


def _judged_outwards(told: Explanation) -> bool:
    """Whether it got as far as the question where it goes: the rows before are the sender's."""
    return not told.arrivals or any(arrival.accepted for arrival in told.arrivals)
