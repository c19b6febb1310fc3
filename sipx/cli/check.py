"""``sipx check``: findings by area, each with a code, what is so, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from sipx.cli.check_partner import partner
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from sipx.checks.running import Found
    from sipx.config.errors import ConfigError
    from sipx.dry_run import DryRun
    from sipx.status import PublicSummary

_CALLED: Final = "sipx.check.called"
_MARKS: Final = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow")}


def _areas(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from sipx.checks.running import OWN_AREAS
    from sipx.cli.completion import items

    return items((*OWN_AREAS, "routes", "federation", "logs", "partner"), incomplete)


class Areas(click.Group):
    """Areas as words, and commands: where the first word is the name of one, that is called."""

    allow_interspersed_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What stands before the command is ours, the rest is the command's."""
        at = next((n for n, word in enumerate(args) if word in self.commands), None)
        if at is not None and any(not word.startswith("-") for word in _plain_words(args[:at])):
            at = None  # areas came first: then it is taken for one, and told that it is none
        if at is not None:
            ctx.meta[_CALLED] = args[at:]
        return click.Command.parse_args(self, ctx, args if at is None else args[:at])

    def invoke(self, ctx: click.Context) -> Any:
        """The command, or the areas."""
        called = ctx.meta.get(_CALLED)
        if called is None:
            return click.Command.invoke(self, ctx)
        name, *rest = called
        ctx.invoked_subcommand = name
        command = self.commands[name]
        with command.make_context(name, list(rest), parent=ctx) as inner:
            return command.invoke(inner)


def _plain_words(args: Sequence[str]) -> Iterator[str]:
    """The words that are no values of options."""
    for before, word in zip(("", *args), args, strict=False):
        if before not in ("--config", "--color", "--only", "--skip"):
            yield word


class Words(click.Argument):
    """Arguments that are no part of the path to the commands below."""

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands in the usage of its own command."""
        return super().get_usage_pieces(ctx) if self in ctx.command.params else []


@click.group(cls=Areas, invoke_without_command=True, subcommand_metavar="| partner DOMAIN")
@click.argument("area", cls=Words, nargs=-1, shell_complete=_areas)
@click.option("--only", multiple=True, metavar="AREA", shell_complete=_areas, help="Like AREA.")
@click.option(
    "--skip", multiple=True, metavar="AREA", shell_complete=_areas, help="All but this area."
)
@click.option("--strict", is_flag=True, help="Warnings count as failures.")
@command_options
@click.pass_obj
def check(
    line: CommandLine,
    area: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    strict: bool,
) -> None:
    """Look for what is wrong before a partner does.

    Areas, as in `sipx check certs dns`, are config, ports, plugins, certs, dns, clock and those of
    the plugins, such as routes and federation; without AREA all of them. Nothing is changed, and
    nothing is sent but questions to the DNS, where a plugin finds partners by it, and to the STUN
    servers that are named. The exit code is 0 when nothing failed, 1 when something did, and 3
    when the configuration file is not valid.
    """
    from sipx.checks.running import UnknownAreaError, Wanted, findings
    from sipx.config import ConfigError, load

    path = line.config_path()
    wanted = Wanted((*area, *only), skip)
    try:
        settings = load(path, line.registry)
    except ConfigError as error:
        # The plugins' own areas are known only from a valid file.
        raise click.exceptions.Exit(_tell_problems(line, path, error)) from None
    try:
        found = findings(settings, line.registry, wanted, lambda dry: _known(line, path, dry))
    except UnknownAreaError as error:
        raise click.UsageError(str(error)) from None
    raise click.exceptions.Exit(_tell(line, path, found, strict))


check.add_command(partner)


def tell_config(line: CommandLine, path: Path) -> int:
    """Only whether a file is valid; the exit code."""
    from sipx.checks.running import valid
    from sipx.config import ConfigError, load

    try:
        settings = load(path, line.registry)
    except ConfigError as error:
        return _tell_problems(line, path, error)
    return _tell(line, path, [valid(settings)], strict=False)


def _tell_problems(line: CommandLine, path: Path, error: ConfigError) -> int:
    from sipx.checks.running import invalid

    _tell(line, path, invalid(error), strict=False)
    return ExitCode.CONFIGURATION


def _known(line: CommandLine, path: Path, dry: DryRun) -> PublicSummary | None:
    """The public address that a sipx which runs has found; None where that is not asked for."""
    from sipx.checks.dns import advertises_auto
    from sipx.cli.editing import running_status
    from sipx.status import PublicSummary

    if not advertises_auto(dry):
        return None
    status = running_status(line, path)
    return None if status is None else PublicSummary.model_validate(status.get("public", {}))


# ---------------------------------------------------------------- telling them


def _tell(line: CommandLine, path: Path, found: list[Found], strict: bool) -> int:
    """Print the findings and the verdict; the exit code."""
    severities = [item.finding.severity.value for item in found]
    failures, warnings = severities.count("failure"), severities.count("warning")
    bad = bool(failures or (strict and warnings))
    verdict = "failures" if bad else "warnings" if warnings else "ok"
    data = {
        "config": str(path.absolute()),
        "findings": [
            {
                "area": item.area,
                "code": item.finding.code,
                "severity": item.finding.severity.value,
                "text": item.finding.text,
                "remedy": item.finding.remedy,
            }
            for item in found
        ],
        "failures": failures,
        "warnings": warnings,
        "verdict": verdict,
    }
    line.result(data, [*_lines(found), _verdict(verdict, failures, warnings)])
    return ExitCode.BAD_ANSWER if bad else ExitCode.DONE


def _lines(found: list[Found]) -> Iterator[str]:
    from sipx.cli.cert_text import wrapped
    from sipx.cli.tables import terminal_width

    fits = terminal_width() is not None  # what is read by programs keeps its lines whole
    last = ""
    for item in found:
        if item.area != last:
            last = item.area
            yield click.style(item.area, bold=True)
        finding = item.finding
        mark, color = _MARKS.get(finding.severity.value, ("FAILURE", "red"))
        label = f"  {mark}  {finding.code}  "
        texts = wrapped(label, finding.text) if fits else [f"{label}{finding.text}"]
        yield texts[0].replace(mark, click.style(mark, fg=color), 1)
        yield from texts[1:]
        if finding.remedy:
            indent = " " * len(label)
            yield from wrapped(indent, finding.remedy) if fits else [f"{indent}{finding.remedy}"]


def _verdict(verdict: str, failures: int, warnings: int) -> str:
    if verdict == "ok":
        return click.style("All checks passed.", fg="green")
    told = [
        f"{count} {what}{'s' if count > 1 else ''}"
        for count, what in ((failures, "failure"), (warnings, "warning"))
        if count
    ]
    color = "red" if verdict == "failures" else "yellow"
    end = "see above" if verdict == "failures" else "it will run"
    return click.style(f"{' and '.join(told)}; {end}.", fg=color)
