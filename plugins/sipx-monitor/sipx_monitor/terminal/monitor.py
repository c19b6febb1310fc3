"""``sipx monitor``: the traffic in the terminal, as it passes."""

from __future__ import annotations

import sys
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import trio

from sipx import CommandLine, live_options
from sipx_monitor.terminal.monitor_rows import (
    DIALOG_HEADS,
    dialog_cells,
    plain,
    style_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pydantic import BaseModel
    from rich.console import Console

    from sipx_monitor.terminal.monitor_sources import Source
    from sipx_monitor.terminal.monitor_watching import Told
    from sipx_monitor.traffic.models import MessageSummary

F = TypeVar("F", bound="Callable[..., Any]")


class Wanted(NamedTuple):
    """What is to be shown."""

    filter: str
    lines: int
    """How many of those that are kept come first."""
    most: int
    """After how many it ends; 0: never."""
    follow: bool


def url_options(function: F) -> F:
    """Give a command what it needs to ask a console elsewhere."""
    for option in (
        click.option(
            "--cacert",
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            help="Who has signed the certificate there, if no public authority has.",
        ),
        click.option(
            "--token",
            envvar="SIPX_TOKEN",
            metavar="TOKEN",
            help="What lets in there; `sipx console token create` makes one. Or $SIPX_TOKEN.",
        ),
        click.option(
            "--url", metavar="URL", help="The console of another machine: https://HOST:PORT."
        ),
    ):
        function = option(function)
    return function


@click.command()
@click.option("-f", "--filter", "wanted", default="", metavar="FILTER", help="Only what it wants.")
@click.option("--dialogs", is_flag=True, help="Calls, chats, subscriptions in place of messages.")
@click.option("--ladder", "call_id", metavar="CALL-ID", help="Draw one of them, and end.")
@click.option("--jsonl", is_flag=True, help="A JSON document in each line; so does --json.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 5000),
    default=10,
    show_default=True,
    help="How many of the last that are kept come first.",
)
@click.option(
    "--count", type=click.IntRange(min=1), default=None, help="End after so many messages."
)
@click.option("--no-follow", is_flag=True, help="Only what is kept now.")
@click.option("--plain", "as_lines", is_flag=True, help="Lines, also on a terminal.")
@url_options
@live_options
@click.pass_obj
def monitor(
    line: CommandLine,
    wanted: str,
    dialogs: bool,
    call_id: str | None,
    jsonl: bool,
    lines: int,
    count: int | None,
    no_follow: bool,
    as_lines: bool,
    url: str | None,
    token: str | None,
    cacert: str | None,
) -> None:
    """The traffic as it passes, clear text of TLS included.

    \b
      sipx monitor                                 a view; keys steer it, ? lists them
      sipx monitor -f 'method:INVITE code:4xx'     only what a filter wants
      sipx monitor -f '!method:OPTIONS rtt>500ms'
      sipx monitor --dialogs                       calls, chats, subscriptions
      sipx monitor --ladder CALL-ID                one of them, with both sides of sipx
      sipx monitor --jsonl | jq .call_id           for programs: until Ctrl-C, or --count

    On a terminal a view is shown, elsewhere a line for each message. The sipx of this machine is
    asked over its control socket, or with --url a console. While nobody watches nothing is
    recorded, unless [monitor] record = "always". When sipx is started anew, it goes on.
    `sipx help --page monitor` tells the whole language of filters.
    """
    check_filter(wanted)
    if call_id is not None and dialogs:
        raise click.UsageError("--ladder draws one dialog, --dialogs lists them: give one of both")
    source = source_of(line, url, token, cacert)
    asked = Wanted(wanted, lines, count or 0, not no_follow and call_id is None)
    as_json = jsonl or line.json
    if call_id is not None:
        run(partial(print_ladder, line, source, call_id, as_json))
        return
    live = sys.stdout.isatty() and not (as_json or as_lines or no_follow or count)
    if live:
        from sipx_monitor.terminal.monitor_live import watch

        run(partial(watch, source, asked.filter, asked.lines, dialogs, line.wants_color))
    elif dialogs:
        run(partial(print_dialogs, line, source, asked.filter, as_json))
    else:
        run(partial(print_messages, line, source, asked, as_json))


def run(fn: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until it ends; Ctrl-C is how most of this ends."""
    try:
        trio.run(fn)
    except* KeyboardInterrupt:
        pass


def check_filter(text: str) -> None:
    """A filter that is wrong is told with its place, before anybody is asked."""
    from sipx_monitor.traffic.filters import FilterError, compile_filter

    try:
        compile_filter(text, bodies=True, now=lambda: 0.0)
    except FilterError as error:
        pointer = f"  {text}\n  {' ' * error.position}^" if text.isprintable() else ""
        raise click.UsageError(f"--filter: {error}\n{pointer}".rstrip()) from None


def source_of(line: CommandLine, url: str | None, token: str | None, cacert: str | None) -> Source:
    """The sipx of this machine, or the console that was named."""
    if url is None:
        from sipx_monitor.terminal.monitor_sources import SocketSource

        return SocketSource(line)
    from sipx_monitor.terminal.monitor_websocket import WebsocketSource, address_of

    try:
        place = address_of(url)
    except ValueError as error:
        raise click.UsageError(f"--url: {error}") from None
    return WebsocketSource(line, place, token or "", cacert)


def console_on_stdout(line: CommandLine) -> Console:
    """A console that folds no line; colours are decided by the options."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    color = line.wants_color(sys.stdout)
    return Console(
        file=sys.stdout,
        force_terminal=terminal or color,
        color_system=("auto" if terminal else "standard") if color else None,
        width=None if terminal else 200,
        highlight=False,
        emoji=False,
        markup=False,
    )


def document(one: BaseModel) -> str:
    """One line of JSON that can do nothing to a terminal."""
    return one.model_dump_json(ensure_ascii=True)


# ---------------------------------------------------------------- lines


async def print_messages(line: CommandLine, source: Source, asked: Wanted, as_json: bool) -> None:
    """Messages as lines, those that come as well if wanted."""
    from sipx_monitor.terminal.monitor_watching import Watching
    from sipx_monitor.traffic.models import MessageList, MessagesParams

    show = _Lines(line, as_json, asked.most)
    if not asked.follow:
        params = MessagesParams.model_validate(
            {"filter": asked.filter, "limit": max(asked.lines, 1)}
        )
        kept = await source.call("monitor.messages", params, MessageList)
        if asked.lines:
            show.all(kept.messages)
        return
    async with aclosing(Watching(source, asked.lines).told(asked.filter)) as everything:
        async for told in everything:
            show.told(told)
            if show.done:
                return


class _Lines:
    """Prints messages, one by one, and says what is to be said of the link."""

    def __init__(self, line: CommandLine, as_json: bool, count: int) -> None:
        from sipx_monitor.terminal.monitor_watching import LinkWords

        self._line = line
        self._link = LinkWords(line.say)
        self._json = as_json
        self._left = count
        self._color = line.wants_color(sys.stdout)
        self.done = False

    def told(self, told: Told) -> None:
        """Messages, or that the link is lost or there again."""
        from sipx_monitor.terminal.monitor_watching import NOT_KEPT, Linked, Lost
        from sipx_monitor.traffic.models import MessageList

        if isinstance(told, Lost | Linked):
            self._link.told(told)
        elif isinstance(told, MessageList):
            self.all(told.messages)
        else:
            if told.gap:
                self._line.say(NOT_KEPT)
            if told.dropped:
                self._line.say(f"{told.dropped} messages came too fast and are lost")
            self.all(told.batch)

    def all(self, messages: tuple[MessageSummary, ...]) -> None:
        """As many as are still wanted."""
        for one in messages:
            if self.done:
                return
            click.echo(self._text(one))
            self._left -= 1
            self.done = self._left == 0
        sys.stdout.flush()

    def _text(self, one: MessageSummary) -> str:
        if self._json:
            return document(one)
        text = plain(one)
        style = style_of(one).removeprefix("bold ")
        if not self._color or not style:
            return text
        return click.style(text, fg=style, bold=style_of(one).startswith("bold"))


async def print_dialogs(line: CommandLine, source: Source, wanted: str, as_json: bool) -> None:
    """The dialogs that are kept, as a table."""
    from sipx_monitor.traffic.models import DialogList, DialogsParams

    params = DialogsParams.model_validate({"filter": wanted})
    found = await source.call("monitor.dialogs", params, DialogList)
    if as_json:
        for one in found.dialogs:
            click.echo(document(one))
        return
    if not found.dialogs:
        line.say("no dialog is kept; messages are recorded while somebody watches")
        return
    for text in line.table(DIALOG_HEADS, [dialog_cells(one) for one in found.dialogs]):
        click.echo(text)


async def print_ladder(line: CommandLine, source: Source, call_id: str, as_json: bool) -> None:
    """One dialog, drawn."""
    from sipx_monitor.terminal.monitor_ladder import drawn
    from sipx_monitor.traffic.ladder import Ladder, LadderParams

    params = LadderParams.model_validate({"call_id": call_id})
    found = await source.call("monitor.ladder", params, Ladder)
    if as_json:
        click.echo(document(found))
        return
    console = console_on_stdout(line)
    for rung in drawn(found, console.width if sys.stdout.isatty() else 110):
        console.print(rung.text, soft_wrap=True)
