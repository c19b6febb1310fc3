"""The text that Prometheus reads, made by its own library from the status of the proxy."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from sipx_metrics.families import COLLECTION, COLLECTION_HELP, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from sipx import ProxyStatus

KEPT: Final = 1.0
"""Seconds for which what was gathered is given again: who asks in a loop costs SIP nothing."""
OPENMETRICS: Final = "application/openmetrics-text"
TEXT: Final = "text/plain"


class KeptStatus:
    """The status of the proxy, gathered at most once in KEPT seconds."""

    def __init__(self, status: Callable[[], ProxyStatus], now: Callable[[], float]) -> None:
        self._gather = status
        self._now = now
        self._kept: tuple[float, ProxyStatus] | None = None

    def __call__(self) -> ProxyStatus:
        """As it is now, or was a moment ago."""
        now = self._now()
        if self._kept is None or now - self._kept[0] >= KEPT:
            self._kept = now, self._gather()
        return self._kept[1]


class StatusCollector:
    """A collector of prometheus-client: the families, from the status as it is now."""

    def __init__(
        self, status: Callable[[], ProxyStatus], clock: Callable[[], float] = perf_counter
    ) -> None:
        self._status = status
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """All families; called by the library for each text."""
        began = self._clock()
        status = self._status()
        found: list[Metric] = []
        for family in FAMILIES:
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for labels, value in family.read(status):
                metric.add_metric(labels, value)
            found.append(metric)
        yield from found
        yield GaugeMetricFamily(COLLECTION, COLLECTION_HELP, self._clock() - began)


class Exposition:
    """The text in the format that is asked for. ``now`` is a clock that is never set back."""

    def __init__(self, status: Callable[[], ProxyStatus], now: Callable[[], float]) -> None:
        self._now = now
        # A register of its own: nothing of the process is global, and nobody else's metrics are in.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(StatusCollector(status))
        ProcessCollector(registry=self._registry)
        self._texts: dict[str, tuple[float, bytes]] = {}

    def text(self, accept: str = TEXT) -> tuple[bytes, str]:
        """The text and its Content-Type, for the value of an Accept header."""
        # One version of each format: a reader cannot have a new text made by asking for another.
        encode, content_type = choose_encoder(_wanted(accept))
        now = self._now()
        made, text = self._texts.get(content_type, (now - KEPT, b""))
        if now - made >= KEPT:
            text = encode(self._registry)
            self._texts[content_type] = (now, text)
        return text, content_type


def _wanted(accept: str) -> str:
    """The first of the two formats that is accepted, as Prometheus lists them by preference."""
    for accepted in accept.split(","):
        kind = accepted.partition(";")[0].strip().lower()
        if kind in (OPENMETRICS, TEXT):
            return kind
    return TEXT
