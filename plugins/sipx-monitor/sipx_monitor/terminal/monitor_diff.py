"""How two messages differ, line by line, and what sipx did to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from sipx_monitor.terminal.monitor_rows import clean
from sipx_monitor.traffic.comparing import Diff, DiffParams
from sipx_monitor.traffic.models import SeqParams

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx_monitor.terminal.monitor_sources import Source
    from sipx_monitor.traffic.comparing import DiffLine
    from sipx_monitor.traffic.models import MessageSummary

_STYLES: Final = {"added": "green", "removed": "red", "moved": "blue", "same": "bright_black"}


async def ask(source: Source, seqs: tuple[int, ...]) -> Diff:
    """Of one message what sipx changed in it, of two how they differ."""
    if len(seqs) == 1:
        return await source.call("monitor.changes", SeqParams(seq=seqs[0]), Diff)
    a, b = seqs
    return await source.call("monitor.diff", DiffParams(a=a, b=b), Diff)


def title(found: Diff, *, changes: bool) -> str:
    """What a view of it is called."""
    a, b = found.a.seq, found.b.seq
    if changes:
        return f"what sipx changed: message {a} as it came, {b} as it left"
    return f"messages {a} and {b}"


def shown(a: MessageSummary, b: MessageSummary, lines: Iterable[DiffLine]) -> Iterator[Text]:
    """All lines: "-" only in the first, "+" only in the second, "~" elsewhere; rules behind "»"."""
    yield Text(f"--- {a.seq}: {a.direction}, {a.source} → {a.target}", "bold")
    yield Text(f"+++ {b.seq}: {b.direction}, {b.source} → {b.target}", "bold")
    for line in lines:
        if line.op == "changed":
            yield Text(f"- {clean(line.a)}", _STYLES["removed"])
            yield Text(f"+ {clean(line.b)}", _STYLES["added"])
        else:
            sign = {"added": "+", "removed": "-", "moved": "~"}.get(line.op, " ")
            yield Text(f"{sign} {clean(line.b or line.a)}", _STYLES[line.op])
        if line.why:
            yield Text(f"  » {line.why}", "yellow")
