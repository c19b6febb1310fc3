"""``sipx log``: the log of the running service, its levels and its files."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from sipx.cli.command_line import CommandLine, json_text
from sipx.cli.exits import ExitCode
from sipx.cli.live import lasting, live_options, moment
from sipx.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.control.logs import LinesParams, LogLine

_LONGEST_CHANGE: Final = 7 * 86400.0
_LEVELS: Final = ("error", "warning", "info", "debug", "trace")
_COLORS: Final = {
    "error": "red",
    "warning": "yellow",
    "debug": "bright_black",
    "trace": "bright_black",
}


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """``10m``, as in a configuration file."""
    from pydantic import TypeAdapter, ValidationError

    from sipx.config.values import Duration

    if value is None:
        return None
    try:
        seconds = float(TypeAdapter(Duration).validate_python(value))
    except ValidationError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_CHANGE:
        raise click.BadParameter(
            f"{value!r} is not taken; allowed: text such as 30s, 10m, 1h, up to 7d; what is to "
            "last longer belongs into [log.levels] of the file"
        )
    return seconds


@click.group(invoke_without_command=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with the lines that come, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 2000),
    default=100,
    show_default=True,
    help="How many of the last lines.",
)
@click.option(
    "--level", type=click.Choice(_LEVELS), default="trace", help="Leave out what is less important."
)
@click.option("--area", default="sipx", metavar="AREA", help="Only an area and what is below it.")
@click.option("--grep", default="", metavar="TEXT", help="Only lines with this text; no pattern.")
@live_options
@click.pass_context
def log(ctx: click.Context, follow: bool, lines: int, level: str, area: str, grep: str) -> None:
    """The log of the running service: lines, levels, files.

    Without a subcommand the last lines that the service keeps in memory. TEXT is looked for
    anywhere in a line, upper and lower case being the same. With --follow and --json each line is
    a document of its own.
    """
    if ctx.invoked_subcommand is not None:
        return
    from sipx.control.logs import LinesParams, LogLines

    line = ctx.ensure_object(CommandLine)
    asked = LinesParams.model_validate(
        {"count": lines, "level": level, "area": area, "grep": grep[:200]}
    )
    if follow:
        _follow(line, asked)
        return
    with line.control() as client:
        found = client.call("log.recent", asked, LogLines)
    color = line.wants_color(sys.stdout)
    line.result(
        found.model_dump(mode="json"),
        [text for one in found.lines for text in _shown(one, color)] or ["no such line is kept"],
    )
    if found.lost:
        line.say(f"{found.lost} lines were lost since the start")


def _follow(line: CommandLine, asked: LinesParams) -> None:
    from sipx.control.logs import LogLine

    color = line.wants_color(sys.stdout)
    try:
        with line.control() as client:
            for one in client.stream("log.follow", asked, LogLine):
                if line.json:
                    click.echo(json_text(one.model_dump(mode="json")))
                else:
                    click.echo("\n".join(_shown(one, color)))
                sys.stdout.flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.DONE) from None


def _shown(one: LogLine, color: bool) -> Iterator[str]:
    """A line in local time, its fields behind it, a traceback below it."""
    when = datetime.fromtimestamp(one.time, UTC).astimezone()
    level = one.level.ljust(7)
    if color and one.level in _COLORS:
        level = click.style(level, fg=_COLORS[one.level])
    fields = "".join(f" {name}={value}" for name, value in one.fields.items())
    at = when.strftime("%Y-%m-%d %H:%M:%S.") + f"{when.microsecond // 1000:03}"
    yield f"{at} {level} {escaped(one.area)}: {escaped(one.text + fields)}"
    if one.traceback:
        yield escaped(one.traceback, lines=True)


@log.command("level")
@click.argument("area", required=False)
@click.argument("level", type=click.Choice(_LEVELS), required=False)
@click.option(
    "--for", "seconds", callback=_seconds, metavar="TIME", help="And back after this time: 10m."
)
@live_options
@click.pass_obj
def level_(line: CommandLine, area: str | None, level: str | None, seconds: float | None) -> None:
    """The areas with their levels, or another level for one.

    AREA is such as proxy or plugin.static-routes, or sipx for all. Without --for it lasts until
    the table [log] in the file changes, or the process ends.
    """
    from sipx.control.logs import LevelList, LevelParams, LevelState

    if area is None:
        with line.control() as client:
            listed = client.call("log.levels", None, LevelList)
        rows = [(one.area, one.level, _origin(one)) for one in listed.levels]
        line.result(listed.model_dump(mode="json"), line.table(("area", "level", "by"), rows))
        return
    if level is None:
        raise click.UsageError(f"which level for {area}? one of {', '.join(_LEVELS)}")
    asked = LevelParams.model_validate({"area": area, "level": level, "seconds": seconds})
    with line.control() as client:
        found = client.call("log.level", asked, LevelState)
    lasts = "until [log] changes, or sipx starts anew" if seconds is None else lasting(seconds)
    text = f"{found.area}: {found.level}, {'' if seconds is None else 'for '}{lasts}"
    line.result(found.model_dump(mode="json"), text)
    if not found.known:
        line.say(f"nothing has logged in {found.area} yet; `sipx log level` lists the areas")


def _origin(one: Any) -> str:
    if one.by == "change":
        return "a change" if one.left is None else f"a change, {lasting(one.left)} left"
    return "the file" if one.by == "file" else ""


@log.command("files")
@live_options
@click.pass_obj
def files(line: CommandLine) -> None:
    """The files that the log is written to, each with its size and its last line's time."""
    from sipx.control.logs import LogFileList

    with line.control() as client:
        found = client.call("log.files", None, LogFileList)
    rows = [
        (
            one.path,
            f"{one.size:,}",
            moment(one.modified),
        )
        for one in found.files
    ]
    text = line.table(("file", "bytes", "written"), rows) if rows else ["no log file is written"]
    line.result(found.model_dump(mode="json"), [escaped(each) for each in text])
