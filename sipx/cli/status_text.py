"""A status in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from sipx.cli.live import lasting, moment
from sipx.cli.tables import table
from sipx.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sipx.status import ProxyStatus

MOST: Final = 10
"""Reasons that are listed of each kind, the most frequent first."""
MOMENTS: Final = ("since", "until", "when")
"""Fields of plugins' models that are moments."""
_NOT_FOUND: Final = "not found yet: interfaces show their own addresses"
_COLORS: Final = {"failure": "red", "warning": "yellow"}


def status_lines(found: ProxyStatus, width: int | None = None) -> list[str]:
    """All of it; ``width`` is that of the terminal, None where nothing needs to be cut."""
    return [
        *_service(found),
        *_headed("interfaces", _interfaces(found, width)),
        *_headed("public address", _public(found)),
        *_headed("traffic", _traffic(found)),
        *_headed("plugins", _plugins(found, width)),
        *_headed("certificates", _certificates(found, width)),
        *_sections(found, width),
        *_headed("troubles", _troubles(found)),
        *_headed("refused", _reasons(found.refused)),
        *_headed("dropped", _reasons(found.dropped)),
        *_headed("problems", _problems(found)),
        "",
        verdict(found),
    ]


def verdict(found: ProxyStatus) -> str:
    """In one line."""
    if not found.problems:
        return click.style("healthy", fg="green")
    failures = sum(problem.severity == "failure" for problem in found.problems)
    warnings = len(found.problems) - failures
    told = " and ".join(
        f"{count} {what}{'s' if count > 1 else ''}"
        for count, what in ((failures, "failure"), (warnings, "warning"))
        if count
    )
    said = f"healthy, with {told}" if found.healthy else f"not healthy: {told}"
    return click.style(said, fg="yellow" if found.healthy else "red")


def _headed(head: str, lines: list[str]) -> list[str]:
    return ["", click.style(head, bold=True), *(f"  {line}" for line in lines)] if lines else []


def _service(found: ProxyStatus) -> Iterator[str]:
    service = found.service
    color = "green" if service.state == "running" else "yellow"
    yield (
        f"sipx {service.version} is {click.style(service.state, fg=color)}, pid {service.pid}, "
        f"up for {lasting(service.uptime)}"
    )
    yield f"{escaped(service.config)}, for {', '.join(service.domains)}"
    reload = service.reload
    if reload.count:
        failed = f", {reload.failed} of them failed" if reload.failed else ""
        times = "once" if reload.count == 1 else f"{reload.count} times"
        yield f"reloaded {times}{failed}"


def _interfaces(found: ProxyStatus, width: int | None) -> list[str]:
    heads = ["name", "state", "protocol", "address", "flows", "in", "out"]
    rows: list[list[object]] = [
        [
            i.name,
            i.state,
            i.protocol,
            f"{i.address or i.bind} port {i.port or i.configured_port}",
            i.flows,
            i.messages_in,
            i.messages_out,
        ]
        for i in found.interfaces
    ]
    if any(i.advertises for i in found.interfaces):
        heads.insert(4, "advertised")
        for row, i in zip(rows, found.interfaces, strict=True):
            row.insert(4, advertised(i.advertised, i.advertises))
    cut = None if width is None else width - 2
    lines = table(heads, rows, cut, right=("flows", "in", "out"))
    told = [lines[0]]
    for interface, line in zip(found.interfaces, lines[1:], strict=True):
        told.append(line)
        if interface.reason:
            told.append(click.style(f"  {escaped(interface.reason)}", fg="red"))
    return told


def advertised(shown: str, wanted: bool, own: str = "-") -> str:
    """What stands in messages in place of an interface's own address; ``own`` where that does."""
    return shown or ("not known yet" if wanted else own)


def _public(found: ProxyStatus) -> list[str]:
    """What [wan] says of it, and what that stands for now; nothing where it plays no part."""
    public = found.public
    places: dict[str, list[str]] = {}
    for bind, address in public.found.items():
        places.setdefault(address, []).append(bind)
    behind = len(places) > 1
    told = ", ".join(
        f"{address} (from {', '.join(binds)})" if behind else address
        for address, binds in places.items()
    )
    if not public.used:
        return [escaped(f"{told}, and not used: wan.use_public_address is off")] if told else []
    if public.setting == "auto":
        return [f"{escaped(told)}, as found" if told else _NOT_FOUND]
    if public.addresses == (public.setting,):
        return [f"{escaped(public.setting)}, as the configuration says"]
    known = ", ".join(public.addresses) or "not known yet"
    return [escaped(f"{public.setting}, as the configuration says: {known}")]


