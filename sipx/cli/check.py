"""``sipx check``: findings by area, each with a code, what is so, and what to do about it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from sipx.cli.check_partner import partner
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from sipx.config.errors import ConfigError
    from sipx.config.load import Settings
    from sipx.dry_run import DryRun
    from sipx.plugin import Check, Finding
    from sipx.status import PublicSummary

OWN_AREAS: Final = ("config", "ports", "plugins", "certs", "dns", "clock")
_FOLLOWS: Final = "addresses_changed"
"""The hook of plugins that find out the public address."""
_CALLED: Final = "sipx.check.called"
_MARKS: Final = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow")}


class Found(NamedTuple):
    """A finding and the area it is in."""

    area: str
    finding: Finding


def _areas(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
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
    from sipx.config import ConfigError, load

    path = line.config_path()
    wanted = _Wanted((*area, *only), skip)
    try:
        settings = load(path, line.registry)
    except ConfigError as error:
        # The plugins' own areas are known only from a valid file.
        raise click.exceptions.Exit(_tell_problems(line, path, error)) from None
    code = _tell(line, path, _findings(line, settings, wanted), strict)
    raise click.exceptions.Exit(code)


check.add_command(partner)


def tell_config(line: CommandLine, path: Path) -> int:
    """Only whether a file is valid; the exit code."""
    from sipx.config import ConfigError, load

    try:
        settings = load(path, line.registry)
    except ConfigError as error:
        return _tell_problems(line, path, error)
    return _tell(line, path, [_valid(settings)], strict=False)


def _tell_problems(line: CommandLine, path: Path, error: ConfigError) -> int:
    found = [Found("config", finding) for finding in _problems(error)]
    _tell(line, path, found, strict=False)
    return ExitCode.CONFIGURATION


def _valid(settings: Settings) -> Found:
    from sipx.plugin import Finding, Severity

    return Found("config", Finding("SIPX-C001", Severity.OK, f"{settings.path} is valid"))


def _public_address(dry: DryRun) -> Iterator[Finding]:
    """That nothing finds out what "auto" stands for; what does has a check of its own."""
    from sipx.plugin import Finding, Severity
    from sipx.public_address import AUTO
    from sipx.registry import hooks_of

    told = [i.name for i in dry.interfaces if i.public is not None and i.public.host == AUTO]
    plugins = map(type, dry.hooks.plugins().values())
    if told and not any(one.hook == _FOLLOWS for cls in plugins for one in hooks_of(cls)):
        yield Finding(
            "SIPX-C005",
            Severity.WARNING,
            f'the public address is to be "auto", and no plugin finds it: {", ".join(told)} '
            f"tell{'s' if len(told) == 1 else ''} peers the address of this machine",
            "write the address itself into wan.public_address, or list a plugin that finds it: "
            "`sipx plugins list`",
        )


def _known(line: CommandLine, settings: Settings, dry: DryRun) -> PublicSummary | None:
    """The public address that a sipx which runs has found; None where that is not asked for."""
    from sipx.cli.check_dns import advertises_auto
    from sipx.cli.editing import running_status
    from sipx.status import PublicSummary

    if not advertises_auto(dry):
        return None
    status = running_status(line, settings.path)
    return None if status is None else PublicSummary.model_validate(status.get("public", {}))


class _Wanted:
    """Which areas were asked for; `known` refuses names that are none."""

    def __init__(self, only: Sequence[str], skip: Sequence[str]) -> None:
        self._only = only
        self._skip = skip

    def __contains__(self, area: str) -> bool:
        return (not self._only or area in self._only) and area not in self._skip

    def known(self, areas: Iterable[str], off: Iterable[str]) -> None:
        """Raises UsageError for an area that does not exist; ``off`` are plugins without theirs."""
        from sipx.config.errors import did_you_mean

        there = list(dict.fromkeys((*OWN_AREAS, *areas)))
        for name in (*self._only, *self._skip):
            if name not in there:
                meant = did_you_mean(name, there)
                said = f"there is no area '{name}'; known: {', '.join(there)}"
                idle = ", ".join(off)
                why = f"plugins that are not listed, or switched off, have none: {idle}"
                more = [said, *filter(None, (meant, why if idle else ""))]
                raise click.UsageError("; ".join(more))


# ---------------------------------------------------------------- the findings


def _findings(line: CommandLine, settings: Settings, wanted: _Wanted) -> list[Found]:
    from sipx.certificates.findings import inline_secrets
    from sipx.cli.check_dns import dns_findings
    from sipx.cli.clock import clock_findings
    from sipx.cli.ports import port_findings
    from sipx.control.findings import control_findings
    from sipx.control.kernel import described
    from sipx.dry_run import DryRun
    from sipx.errors import PluginError, StartError
    from sipx.plugin import Finding, Severity

    found: list[Found] = []
    if "config" in wanted:
        found.append(_valid(settings))
        found += [Found("config", f) for f in control_findings(settings.kernel.service)]
    try:
        with DryRun.of(settings, line.registry) as dry:
            described(dry.hooks.control_methods).methods()
            checks = dry.hooks.checks()
            running = dry.hooks.plugins()
            off = (one.name for one in line.registry.installed() if one.name not in running)
            wanted.known((check.item.area for check in checks), off)
            if "config" in wanted:
                found += [Found("config", f) for f in _public_address(dry)]
            if "ports" in wanted:
                found += [Found("ports", f) for f in port_findings(dry.interfaces)]
            if "plugins" in wanted:
                found += [Found("plugins", f) for f in _plugin_findings(line, settings, dry)]
            if "certs" in wanted:
                with _quiet("sipx.trouble"):  # what cannot be read is among the findings
                    found += [Found("certs", f) for f in dry.certificate_findings()]
                found += [Found("certs", f) for f in inline_secrets(settings.kernel, settings.path)]
            if "dns" in wanted:
                known = _known(line, settings, dry)
                found += [Found("dns", f) for f in dns_findings(dry, known)]
            if "clock" in wanted:
                found += [Found("clock", f) for f in clock_findings(settings)]
            for given in checks:
                if given.item.area in wanted:
                    found += [Found(given.item.area, f) for f in _run(given.plugin, given.item)]
    except (PluginError, StartError) as error:
        remedy = "mend that, then check again: the areas after it were not looked at"
        failure = Finding("SIPX-P004", Severity.FAILURE, str(error), remedy)
        found.append(Found("plugins", failure))
    return found


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Without the lines of one logger."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _problems(error: ConfigError) -> Iterator[Finding]:
    from sipx.plugin import Finding, Severity

    for problem in error.problems:
        remedy = "; ".join(part for part in (problem.allowed, problem.hint) if part)
        place = [str(part) for part in (problem.file, problem.line, problem.column) if part]
        key = f"{problem.key}: " if problem.key else ""
        text = f"{':'.join(place)}: {key}{problem.wrong}"
        yield Finding("SIPX-C002", Severity.FAILURE, text, remedy)


def _plugin_findings(line: CommandLine, settings: Settings, dry: DryRun) -> Iterator[Finding]:
    from sipx.plugin import Finding, Severity

    running = dry.hooks.plugins()
    for info in line.registry.installed():
        said = f"{info.name} {info.version} ({info.distribution})"
        if info.name in running:
            yield Finding("SIPX-P001", Severity.OK, f"{said} is switched on")
        elif info.name in settings.plugins:
            text = f"{said} is listed, but switched off"
            yield Finding("SIPX-P002", Severity.OK, text, f"[{info.name}] enabled = true")
        else:
            text = f"{said} is installed, but not listed in plugins"
            yield Finding("SIPX-P003", Severity.OK, text)
    if dry.hooks.accounts() and not dry.hooks.serve_request:
        yield Finding(
            "SIPX-P006",
            Severity.WARNING,
            "there are accounts that log on, and no plugin takes a REGISTER: their users are found "
            "nowhere",
            "list a registrar in plugins, or switch it on",
        )


def _run(plugin: str, check: Check) -> list[Finding]:
    """The findings of a plugin's check; one that breaks is a finding itself."""
    from sipx.plugin import Finding, Severity

    try:
        return list(check.run())
    except Exception as error:  # a plugin's check may fail in any way
        text = f"the check of plugin {plugin} broke: {type(error).__name__}: {error}"
        return [Finding("SIPX-P005", Severity.FAILURE, text, "report it to the plugin's author")]


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
