"""Who is asked for most: an observer, a method of the control API, and a page in the console."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from sipx import Config, ConsolePanel, Proxy, TransactionRecord, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KEPT = 10_000
"""Addresses that are counted; what comes beyond them is not."""


class BusiestConfig(Config):
    """The TOML table [busiest]."""

    show: Annotated[int, Field(ge=1, le=100)] = 10
    """How many addresses are shown."""


class Asked(BaseModel):
    """One address and how often it was asked for."""

    address: str
    requests: int


class BusiestAddresses(BaseModel):
    """Those that were asked for most, the busiest first."""

    addresses: list[Asked]


class Busiest:
    """Count requests by the address that they ask for."""

    Config = BusiestConfig

    def __init__(self, config: BusiestConfig, proxy: Proxy) -> None:
        self._show = config.show
        self._asked: Counter[bytes] = Counter()

    @hookimpl
    def transaction_ended(self, record: TransactionRecord) -> None:
        """Hot: only count."""
        if record.uri in self._asked or len(self._asked) < KEPT:
            self._asked[record.uri] += 1

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """What the page asks for, and everybody else may."""
        return {"busiest.list": self.busiest}

    def busiest(self) -> BusiestAddresses:
        """Who was asked for most since the plugin started."""
        return BusiestAddresses(
            addresses=[
                Asked(address=uri.decode("utf-8", "replace"), requests=count)
                for uri, count in self._asked.most_common(self._show)
            ]
        )

    @hookimpl
    def console_panels(self) -> Iterable[ConsolePanel]:
        """The file for the browser."""
        return [ConsolePanel(module="panel.js", package=__name__)]
