"""What came from and went to the servers of routes, since the start: counted as it passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from sipx import Accept, Refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipx import Verdict


@dataclass(slots=True)
class Passed:
    """The counts of one route; times are seconds of the kernel's clock, None for never."""

    requests_in: int = 0
    requests_out: int = 0
    refused: int = 0
    last_in: float | None = None
    last_out: float | None = None
    identity: str = ""
    profile: str = ""

    def came(self, verdict: Verdict | None, now: float) -> None:
        """A request of its server, and what became of it here."""
        if isinstance(verdict, Refuse):
            self.refused += 1
        else:
            self.requests_in += 1
        self.last_in = now


class RouteCount(BaseModel):
    """What has passed between this proxy and the server of one route."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    domain: str
    """The route."""
    requests_in: int
    """Requests of its server that were not refused by the route; some may want credentials."""
    requests_out: int
    """Requests that left for its server, within dialogs too."""
    refused: int
    """Requests of its server that the route refuses."""
    last_in: float | None
    """When the last request of it came, seconds since 1970; None: never."""
    last_out: float | None
    """When the last request left for it, seconds since 1970; None: never."""
    identity: str
    """The name in its certificate that proved it last, "" without TLS."""
    profile: str
    """By which rule that name proves it."""


class RouteCounts(BaseModel):
    """Those of all routes that are switched on."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    routes: tuple[RouteCount, ...]


def whose(verdict: Verdict | None, first: str) -> str:
    """The route that a verdict is of; ``first`` is that of the server where none was chosen."""
    return verdict.sender.name if isinstance(verdict, Accept) else first


def counts(passed: Mapping[str, Passed], *, now: float, wall: float) -> RouteCounts:
    """All counts, with times that everybody understands."""

    def moment(at: float | None) -> float | None:
        return None if at is None else wall - (now - at)

    return RouteCounts(
        routes=tuple(
            RouteCount(
                domain=domain,
                requests_in=one.requests_in,
                requests_out=one.requests_out,
                refused=one.refused,
                last_in=moment(one.last_in),
                last_out=moment(one.last_out),
                identity=one.identity,
                profile=one.profile,
            )
            for domain, one in passed.items()
        )
    )
