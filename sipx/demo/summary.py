"""The end of the demonstration: what was sent, what was delivered, what the proxies counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from sipx.demo.ledger import Tally, percentile
from sipx.demo.people import DOMAINS, MUNICH, PEOPLE, SERVERS
from sipx.demo.rows import METHODS, duration
from sipx.demo.zone import service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from sipx.demo.stage import Ended
    from sipx.journal import JournalStatistics

MEANINGS: Final = {
    "REGISTER": "servers and users log on",
    "SUBSCRIBE": "watching presence",
    "NOTIFY": "presence, told",
    "MESSAGE": "instant messages",
    "INVITE": "calls, with ringing",
    "ACK": "calls established",
    "BYE": "calls ended",
}
SHOWN: Final = 20
"""What is missing is told one by one up to this number."""


def introduction() -> Text:
    """What the reader is about to see."""
    text = Text()
    for domain in DOMAINS:
        text.append(domain, "bold")
        text.append("  a sipx, and behind it\n")
        for server in (name for name, where in SERVERS.items() if where == domain):
            names = ", ".join(person.name for person in PEOPLE if person.server == server)
            text.append(f"  UC server {server}  {names}")
            text.append("  (it is stopped and comes back)\n" if server == MUNICH else "\n")
    text.append(
        "Open federation: nobody has configured the two for each other. Each finds the other\n"
        f"in the DNS, by the record {service('DOMAIN')}, and believes it by\n"
        "its certificate. All are real proxies, on free ports of this machine.\n",
        "dim",
    )
    return text


def is_complete(ended: Ended) -> bool:
    """Whether all that was sent was delivered or answered as it had to be, and was something."""
    total = ended.ledger.total()
    done = total.delivered + total.by_proxy
    shown = ended.refusal is not None or ended.interrupted
    return total.sent > 0 and total.sent == done and not ended.ledger.missing() and shown


def as_data(ended: Ended) -> dict[str, Any]:
    """The summary as one JSON document."""
    refusal = ended.refusal
    return {
        "complete": is_complete(ended),
        "interrupted": ended.interrupted,
        "seconds": round(ended.seconds, 3),
        "domains": {
            domain: [name for name, where in SERVERS.items() if where == domain]
            for domain in DOMAINS
        },
        "total": _tally(ended.ledger.total()),
        "methods": {method: _tally(tally) for method, tally in _tallies(ended)},
        "servers": _servers(ended),
        "missing": ended.ledger.missing(),
        "refusal": None if refusal is None else refusal._asdict(),
        "proxies": {domain: _counts(counts) for domain, counts in ended.counts.items()},
    }


def _counts(counts: JournalStatistics) -> dict[str, Any]:
    return {
        "answers": {str(status): number for status, number in sorted(counts.by_status().items())},
        "refused": counts.refused,
        "dropped": counts.dropped,
        "faults": counts.faults,
    }


def _tallies(ended: Ended) -> list[tuple[str, Tally]]:
    """By method, in the order of the story."""
    order = list(MEANINGS)
    return sorted(ended.ledger.tallies.items(), key=lambda item: order.index(item[0]))


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "sent": tally.sent,
        "delivered": tally.delivered,
        "by_proxy": tally.by_proxy,
        "answered": tally.answered,
        "round_trip_ms": {
            f"p{percent}": None if value is None else round(value * 1000, 3)
            for percent in (50, 95)
            for value in (percentile(tally.round_trips, percent),)
        },
    }


def _servers(ended: Ended) -> dict[str, list[int]]:
    """How many requests each server got, one number for each time that it was started."""
    found: dict[str, list[int]] = {}
    for life in sorted(ended.ledger.arrived, key=lambda life: int(life.rpartition("/")[2])):
        found.setdefault(life.rpartition("/")[0], []).append(ended.ledger.arrived[life])
    return found


def as_text(ended: Ended) -> RenderableType:
    """The summary for people."""
    proxies = [
        _proxy(domain, counts, fine=is_complete(ended)) for domain, counts in ended.counts.items()
    ]
    return Group(_table(ended), _shares(ended), *proxies, Text(), *_verdict(ended))


def _shares(ended: Ended) -> Text:
    """One line: who got how much."""
    said = (
        f"{name} {numbers[0]}" + "".join(f", back {number}" for number in numbers[1:])
        for name, numbers in _servers(ended).items()
    )
    return Text.assemble(("the servers: ", "dim"), "   ".join(said) or "got nothing")


def _table(ended: Ended) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("", "", "sent", "delivered", "by sipx", "answered", "p50", "p95"):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for method, tally in _tallies(ended):
        style = METHODS.get(method, "white")
        table.add_row(
            Text(method, style), Text(MEANINGS.get(method, ""), "dim"), *_cells(method, tally)
        )
    table.add_section()
    table.add_row(
        Text("all", "bold"),
        Text("times without INVITE", "dim"),
        *_cells("", ended.ledger.total()),
    )
    return table


def _cells(method: str, tally: Tally) -> list[Text]:
    style = "green" if tally.delivered + tally.by_proxy == tally.sent else "bold red"
    return [
        Text(f"{tally.sent}"),
        Text(f"{tally.delivered}", style),
        Text(f"{tally.by_proxy}", style) if tally.by_proxy else Text("–", "dim"),
        Text("–", "dim") if method == "ACK" else Text(f"{tally.answered}"),
        *(
            Text(duration(percentile(tally.round_trips, percent)) or "–", "dim")
            for percent in (50, 95)
        ),
    ]


def _proxy(domain: str, counts: JournalStatistics, *, fine: bool) -> Text:
    """One line: what the proxy of a domain counted."""
    # Challenges, 480 for whose server is away, and the stranger's 403 belong to the show.
    refused = "" if fine else "bold red"
    answers = {
        str(status) if status else "without an answer": number
        for status, number in sorted(counts.by_status().items())
    }
    line = Text.assemble((f"the sipx of {domain}: answers ", "dim"), _counted(answers, ""))
    for what, found, style in (
        ("refused", counts.refused, refused),
        ("dropped", counts.dropped, "bold red"),
        ("plugins failed", counts.faults, "bold red"),
    ):
        if found or what != "plugins failed":
            line.append_text(Text.assemble((f"   {what} ", "dim"), _counted(found, style)))
    return line


def _counted(counts: Mapping[str, int], style: str) -> Text:
    said = ", ".join(f"{number} × {name}" for name, number in counts.items())
    return Text(said or "none", style if counts else "")


def _verdict(ended: Ended) -> list[Text]:
    total = ended.ledger.total()
    when = f"in {ended.seconds:.1f} s" + (", ended early" if ended.interrupted else "")
    if is_complete(ended):
        first = Text.assemble(
            ("✓ ", "bold green"),
            (f"All {total.sent} requests were delivered", "bold green"),
            f" {when}, or answered by sipx where that was due: {total.by_proxy}.",
        )
        return [first, *_refusal(ended), _next()]
    if not ended.ledger.missing() and total.sent:
        return [Text(f"✗ The stranger did not come {when}.", "bold red")]
    if not total.sent:
        return [Text(f"✗ Nothing was sent {when}.", "bold red")]
    missing = ended.ledger.missing()
    lines = [
        Text(
            f"✗ Of {total.sent} requests {total.delivered} were delivered {when}, "
            f"{total.by_proxy} answered by sipx as was due.",
            "bold red",
        )
    ]
    lines += [Text(f"  {words}") for words in missing[:SHOWN]]
    if len(missing) > SHOWN:
        lines.append(Text(f"  and {len(missing) - SHOWN} more; --json lists all"))
    return lines


def _refusal(ended: Ended) -> list[Text]:
    """What became of the stranger."""
    if ended.refusal is None:
        return []
    refusal = ended.refusal
    return [
        Text.assemble(
            ("✓ ", "bold green"),
            (f"{refusal.who}, which said it was {refusal.claimed}, was refused", "bold green"),
            f" with {refusal.status}.",
        )
    ]


def _next() -> Text:
    return Text.assemble(
        "Next: ",
        ("sipx init", "bold"),
        " makes a configuration, ",
        ("sipx run", "bold"),
        " runs it; more: ",
        ("docs/index.md", "bold"),
    )