def _traffic(found: ProxyStatus) -> list[str]:
    flows, running = found.flows, found.transactions
    lines = [
        f"flows: {flows.open} open, {flows.opened} opened, {flows.closed} closed",
        f"transactions: {running.servers} server, {running.clients} client, at most "
        f"{running.limit}; {running.parked} parked",
        f"retransmissions absorbed: {running.absorbed}, stray responses: {running.strays}",
    ]
    came = [f"{method} {count}" for method, count in found.requests.items() if count]
    if came:
        lines.append(f"requests: {', '.join(came)}")
    by_method: dict[str, list[str]] = {}
    for answer in found.answers:
        said = "unanswered" if not answer.status else str(answer.status)
        by_method.setdefault(answer.method, []).append(f"{said} x {answer.count}")
    lines += [f"answers to {method}: {', '.join(told)}" for method, told in by_method.items()]
    if found.log_lines_lost:
        lines.append(f"lost log lines: {found.log_lines_lost}")
    return lines


def _plugins(found: ProxyStatus, width: int | None) -> list[str]:
    rows = []
    for plugin in found.plugins:
        last = next((s.error for s in plugin.services if s.error), "")
        restarts = sum(service.restarts for service in plugin.services)
        rows.append(
            (plugin.name, plugin.version or "-", plugin.state, plugin.faults, restarts, last)
        )
    heads = ("name", "version", "state", "faults", "restarts", "last error")
    cut = None if width is None else width - 2
    return table(heads, rows, cut, right=("faults", "restarts")) if rows else []


def _certificates(found: ProxyStatus, width: int | None) -> list[str]:
    rows = [
        (
            one.name,
            "-" if one.days_left is None else one.days_left,
            "-" if one.not_after is None else f"{one.not_after:%Y-%m-%d}",
            ", ".join(one.used_by) or "nothing",
            one.subject or "-",
        )
        for one in found.certificates
    ]
    heads = ("name", "days left", "until", "used by", "subject")
    cut = None if width is None else width - 2
    return table(heads, rows, cut, right=("days left",)) if rows else []


def _sections(found: ProxyStatus, width: int | None) -> Iterator[str]:
    """What plugins show: a list as a table with the fields as columns, an object line by line."""
    for title, shown in found.sections.items():
        if isinstance(shown, dict):
            lines = [line for k, v in shown.items() for line in _of_object(k, v)]
            yield from _headed(escaped(title), lines)
        elif isinstance(shown, list) and shown:
            objects = [one for one in shown if isinstance(one, dict)]
            yield from _headed(escaped(title), _listed(objects, width))


def _of_object(name: str, value: object) -> Iterator[str]:
    """A field of an object: one line, and what is known of each below it where it is a list of
    objects.
    """
    if isinstance(value, dict):
        yield f"{name}: {', '.join(f'{k} {_field(k, v)}' for k, v in value.items())}"
        return
    objects = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    told = "" if objects else "none" if value == [] else _field(name, value)
    yield f"{name}: {told}".rstrip()
    for one in objects:
        fields = [f"{k}: {text}" for k, v in one.items() if (text := _field(k, v))]
        yield from (f"  {'  ' if number else ''}{text}" for number, text in enumerate(fields))


def _listed(objects: Sequence[Mapping[str, Any]], width: int | None) -> list[str]:
    heads = list(dict.fromkeys(key for one in objects for key in one))
    # A column that is empty everywhere says nothing.
    heads = [head for head in heads if any(_cell(one.get(head)) for one in objects)]
    rows = [[_field(head, one.get(head)) for head in heads] for one in objects]
    return table([h.replace("_", " ") for h in heads], rows, None if width is None else width - 2)


def _field(name: str, value: object) -> str:
    """A field of a plugin's model; ``since`` and ``until`` are seconds since 1970."""
    if name in MOMENTS and isinstance(value, float):
        return moment(value)
    return _cell(value)


def _cell(value: object) -> str:
    if value is None or isinstance(value, dict):
        return ""  # what has parts of its own is for programs
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return escaped(str(value))


def _troubles(found: ProxyStatus) -> list[str]:
    return [
        escaped(f"{t.kind} {t.name}: {t.text} ({_times(t.times)}, for {lasting(t.lasting)})")
        for t in found.troubles
    ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _reasons(counts: Mapping[str, int]) -> list[str]:
    worst = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{count} x {escaped(reason)}" for reason, count in worst[:MOST]]
    if len(worst) > MOST:
        lines.append(f"and {sum(count for _, count in worst[MOST:])} for other reasons")
    return lines


def _problems(found: ProxyStatus) -> list[str]:
    lines: list[str] = []
    for problem in found.problems:
        mark = click.style(problem.severity, fg=_COLORS[problem.severity])
        text = escaped(problem.text, lines=True).replace("\n", "\n    ")
        lines.append(f"{mark}: {text}")
        if problem.remedy:
            lines.append(f"  {problem.remedy}")
    return lines
