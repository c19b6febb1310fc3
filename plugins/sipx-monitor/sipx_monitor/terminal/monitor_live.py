"""The live view: a screen that keys steer, on what a running sipx tells."""

from __future__ import annotations

import base64
import sys
import textwrap
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click
import trio
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from sipx_monitor.terminal.monitor_actions import Actions
from sipx_monitor.terminal.monitor_keys import pressed, unbuffered
from sipx_monitor.terminal.monitor_sources import UNREACHABLE
from sipx_monitor.terminal.monitor_texts import HELP, TextView, help_view
from sipx_monitor.terminal.monitor_views import DialogsView, LadderView, MessagesView
from sipx_monitor.terminal.monitor_watching import NOT_KEPT, Linked, Lost, Watching
from sipx_monitor.traffic.filters import FilterError, compile_filter
from sipx_monitor.traffic.models import DialogList, DialogsParams, MessageList

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from sipx_monitor.terminal.monitor_sources import Source
    from sipx_monitor.terminal.monitor_views import View
    from sipx_monitor.terminal.monitor_watching import Told
    from sipx_monitor.traffic.models import MessageSummary

FRAME: Final = 0.1
"""Seconds between two pictures at least."""
DIALOGS: Final = 1.0
"""Seconds between two looks at the dialogs."""
LONGEST_COPY: Final = 50_000
"""Characters; more than this some terminals ignore."""
_FILTER: Final = "filter: "
_OF_A_MESSAGE: Final = frozenset(("t", "c", "w", "m", "y", "space", "enter"))
GONE: Final = "that was before sipx was started anew; it does not have the message any more"


async def watch(
    source: Source,
    wanted: str,
    lines: int,
    dialogs: bool,
    wants_color: Callable[[TextIO], bool],
    *,
    live: bool = True,
) -> None:
    """Until q or Ctrl-C. ``live``: more messages will come."""
    console = Console(
        file=sys.stdout,
        color_system="auto" if wants_color(sys.stdout) else None,
        highlight=False,
        emoji=False,
        markup=False,
    )
    screen = Screen(source, wanted, max(lines, 200), dialogs=dialogs, live=live)
    fd = sys.stdin.fileno() if sys.stdin.isatty() else None
    with Live(console=console, screen=True, auto_refresh=False) as picture:
        if fd is None:
            await screen.run(picture, None)
        else:
            with unbuffered(fd):
                await screen.run(picture, fd)
    if screen.error is not None:
        raise screen.error


