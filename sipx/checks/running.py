"""All checks of a configuration, by area: for ``sipx check``, and for a proxy that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sipx.certificates.findings import inline_secrets
from sipx.checks.clock import clock_findings
from sipx.checks.dns import dns_findings
from sipx.checks.ports import port_findings
from sipx.config.errors import did_you_mean
from sipx.control.findings import control_findings
from sipx.dry_run import DryRun
from sipx.errors import PluginError, SipxError, StartError
from sipx.logs.silence import silent
from sipx.plugin import Finding, Fix, Severity
from sipx.public_address import AUTO
from sipx.registry import hooks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sipx.config.errors import ConfigError
    from sipx.config.load import Settings
    from sipx.plugin import Check
    from sipx.registry import Registry
    from sipx.status import PublicSummary

OWN_AREAS: Final = ("config", "ports", "plugins", "certs", "dns", "clock")
_FOLLOWS: Final = "addresses_changed"
"""The hook of plugins that find out the public address."""


class Found(NamedTuple):
    """A finding and the area it is in."""

    area: str
    finding: Finding


class UnknownAreaError(SipxError):
    """Somebody asked for an area that there is not."""


class Wanted:
    """Which areas were asked for; `known` refuses names that are none."""

    def __init__(self, only: Sequence[str] = (), skip: Sequence[str] = ()) -> None:
        self._only = only
        self._skip = skip

    def __contains__(self, area: str) -> bool:
        return (not self._only or area in self._only) and area not in self._skip

    def known(self, areas: Iterable[str], off: Iterable[str]) -> None:
        """Raises UnknownAreaError; ``off`` are plugins without theirs."""
        there = list(dict.fromkeys((*OWN_AREAS, *areas)))
        for name in (*self._only, *self._skip):
            if name not in there:
                meant = did_you_mean(name, there)
                said = f"there is no area '{name}'; known: {', '.join(there)}"
                idle = ", ".join(off)
                why = f"plugins that are not listed, or switched off, have none: {idle}"
                raise UnknownAreaError(
                    "; ".join([said, *filter(None, (meant, why if idle else ""))])
                )


def findings(
    settings: Settings,
    registry: Registry,
    wanted: Wanted,
    public: Callable[[DryRun], PublicSummary | None],
    ports: Mapping[str, int] | None = None,
) -> list[Found]:
    """What is found in the areas that are wanted. Raises UnknownAreaError.

    ``public`` tells what a sipx that runs knows of the public address, None where none does;
    ``ports`` are those that its interfaces with ``port = 0`` have. Asks the disk, the DNS and
    whoever the plugins ask, and waits for them.
    """
    from sipx.control.kernel import described

    found: list[Found] = []
    if "config" in wanted:
        found.append(valid(settings))
        found += [Found("config", f) for f in control_findings(settings.kernel.service)]
    try:
        with DryRun.of(settings, registry, ports) as dry:
            described(dry.hooks.control_methods).methods()
            checks = dry.hooks.checks()
            running = dry.hooks.plugins()
            off = (one.name for one in registry.installed() if one.name not in running)
            wanted.known((check.item.area for check in checks), off)
            if "config" in wanted:
                found += [Found("config", f) for f in _public_address(dry)]
            if "ports" in wanted:
                found += [Found("ports", f) for f in port_findings(dry.interfaces)]
            if "plugins" in wanted:
                found += [Found("plugins", f) for f in _plugin_findings(settings, registry, dry)]
            if "certs" in wanted:
                with silent("sipx.trouble"):  # what cannot be read is among the findings
                    found += [Found("certs", f) for f in dry.certificate_findings()]
                found += [Found("certs", f) for f in inline_secrets(settings.kernel, settings.path)]
            if "dns" in wanted:
                found += [Found("dns", f) for f in dns_findings(dry, public(dry))]
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


def valid(settings: Settings) -> Found:
    """That the file is valid."""
    return Found("config", Finding("SIPX-C001", Severity.OK, f"{settings.path} is valid"))


def invalid(error: ConfigError) -> list[Found]:
    """What is wrong with the file."""
    return [Found("config", finding) for finding in _problems(error)]


def _problems(error: ConfigError) -> Iterator[Finding]:
    for problem in error.problems:
        remedy = "; ".join(part for part in (problem.allowed, problem.hint) if part)
        place = [str(part) for part in (problem.file, problem.line, problem.column) if part]
        key = f"{problem.key}: " if problem.key else ""
        text = f"{':'.join(place)}: {key}{problem.wrong}"
        yield Finding("SIPX-C002", Severity.FAILURE, text, remedy)


def _public_address(dry: DryRun) -> Iterator[Finding]:
    """That nothing finds out what "auto" stands for; what does has a check of its own."""
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


def _plugin_findings(settings: Settings, registry: Registry, dry: DryRun) -> Iterator[Finding]:
    running = dry.hooks.plugins()
    for info in registry.installed():
        said = f"{info.name} {info.version} ({info.distribution})"
        if info.name in running:
            yield Finding("SIPX-P001", Severity.OK, f"{said} is switched on")
        elif info.name in settings.plugins:
            text = f"{said} is listed, but switched off"
            fix = Fix("set", f"{info.name}.enabled", True)
            yield Finding("SIPX-P002", Severity.OK, text, f"[{info.name}] enabled = true", (fix,))
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
    try:
        return list(check.run())
    except Exception as error:  # a plugin's check may fail in any way
        text = f"the check of plugin {plugin} broke: {type(error).__name__}: {error}"
        return [Finding("SIPX-P005", Severity.FAILURE, text, "report it to the plugin's author")]
