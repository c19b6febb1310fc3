"""What the live view shows: lists and a ladder. Each is lines of a height, and has a cursor.

Nothing here asks anybody or writes anywhere: the tests look at lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

from rich.text import Text

from sipx_monitor.terminal.monitor_ladder import drawn
from sipx_monitor.terminal.monitor_rows import (
    DIALOG_HEADS,
    HEADS,
    MARKS,
    cells,
    clean,
    dialog_cells,
    dialog_style,
    dialog_widths,
    fitted,
    style_of,
    widths_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipx_monitor.traffic.ladder import Ladder
    from sipx_monitor.traffic.models import DialogSummary, MessageSummary

KEPT: Final = 5000
"""Messages of the list; the service keeps more."""
MOVES: Final = {"up": -1, "k": -1, "down": 1, "j": 1}
"""How far keys move a cursor."""
_SOURCE, _TARGET = HEADS.index("source"), HEADS.index("target")
T = TypeVar("T")


class View(Protocol):
    """One of them."""

    title: str
    hints: tuple[str, ...]
    """Keys and what they do, the most important first; the last two are always shown."""

    def lines(self, width: int, height: int) -> list[Text]:
        """At most ``height`` lines."""
        ...

    def move(self, key: str) -> bool:
        """Whether the key moved something here."""
        ...

    def expire(self) -> None:
        """What is shown is of a process that is no more: its numbers mean others now."""
        ...


class Scrolled(Generic[T]):
    """Rows with a cursor. ``at`` is its row; None: the end is followed."""

    def __init__(self, rows: Iterable[T] = (), *, follows: bool = False) -> None:
        self.rows: list[T] = list(rows)
        self.at: int | None = None if follows else 0
        self._follows = follows
        self._top = 0
        self._height = 1

    @property
    def current(self) -> T | None:
        """The row of the cursor; while the end is followed the last one."""
        if not self.rows:
            return None
        return self.rows[-1 if self.at is None else self.at]

    def move(self, key: str) -> bool:
        """Move the cursor; moved down beyond the last row it follows the end again."""
        page = max(1, self._height - 1)
        step = {**MOVES, "pgup": -page, "pgdn": page}.get(key)
        last = len(self.rows) - 1
        if step is not None:
            at = (last if self.at is None else self.at) + step
            self.at = None if self._follows and at > last else max(0, min(at, last))
        elif key in ("home", "g"):
            self.at = 0
        elif key in ("end", "G"):
            self.at = None if self._follows else max(0, last)
        else:
            return False
        return True

    def visible(self, height: int) -> tuple[int, Sequence[T]]:
        """The number of the first row that fits, and the rows."""
        self._height = height
        last = max(0, len(self.rows) - height)
        if self.at is None:
            self._top = last
        else:
            self._top = min(max(self._top, self.at - height + 1), self.at, max(last, 0))
        return self._top, self.rows[self._top : self._top + height]

    def dropped(self, count: int) -> None:
        """So many rows went at the beginning."""
        del self.rows[:count]
        self._top = max(0, self._top - count)
        if self.at is not None:
            self.at = max(0, self.at - count)


class Break(NamedTuple):
    """A row between messages: what may be missing there."""

    text: str
    seq: int = 0
    marked: str = ""


class MessagesView:
    """The list of messages, the newest below."""

    hints: tuple[str, ...] = (
        "Enter ladder", "t text", "c changes", "w why", "/ filter", "Space pick", "d diff",
        "m mark", "p hold", "y copy", "e save", "q end", "? keys",
    )  # fmt: skip

    def __init__(self, *, live: bool = True) -> None:
        self.title = "messages"
        self._live = live
        self.scrolled: Scrolled[MessageSummary | Break] = Scrolled(follows=live)
        self.picked: list[int] = []
        self.held: list[MessageSummary | Break] | None = None
        """What came since the view is held; None: it is not."""

    @property
    def current(self) -> MessageSummary | None:
        """The message of the cursor."""
        found = self.scrolled.current
        return None if isinstance(found, Break) else found

    def add(self, messages: Sequence[MessageSummary | Break]) -> None:
        """More of them."""
        into = self.scrolled.rows if self.held is None else self.held
        into.extend(messages)
        over = len(into) - KEPT
        if over > 0:
            if self.held is None:
                self.scrolled.dropped(over)
            else:
                del self.held[:over]

    def missing(self, text: str) -> None:
        """Say what may be missing behind the last message."""
        self.add([Break(text)])

    def expire(self) -> None:
        """The numbers of these are those of others now."""
        self.picked.clear()
        for rows in (self.scrolled.rows, self.held or []):
            rows[:] = [
                one if isinstance(one, Break) else one.model_copy(update={"seq": 0}) for one in rows
            ]

    def hold(self) -> None:
        """Stand still, or go on with what came meanwhile."""
        if self.held is None:
            self.held = []
        else:
            waiting, self.held = self.held, None
            self.add(waiting)

    def clear(self) -> None:
        """Begin anew."""
        self.scrolled = Scrolled(follows=self._live)
        self.picked.clear()
        self.held = None if self.held is None else []

    def pick(self, seq: int) -> None:
        """Pick a message for a diff, or not any more; two at most."""
        if seq in self.picked:
            self.picked.remove(seq)
        else:
            self.picked = [*self.picked[-1:], seq]

    def replace(self, one: MessageSummary) -> None:
        """Another state of a message, where it is still here."""
        rows = self.scrolled.rows
        for number in range(len(rows) - 1, -1, -1):
            if rows[number].seq == one.seq:
                rows[number] = one
                return

    def lines(self, width: int, height: int) -> list[Text]:
        """A head and the rows."""
        widths = widths_for(width - 2)
        # With room for one address it is the neighbour's: ours is the same in all lines.
        one_address = not widths[_SOURCE]
        heads = (*HEADS[:_TARGET], "neighbour", *HEADS[_TARGET + 1 :]) if one_address else HEADS
        found = [Text("  ") + fitted(heads, widths, "bold")]
        first, rows = self.scrolled.visible(height - 1)
        for number, one in enumerate(rows, first):
            text = self._row(one, widths, one_address=one_address)
            if number == self.scrolled.at:
                text.stylize("reverse")
            found.append(text)
        if not rows:
            said = "nothing yet: what passes the proxy stands here" if self._live else "no message"
            found.append(Text(f"  {said}", "bright_black"))
        return found

    def _row(
        self, one: MessageSummary | Break, widths: Sequence[int], *, one_address: bool
    ) -> Text:
        if isinstance(one, Break):
            return Text(f"  ┄┄ {one.text} ┄┄", "bold yellow")
        columns = list(cells(one))
        if one_address:
            columns[_TARGET] = one.remote
        row = fitted(columns, widths, style_of(one))
        sign = "▌" if one.seq in self.picked else "●" if one.marked else " "
        colour = MARKS.get(one.marked, one.marked) if sign == "●" else "bold"
        return Text.assemble((sign, colour), " ", row)

    def move(self, key: str) -> bool:
        """Move the cursor."""
        return self.scrolled.move(key)


class DialogsView:
    """The list of dialogs, the newest first."""

    hints: tuple[str, ...] = (
        "Enter ladder",
        "/ filter",
        "Tab messages",
        "y copy Call-ID",
        "q end",
        "? keys",
    )

    def __init__(self) -> None:
        self.title = "dialogs"
        self.scrolled: Scrolled[DialogSummary] = Scrolled()

    def replace(self, dialogs: Sequence[DialogSummary]) -> None:
        """Another state of them; the cursor stays on its dialog."""
        known = self.scrolled.current
        self.scrolled.rows = list(dialogs)
        places = [n for n, one in enumerate(dialogs) if known is not None and one.id == known.id]
        at = self.scrolled.at
        # At the top it stays there: who looks at the newest wants to see the next one.
        if at and places:
            self.scrolled.at = places[0]
        elif at:
            self.scrolled.at = min(at, max(0, len(dialogs) - 1))

    def lines(self, width: int, height: int) -> list[Text]:
        """A head and the rows."""
        first, rows = self.scrolled.visible(height - 1)
        shown = [dialog_cells(one) for one in rows]
        widths = dialog_widths(shown, width - 1)
        found = [fitted(DIALOG_HEADS, widths, "bold")]
        for number, (one, row) in enumerate(zip(rows, shown, strict=True), first):
            text = fitted(row, widths, dialog_style(one))
            if number == self.scrolled.at:
                text.stylize("reverse")
            found.append(text)
        if not rows:
            found.append(Text("no dialog yet", "bright_black"))
        return found

    def move(self, key: str) -> bool:
        """Move the cursor."""
        return self.scrolled.move(key)

    def expire(self) -> None:
        """The next look at them shows what there is."""


class LadderView:
    """One dialog, with both sides of the proxy; the cursor stands on an arrow."""

    hints: tuple[str, ...] = (
        "Enter text", "c changes", "w why", "Space pick", "d diff", "y copy", "e save",
        "Esc back", "? keys",
    )  # fmt: skip

    def __init__(self, ladder: Ladder) -> None:
        self.expired = False
        self.title = clean(ladder.title)
        self.ladder = ladder
        self.steps: Scrolled[int] = Scrolled(range(len(ladder.steps)))
        self._top = 0

    @property
    def seq(self) -> int | None:
        """The message of the cursor."""
        at = self.steps.current
        if at is None:
            return None
        return 0 if self.expired else self.ladder.steps[at].seq

    def lines(self, width: int, height: int) -> list[Text]:
        """The heads stay, the arrows scroll."""
        rungs = drawn(self.ladder, width)
        heads, below = rungs[:3], rungs[3:]
        room = max(1, height - len(heads))
        here = next((n for n, rung in enumerate(below) if rung.step == self.steps.at), 0)
        self.steps.visible(room)
        self._top = min(max(self._top, here - room + 1), here)
        found = [rung.text for rung in heads]
        for number, rung in enumerate(below[self._top : self._top + room], self._top):
            text = rung.text.copy()
            if number == here and rung.step >= 0:
                text.stylize("reverse")
            found.append(text)
        return found

    def move(self, key: str) -> bool:
        """To another arrow; [ and ] as well."""
        return self.steps.move({"[": "up", "]": "down"}.get(key, key))

    def expire(self) -> None:
        """Nothing can be asked about its arrows."""
        self.expired = True