class Screen:
    """The views above each other, and what keys do to them."""

    def __init__(
        self, source: Source, wanted: str, lines: int, *, dialogs: bool, live: bool = True
    ) -> None:
        self._source = source
        self._actions = Actions(source)
        self._watching = Watching(source, lines)
        self.filter = wanted
        self._last_filter = wanted
        """One that sipx has taken."""
        self.link = ""
        """Why there is no link to sipx; "" where there is one."""
        self.clipboard: Callable[[str], None] = lambda text: None
        """Puts a text there."""
        self.messages = MessagesView(live=live)
        self.dialogs = DialogsView()
        self.views: list[View] = [self.dialogs if dialogs else self.messages]
        self.typed: str | None = None
        """The filter that is being written; None: none is."""
        self.said = ""
        """What is to be said once, as of a filter that is wrong."""
        self._wrong_at = 0
        """Where the filter that is being written is wrong."""
        self.received = self.lost = 0
        self.error: BaseException | None = None
        self._scope = trio.CancelScope()
        self._following = trio.CancelScope()
        self._dirty = trio.Event()

    # ------------------------------------------------------------ tasks

    async def run(self, live: Live, fd: int | None) -> None:
        """Draw and listen until it is ended."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow)
                nursery.start_soon(self._look_at_dialogs)
                nursery.start_soon(self._draw, live)
                self.clipboard = _clipboard_of(live.console)
                if fd is not None:
                    async with aclosing(pressed(fd)) as keys:
                        async for key in keys:
                            await self.key(key)
                            self._changed()

    def _changed(self) -> None:
        self._dirty.set()

    def _end(self, error: BaseException | None = None) -> None:
        self.error = error
        self._scope.cancel()

    async def _draw(self, live: Live) -> None:
        while True:
            size = live.console.size
            live.update(Group(*self.picture(size.width, size.height)), refresh=True)
            self._dirty = trio.Event()
            with trio.move_on_after(5):  # a terminal may have another size by then
                await self._dirty.wait()
            await trio.sleep(FRAME)

    async def _follow(self) -> None:
        """Follow with one filter after the other."""
        try:
            while True:
                with trio.CancelScope() as self._following:
                    await self._follow_one(self.filter)
        except Exception as error:
            self._end(error)

    async def _follow_one(self, wanted: str) -> None:
        self.messages.clear()
        self.received = 0
        try:
            async with aclosing(self._watching.told(wanted)) as everything:
                async for told in everything:
                    self._take(told)
        except click.ClickException as error:
            # One that sipx refuses, as it looks into bodies that are not for everybody.
            if wanted == self._last_filter or error.exit_code == UNREACHABLE:
                raise
            self.said, self.filter = error.format_message(), self._last_filter

    def _take(self, told: Told) -> None:
        if isinstance(told, Lost):
            self.link = f"no link, trying again in {told.wait:g} s: {told.why}"
        elif isinstance(told, Linked):
            self._linked(told)
        elif isinstance(told, MessageList):
            self._last_filter = self.filter
            self._add(told.messages)
        else:
            if told.gap:
                self.messages.missing(NOT_KEPT)
            self.lost += told.dropped
            self._add(told.batch)
        self._changed()

    def _add(self, messages: tuple[MessageSummary, ...]) -> None:
        self.received += len(messages)
        self.messages.add(messages)

    def _linked(self, told: Linked) -> None:
        self.link = ""
        if told.missing:
            self.messages.missing(told.missing)
        else:
            self.said = "the link is there again"
        if told.anew:
            self.messages.expire()
            for view in self.views[1:]:
                view.expire()

    async def _look_at_dialogs(self) -> None:
        try:
            while True:
                if self.views[0] is self.dialogs and not self.link:
                    await self._look()
                await trio.sleep(DIALOGS)
        except Exception as error:
            self._end(error)

    async def _look(self) -> None:
        params = DialogsParams.model_validate({"filter": self.filter})
        try:
            found = await self._source.call("monitor.dialogs", params, DialogList)
        except click.ClickException as error:
            # That the link is lost is noticed, and told, by who follows the messages.
            if error.exit_code != UNREACHABLE and self.filter == self._last_filter:
                raise
            return
        self.dialogs.replace(found.dialogs)
        self._changed()

    # ------------------------------------------------------------ what is seen

    def picture(self, width: int, height: int) -> list[Text]:
        """A title, the view on top, and a footer: as many lines as the screen has."""
        view = self.views[-1]
        title = Text(f" sipx monitor · {view.title} ", "bold reverse")
        if self.link:
            title = Text(f" {self.link} ", "bold white on red")
        title.truncate(width, overflow="ellipsis")
        said = self._wraps(width)
        room = max(2, height - 3)
        lines = [line.copy() for line in view.lines(width, room)][:room]
        for line in lines:
            line.truncate(width)
        lines += [Text()] * (room - len(lines))
        below = said if len(said) > 1 else [self._footer(width), _hints(view, width)]
        return [title, *lines, *below]

    def _wraps(self, width: int) -> list[Text]:
        """What is to be said, where it needs the line of the hints too."""
        if self.typed is not None and self.said:
            return [self._footer(width), _pointer(len(_FILTER) + self._wrong_at, self.said, width)]
        if len(self.said) <= width:
            return []
        pieces = textwrap.wrap(self.said, width)[:2]
        return [Text(piece, "bold yellow") for piece in pieces]

    def _footer(self, width: int) -> Text:
        if self.typed is not None:
            return Text.assemble((_FILTER, "bold"), self.typed, "▏")
        if self.said:
            return Text(self.said[:width], "bold yellow")
        parts = [f"{self.received} messages"]
        if self.lost:
            parts.append(f"{self.lost} lost")
        if self.messages.held is not None:
            parts.append(f"held, {len(self.messages.held)} more wait")
        elif self.messages.scrolled.at is None:
            parts.append("following")
        parts.append(f"filter: {self.filter}" if self.filter else "no filter")
        text = Text(" · ".join(parts), "bold")
        text.truncate(width)
        return text

    # ------------------------------------------------------------ keys

    async def key(self, name: str) -> None:
        """What a key does."""
        if self.typed is not None:
            self._type(name)
            return
        self.said = ""
        view = self.views[-1]
        if name == "q":
            self._end()
        elif name == "esc" and len(self.views) > 1:
            self.views.pop()
        elif name in ("/", "f3", "f7"):
            self.typed = self.filter
        elif name in ("?", "f1"):
            if view.title == HELP:
                self.views.pop()
            else:
                self.views.append(help_view())
        elif name == "tab":
            self.views = [self.messages if self.views[0] is self.dialogs else self.dialogs]
        elif name == "p":
            self.messages.hold()
        elif name in ("x", "f5"):
            self.messages.clear()
        elif not view.move(name) or (name == "space" and not isinstance(view, TextView)):
            await self._ask(view, name)

    def _type(self, name: str) -> None:
        assert self.typed is not None
        if name == "enter":
            try:
                compile_filter(self.typed, bodies=True, now=lambda: 0.0)
            except FilterError as error:
                self.said, self._wrong_at = str(error), error.position
                return
            self.said = ""
            self.filter, self.typed = self.typed.strip(), None
            self._following.cancel()
        elif name == "esc":
            self.typed, self.said = None, ""
        elif name == "backspace":
            self.typed = self.typed[:-1]
        elif name == "erase":
            self.typed = ""
        elif name == "space":
            self.typed += " "
        elif len(name) == 1:
            self.typed += name

    async def _ask(self, view: View, name: str) -> None:
        """Keys that want something of the service; what it refuses is said below."""
        try:
            await self._asked(view, name)
        except click.ClickException as error:
            self.said = error.format_message()

    async def _asked(self, view: View, name: str) -> None:
        actions, seq = self._actions, _seq_of(view)
        if name in ("e", "f2"):
            ladder = view.ladder.call_id if isinstance(view, LadderView) else ""
            self.said = await actions.save(wanted="" if ladder else self.filter, call_id=ladder)
        elif name == "enter" and isinstance(view, (MessagesView, DialogsView)):
            if _call_id_of(view):
                self.views.append(await actions.ladder(_call_id_of(view)))
        elif name == "d":
            await self._compare()
        elif name == "Y" or (name == "y" and isinstance(view, DialogsView)):
            self._copy("the Call-ID", _call_id_of(view))
        elif seq is None:
            return
        elif seq == 0:
            if name in _OF_A_MESSAGE:
                self.said = GONE
        elif name == "y":
            self._copy(f"the text of message {seq}", await actions.copied(seq))
        elif name == "t" or (name == "enter" and isinstance(view, LadderView)):
            self.views.append(await actions.text(seq))
        elif name == "c":
            self.views.append(await actions.compare((seq,)))
        elif name == "w":
            self.views.append(await actions.decision(seq))
        elif name == "space":
            self._pick(seq)
        elif name == "m" and isinstance(view, MessagesView):
            await self._mark(view)

    async def _compare(self) -> None:
        picked = self.messages.picked
        if len(picked) < 2:
            self.said = "pick two messages with Space, then d shows how they differ"
        else:
            self.views.append(await self._actions.compare(tuple(sorted(picked))))

    async def _mark(self, view: MessagesView) -> None:
        if view.current is not None:
            view.replace(await self._actions.mark(view.current))

    def _copy(self, what: str, text: str) -> None:
        if len(text) > LONGEST_COPY:
            self.said = f"{what} is too long for the clipboards of terminals; e saves the dialog"
        elif text:
            self.clipboard(text)
            self.said = f"copied: {what}, if the terminal lets programs do that (OSC 52)"

    def _pick(self, seq: int) -> None:
        self.messages.pick(seq)
        picked = " and ".join(map(str, self.messages.picked))
        self.said = f"picked: {picked}" if picked else ""


def _seq_of(view: View) -> int | None:
    """The number of the message that keys are about; 0 for one that sipx has no more."""
    if isinstance(view, MessagesView):
        return None if view.current is None else view.current.seq
    return view.seq if isinstance(view, (LadderView, TextView)) else None


def _call_id_of(view: View) -> str:
    if isinstance(view, MessagesView):
        return "" if view.current is None else view.current.call_id
    if isinstance(view, DialogsView):
        return "" if view.scrolled.current is None else view.scrolled.current.call_id
    if isinstance(view, LadderView):
        return view.ladder.call_id
    return view.call_id if isinstance(view, TextView) else ""


def _pointer(at: int, said: str, width: int) -> Text:
    """A sentence beside what points at a place of the line above, where there is room."""
    found = " " * at + f"^ {said}"
    if len(found) > width:
        found = f"{said} ^".rjust(at + 1) if len(said) + 2 <= at < width else said
    return Text(found[:width], "yellow")


def _hints(view: View, width: int) -> Text:
    """As many as there is room for; how to get out, and to the rest, is always among them."""
    *some, last, keys = view.hints
    while some and len("  ".join((*some, last, keys))) > width:
        some.pop()
    text = Text("  ".join((*some, last, keys)), "bright_black")
    text.truncate(width)
    return text


def _clipboard_of(console: Console) -> Callable[[str], None]:
    """The clipboard of the terminal, as xterm and most others after it have it: OSC 52."""

    def put(text: str) -> None:
        data = base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
        console.file.write(f"\x1b]52;c;{data}\x07")
        console.file.flush()

    return put
