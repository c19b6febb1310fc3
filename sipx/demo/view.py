"""The terminal: messages scroll by, and below them stands how far the show is."""

from __future__ import annotations

import logging
import textwrap
from contextlib import nullcontext
from math import inf
from typing import TYPE_CHECKING, Final

import trio
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sipx.demo import rows
from sipx.demo.ledger import percentile
from sipx.demo.observer import plain

if TYPE_CHECKING:
    from typing import TextIO

    from sipx.demo.ledger import Ledger
    from sipx.demo.observer import Observer

REFRESH: Final = 0.1
"""Seconds between two looks at what has passed."""
UNFOLDED: Final = 120
"""Columns of a line where no terminal says how many there are."""


def console_on(stream: TextIO, *, color: bool) -> Console:
    """A console; colours are decided outside, and without a terminal no line is folded."""
    terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=terminal or color,
        color_system=("auto" if terminal else "standard") if color else None,
        width=None if terminal else UNFOLDED,
        highlight=False,
        emoji=False,
        markup=False,
    )


class View:
    """Shows what an observer saw; ``seconds`` is the length of the show, 0 for without end.

    On a terminal a line with the state of things is kept below the traffic.
    """

    def __init__(self, console: Console, *, seconds: float) -> None:
        self.console = console
        self._seconds = seconds
        self._live = console.file.isatty() and not console.is_dumb_terminal
        self._observer: Observer | None = None
        self._lines: list[Text] = []
        """What waits to be shown, in the order in which it happened."""

    def say(self, text: str, style: str = "") -> None:
        """A sentence between the messages, below those that have passed by now."""
        self._gather()
        width = self.console.width - 1
        lines = textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
        self._lines += [Text(line, style) for line in lines]

    def link(self, url: str) -> None:
        """Where the console is: in one line, however long it is, so that it can be opened."""
        self.console.print(Text.assemble(("Console: ", "bold"), (url, "underline")), soft_wrap=True)

    def command(self, command: str) -> None:
        """What shows the same in a terminal, in one line as well."""
        self.console.print(Text.assemble(("In a terminal: ", "bold"), command), soft_wrap=True)

    async def show(
        self,
        observer: Observer,
        ledger: Ledger,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until cancelled."""
        started = trio.current_time()
        self._observer = observer
        self.console.print(rows.heads(self.console.width))
        # Refreshed by this task alone: no thread writes beside it.
        with (
            Live(
                console=self.console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if self._live
            else nullcontext()
        ) as live:
            task_status.started()
            try:
                while True:
                    self._print()
                    if live is not None:
                        passed = trio.current_time() - started
                        live.update(self._state(ledger, passed), refresh=True)
                    await trio.sleep(REFRESH)
            finally:
                self._print()

    def _gather(self) -> None:
        if self._observer is not None:
            width = self.console.width
            self._lines += [rows.row(passage, width) for passage in self._observer.take()]

    def _print(self) -> None:
        self._gather()
        if self._lines:
            self.console.print(Group(*self._lines), no_wrap=True, overflow="ellipsis")
            self._lines = []

    def _state(self, ledger: Ledger, passed: float) -> Table:
        total = ledger.total()
        length = self._seconds or inf
        of = f"{min(passed, length):.0f} s"
        if self._seconds:
            of += f" of {self._seconds:g} s"
        middle = rows.duration(percentile(total.round_trips, 50))
        words = Text.assemble(
            (of, "bold"),
            f"   sent {total.sent}   ",
            ("delivered ", ""),
            (f"{total.delivered}", "green" if not ledger.failures else "bold red"),
            f"   p50 {middle}" if middle else "",
            ("   Ctrl-C ends", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
        grid = Table.grid(padding=(0, 2))
        share = min(1.0, passed / length)
        bar = ProgressBar(
            total=1.0,
            completed=share,
            width=14,
            pulse=not self._seconds,
            complete_style="green",
            finished_style="green",
        )
        grid.add_row(bar, words)
        return grid


class Warnings(logging.Handler):
    """What the proxy warns of, between the messages."""

    def __init__(self, view: View) -> None:
        super().__init__(logging.WARNING)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line of the log."""
        words = plain(record.getMessage().encode())
        style = "bold red" if record.levelno > logging.WARNING else "yellow"
        self._view.say(f"{record.levelname.lower()}: {words}", style)
