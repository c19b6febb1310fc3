"""What the charts of the console show: a sample each second, of the last quarter of an hour."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx import TransactionRecord, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx import Proxy, ProxyStatus

KEPT: Final = 900
INTERVAL: Final = 1.0
"""Seconds between two samples."""
SHARE: Final = 100.0
"""A sample takes one part in so many of the time at most; where it takes longer they are fewer."""
TIMES: Final = 5000
WINDOW: Final = 60.0
"""Answer times, and seconds, that p50 and p95 are of."""
_MEMORY: Final = Path("/proc/self/statm")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class SamplesParams(BaseModel):
    """Which samples."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    last: int = Field(300, ge=1, le=KEPT)
    """How many of the last ones."""


class Samples(BaseModel):
    """Samples as columns, each as long as ``time``, the oldest first. Rates are per second."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    interval: float = INTERVAL
    """Seconds between two samples, where nothing is missing."""
    time: list[float]
    """Seconds since 1970."""
    messages_in: list[float]
    messages_out: list[float]
    requests: list[float]
    """Requests that came in."""
    answers_2xx: list[float]
    answers_3xx: list[float]
    answers_4xx: list[float]
    answers_5xx: list[float]
    answers_6xx: list[float]
    refused: list[float]
    """Requests that were refused."""
    transactions: list[int]
    """How many run."""
    flows: list[int]
    """How many are open."""
    p50: list[float | None]
    """Seconds to the final answer, of requests of the last minute other than INVITE: how long that
    rings is up to people. Known while somebody watches."""
    p95: list[float | None]
    memory: list[int]
    """Bytes of the process."""
    cpu: list[float]
    """Of one processor, in percent."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counters at one moment."""

    at: float
    cpu: float
    messages_in: int
    messages_out: int
    requests: int
    answers: tuple[int, ...]
    refused: int


class Sampler:
    """Takes the samples."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._kept: deque[tuple[float | int | None, ...]] = deque(maxlen=KEPT)
        self._before: _Counts | None = None
        self._times: deque[tuple[float, float]] = deque(maxlen=TIMES)

    def take_over(self, old: Sampler) -> None:
        """The curve goes on through a reload."""
        self._kept, self._before = old._kept, old._before

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take a sample each second until cancelled."""
        task_status.started()
        while True:
            took = self.take()
            await trio.sleep(max(INTERVAL, SHARE * took))

    def take(self) -> float:
        """Take one now; how many seconds that took."""
        began = time.perf_counter()
        status = self._proxy.status()
        now = _counted(status, self._proxy.now())
        before, self._before = self._before, now
        if before is not None and now.at > before.at:
            self._kept.append(self._sample(status, before, now))
        return time.perf_counter() - began

    def _sample(
        self, status: ProxyStatus, before: _Counts, now: _Counts
    ) -> tuple[float | int | None, ...]:
        passed = now.at - before.at

        def rate(former: float, count: float) -> float:
            # Interfaces that went took their counters along.
            return round(max(0.0, count - former) / passed, 3)

        while self._times and self._times[0][0] < now.at - WINDOW:
            self._times.popleft()
        times = sorted(took for _, took in self._times)
        return (
            round(self._proxy.wall(), 2),
            rate(before.messages_in, now.messages_in),
            rate(before.messages_out, now.messages_out),
            rate(before.requests, now.requests),
            *(rate(*pair) for pair in zip(before.answers, now.answers, strict=True)),
            rate(before.refused, now.refused),
            status.transactions.servers + status.transactions.clients,
            status.flows.open,
            _quantile(times, 0.5),
            _quantile(times, 0.95),
            int(_MEMORY.read_text().split()[1]) * _PAGE,
            round(100 * rate(before.cpu, now.cpu), 1),
        )

    def samples(self, params: SamplesParams) -> Samples:
        """Samples of the last quarter of an hour, as columns."""
        rows = list(self._kept)[-params.last :]
        names = [name for name in Samples.model_fields if name != "interval"]
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        found: dict[str, Any] = dict(zip(names, map(list, columns), strict=True))
        # They are what was put in: to look at five thousand numbers again takes a millisecond.
        return Samples.model_construct(**found)

    # ------------------------------------------------------------ how long answers take

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within it times are measured."""
        with self._proxy.watch(_Times(self._times)):
            yield


class _Times:
    """Notes how long requests took."""

    def __init__(self, times: deque[tuple[float, float]]) -> None:
        self._times = times

    @hookimpl
    def transaction_ended(self, record: TransactionRecord) -> None:
        """How long an INVITE rings is up to people."""
        if record.status and record.method != b"INVITE":
            self._times.append((record.ended, record.ended - record.started))


def _counted(status: ProxyStatus, at: float) -> _Counts:
    classes = [0] * 5
    for answer in status.answers:
        if 200 <= answer.status < 700:
            classes[answer.status // 100 - 2] += answer.count
    return _Counts(
        at=at,
        cpu=time.process_time(),
        messages_in=sum(one.messages_in for one in status.interfaces),
        messages_out=sum(one.messages_out for one in status.interfaces),
        requests=sum(status.requests.values()),
        answers=tuple(classes),
        refused=sum(status.refused.values()),
    )


def _quantile(times: list[float], part: float) -> float | None:
    """Of a sorted list; None of an empty one."""
    return round(times[min(len(times) - 1, int(part * len(times)))], 6) if times else None
