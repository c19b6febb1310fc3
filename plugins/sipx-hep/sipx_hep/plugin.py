"""The plugin ``hep``: its hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from sipx import Check, Direction, hookimpl
from sipx_hep.collector import Collector
from sipx_hep.config import NAME, HepConfig
from sipx_hep.outbox import Outbox, Traced
from sipx_hep.packets import Packets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sipx import Flow, Proxy, Service
    from sipx.sip import Request, Response


class HepState(BaseModel):
    """What is sent to the collector."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    server: str
    protocol: str
    state: str
    """off, starting, sending (datagrams), connected or unreachable."""
    sent: int
    """Messages that went out."""
    waiting: int
    lost: int
    """Messages that the collector did not get: it was away, or slower than the traffic."""
    error: str = ""
    """Why it cannot be reached."""


class Hep:
    """Mirrors every message to Homer or sngrep by HEP3."""

    Config = HepConfig

    def __init__(self, config: HepConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self._wall = proxy.wall
        self._outbox = Outbox(config.queue)
        self._put = self._outbox.put if config.server else None
        self._collector = Collector(config, proxy, self._outbox, Packets(config))

    @hookimpl
    def message_traced(self, message: Request | Response, flow: Flow, direction: Direction) -> None:
        """Keep it for the collector; all else is done in a task."""
        if self._put is not None:
            outgoing = direction is Direction.OUT
            self._put(Traced(self._wall(), flow, outgoing, message.call_id, message.encode()))

    @hookimpl
    def bytes_traced(self, data: bytes, flow: Flow, direction: Direction, why: str) -> None:
        """What passes without being parsed: retransmissions, and what is malformed."""
        if self._put is not None:
            self._put(Traced(self._wall(), flow, direction is Direction.OUT, None, data))

    @hookimpl
    def services(self) -> Iterable[Service]:
        """What sends, where a collector is named."""
        return [self._collector.run] if self._config.server else []

    @hookimpl
    def take_over(self, old: Hep) -> None:
        """What waits, where it may still go, and what was counted."""
        self._outbox.take_over(old._outbox, keep=self._put is not None)
        self._collector.sent += old._collector.sent

    @hookimpl
    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """``sipx status`` shows what was sent and what was lost."""
        return {NAME: self.state()}

    def state(self) -> HepState:
        """What is known now."""
        collector = self._collector
        return HepState(
            server=self._config.server,
            protocol=self._config.protocol,
            state=collector.state,
            sent=collector.sent,
            waiting=len(self._outbox),
            lost=self._outbox.lost,
            error=collector.error,
        )

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check hep``."""
        from sipx_hep.checks import findings

        return [Check(NAME, lambda: findings(self._config, self._proxy))]
