"""``sipx trace``: captures of the traffic, written and read without Wireshark."""

from __future__ import annotations

import base64
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sipx import CommandLine, command_options, live_options
from sipx_monitor.terminal.monitor import (
    Wanted,
    check_filter,
    console_on_stdout,
    document,
    print_dialogs,
    print_ladder,
    print_messages,
    run,
    source_of,
    url_options,
)
from sipx_monitor.terminal.private_files import write

if TYPE_CHECKING:
    from sipx_monitor.terminal.monitor_sources import Source

FORMATS: Final = ("text", "jsonl", "svg", "csv", "pcapng")
_FILE: Final = click.Path(path_type=Path, allow_dash=True)
_READ: Final = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
filter_option = click.option(
    "-f", "--filter", "wanted", default="", metavar="FILTER", help="Only what it wants."
)


@click.group()
def trace() -> None:
    """Captures: record the traffic into a file, look at one, change its form, compare messages.

    Files are pcapng, which Wireshark, tshark and sngrep read, or JSON lines. What was encrypted on
    the way is in clear text, credentials are masked.

    \b
      sipx trace record call.pcapng --for 10m -f 'from:alice'
      sipx trace record - | wireshark -k -i -
      sipx trace open call.pcapng                    the view of `sipx monitor`, on a file
      sipx trace open call.pcapng --ladder CALL-ID
      sipx trace diff call.pcapng 1                  what sipx changed in message 1
      sipx trace export call.pcapng --format svg --ladder CALL-ID -o call.svg
    """


@trace.command()
@click.argument("file", type=_FILE)
@filter_option
@click.option("--for", "duration", metavar="TIME", help="End after this time: 30s, 10m.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many messages.")
@click.option("--kept", is_flag=True, help="Begin with what the service has kept.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@url_options
@live_options
@click.pass_obj
def record(
    line: CommandLine,
    file: Path,
    wanted: str,
    duration: str | None,
    count: int | None,
    kept: bool,
    force: bool,
    url: str | None,
    token: str | None,
    cacert: str | None,
) -> None:
    """Record messages as they pass, until Ctrl-C.

    The name of FILE says its form: .pcapng, .jsonl, .csv, .txt; - is pcapng on stdout, as for
    `sipx trace record - | wireshark -k -i -`. Bodies are in it as far as the service records them
    ([monitor] capture_bodies). When the link to the service is lost it goes on as soon as it is
    there again.
    """
    from sipx_monitor.terminal.trace_record import Recording, form_of, seconds_of

    check_filter(wanted)
    try:
        form, seconds = form_of(file), seconds_of(duration)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _may_replace(line, file, force)
    source = source_of(line, url, token, cacert)
    recording = Recording(line, source, file, form)
    try:
        run(partial(recording.run, wanted, seconds=seconds, count=count or 0, kept=kept))
    finally:
        recording.end()


@trace.command("open")
@click.argument("file", type=_READ)
@filter_option
@click.option("--dialogs", is_flag=True, help="Calls, chats, subscriptions in place of messages.")
@click.option("--ladder", "call_id", metavar="CALL-ID", help="Draw one of them, and end.")
@click.option("--plain", "as_lines", is_flag=True, help="Lines, also on a terminal.")
@command_options
@click.pass_obj
def open_(
    line: CommandLine, file: Path, wanted: str, dialogs: bool, call_id: str | None, as_lines: bool
) -> None:
    """Look at a capture: of sipx, Wireshark, tshark, sngrep. No service is needed.

    On a terminal the view of `sipx monitor`, elsewhere a line for each message; with --json a
    document in each line.
    """
    check_filter(wanted)
    source = _file(line, file)
    if call_id is not None:
        run(partial(print_ladder, line, source, call_id, line.json))
    elif sys.stdout.isatty() and not (line.json or as_lines):
        from sipx_monitor.terminal.monitor_live import watch

        run(partial(watch, source, wanted, 5000, dialogs, line.wants_color, live=False))
    elif dialogs:
        run(partial(print_dialogs, line, source, wanted, line.json))
    else:
        run(partial(print_messages, line, source, Wanted(wanted, 5000, 0, False), line.json))


@trace.command()
@click.argument("file", type=_READ)
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="As what.")
@filter_option
@click.option("--ladder", "call_id", metavar="CALL-ID", help="Only this dialog.")
@click.option("-o", "--output", type=_FILE, default=Path("-"), help="Where to; stdout without it.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@command_options
@click.pass_obj
def export(
    line: CommandLine,
    file: Path,
    form: str,
    wanted: str,
    call_id: str | None,
    output: Path,
    force: bool,
) -> None:
    """Write a capture in another form: text, JSON lines, a ladder as SVG, CSV, pcapng."""
    from sipx_monitor.traffic.exporting import ExportedFile, ExportParams

    check_filter(wanted)
    if form == "pcapng" and str(output) == "-" and sys.stdout.isatty():
        raise click.UsageError("pcapng is nothing to read: give --output FILE, or a pipe")
    _may_replace(line, output, force)
    source = _file(line, file)
    asked = {"format": form, "filter": wanted, "call_id": call_id or ""}

    async def exported() -> None:
        params = ExportParams.model_validate(asked)
        found = await source.call("monitor.export", params, ExportedFile)
        _write(line, output, base64.b64decode(found.data_base64))
        if str(output) != "-":
            line.say(f"{found.messages} messages in {output}")

    run(exported)


@trace.command()
@click.argument("file", type=_READ)
@click.argument("a", type=click.IntRange(min=1))
@click.argument("b", type=click.IntRange(min=1), required=False)
@command_options
@click.pass_obj
def diff(line: CommandLine, file: Path, a: int, b: int | None) -> None:
    """How two messages differ, header by header; A and B are their numbers.

    Without B: what sipx changed in A on its way, and by which rule.
    """
    from sipx_monitor.terminal.monitor_diff import ask, shown

    source = _file(line, file)

    async def compared() -> None:
        found = await ask(source, (a,) if b is None else (a, b))
        if line.json:
            click.echo(document(found))
            return
        console = console_on_stdout(line)
        for text in shown(found.a, found.b, found.lines):
            console.print(text, soft_wrap=True)

    run(compared)


def _file(line: CommandLine, path: Path) -> Source:
    from sipx_monitor.terminal.trace_files import FileSource

    return FileSource(line, path)


def _may_replace(line: CommandLine, path: Path, force: bool) -> None:
    if path.is_file() and not force:  # "-" is none, nor is a pipe
        raise line.failed(f"{path} is there already; --force replaces it")


def _write(line: CommandLine, path: Path, data: bytes) -> None:
    if str(path) == "-":
        stream = sys.stdout.buffer
        stream.write(data)
        stream.flush()
        return
    try:
        write(path, data)
    except OSError as error:
        raise line.failed(f"{path} cannot be written: {error.strerror}") from None
