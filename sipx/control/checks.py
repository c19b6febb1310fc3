"""``check.run``: what `sipx check` finds, asked of a proxy that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx.config.errors import ConfigError
from sipx.config.load import load
from sipx.control.configuration import Edit
from sipx.control.dns_check import CheckFinding, shown_finding
from sipx.control.errors import ControlError, ErrorProblem
from sipx.control.methods import changing

if TYPE_CHECKING:
    from sipx.checks.running import Found
    from sipx.kernel import Kernel

AreaName = Annotated[str, Field(max_length=100)]
MOST_AREAS = 50


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class CheckRunParams(_Frozen):
    """Which areas."""

    areas: tuple[AreaName, ...] = Field((), max_length=MOST_AREAS)
    """config, ports, plugins, certs, dns, clock, and those of plugins; none: all."""
    skip: tuple[AreaName, ...] = Field((), max_length=MOST_AREAS)
    """All but these."""


class AreaFinding(CheckFinding):
    """What is so in an area, and what to do about it."""

    area: str
    fix: tuple[Edit, ...] | None = None
    """The remedy as edits for ``config.change``, where it is a change of the file."""


class CheckResult(_Frozen):
    """All that was found."""

    config: str
    """The file that was checked, as it is now."""
    findings: tuple[AreaFinding, ...]
    failures: int
    warnings: int
    verdict: str
    """"ok", "warnings" or "failures"."""


class CheckRunMethods:
    """The method."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @changing("operator")
    async def run(self, params: CheckRunParams) -> CheckResult:
        """Look for what is wrong before a partner does: nothing is changed.

        The file as it is now is checked, not what is in use. Questions go to the DNS, and to the
        STUN servers that are named.
        """
        found = await trio.to_thread.run_sync(self._run, params, abandon_on_cancel=True)
        severities = [one.finding.severity.value for one in found]
        failures, warnings = severities.count("failure"), severities.count("warning")
        return CheckResult(
            config=str(self._kernel.settings.path.absolute()),
            findings=tuple(map(_shown, found)),
            failures=failures,
            warnings=warnings,
            verdict="failures" if failures else "warnings" if warnings else "ok",
        )

    def _run(self, params: CheckRunParams) -> list[Found]:
        from sipx.checks.running import UnknownAreaError, Wanted, findings, invalid
        from sipx.status import public_of

        kernel = self._kernel
        try:
            settings = load(kernel.settings.path, kernel.registry)
        except ConfigError as error:
            return invalid(error)
        public = public_of(kernel)
        interfaces = kernel.interfaces.all
        ports = {i.name: i.address[1] for i in interfaces if i.address is not None and not i.port}
        wanted = Wanted(params.areas, params.skip)
        try:
            return findings(settings, kernel.registry, wanted, lambda _: public, ports)
        except UnknownAreaError as error:
            problem = ErrorProblem(text=str(error), key="areas")
            raise ControlError("params", str(error), (problem,)) from None


def _shown(found: Found) -> AreaFinding:
    finding = found.finding
    edits = tuple(Edit(op=fix.op, key=fix.key, value=fix.value) for fix in finding.fix)
    return AreaFinding(
        **shown_finding(finding).model_dump(), area=found.area, fix=edits if edits else None
    )
