"""A capture file as a source: the same methods as of a running sipx, without one."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import trio

from sipx import Caller, ControlError, Method
from sipx_monitor.traffic import Traffic
from sipx_monitor.traffic.captures import CaptureError, read_capture
from sipx_monitor.traffic.models import CaptureParams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from pydantic import BaseModel

    from sipx import CommandLine, Proxy
    from sipx_monitor.traffic.captures import Capture

    M = TypeVar("M", bound=BaseModel)

WRONG_USE, BAD_ANSWER = 2, 1
LARGEST: Final = 512 << 20
"""Bytes of a file that is read."""


class _Nobody:
    """In the place of a proxy: there is no traffic, only the clock."""

    domains: frozenset[bytes] = frozenset()

    @staticmethod
    def now() -> float:
        """Seconds."""
        return time.monotonic()

    @staticmethod
    def wall() -> float:
        """Seconds since 1970."""
        return time.time()


class _Nothing:
    """In the place of a configuration: nothing is recorded."""

    record: Any = "watched"
    keep_messages = 1
    keep_bytes = 1
    capture_bodies: Any = "all"
    pcap_file = None
    pcap_size = 0
    pcap_keep = 0


class FileSource:
    """Answers from a file. What it holds was masked when it was written, and is shown whole."""

    def __init__(self, line: CommandLine, path: Path) -> None:
        self._line = line
        self.capture = opened(line, path)
        traffic = Traffic(_Nothing(), cast("Proxy", _Nobody()))
        self._id = traffic.captures.add(self.capture)
        self._methods = traffic.control_methods()

    async def call(self, name: str, params: BaseModel | None, result: type[M]) -> M:
        """What a method says of the file."""
        if isinstance(params, CaptureParams):
            params = params.model_copy(update={"capture": self._id})
        try:
            answer = await Method.of(name, self._methods[name]).call(params, Caller("sipx trace"))
        except ControlError as error:
            code = WRONG_USE if error.kind == "params" else BAD_ANSWER
            raise self._line.failed(error.text, code) from None
        assert isinstance(answer, result)
        return answer

    async def follow(
        self, name: str, params: BaseModel | None, event: type[M]
    ) -> AsyncGenerator[M, None]:
        """Nothing more comes."""
        await trio.sleep_forever()
        for never in ():
            yield never

    async def process(self) -> str:
        """This one, for as long as it runs."""
        await trio.lowlevel.checkpoint()
        return self._id


def opened(line: CommandLine, path: Path) -> Capture:
    """A capture; ``-`` is stdin. Exit codes 1 and 2 for what is none."""
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
    except OSError as error:
        raise line.failed(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise line.failed(
            f"{path} is larger than {LARGEST >> 20} MiB; cut it into smaller files with editcap"
        )
    try:
        capture = read_capture(data, path.name)
    except CaptureError as error:
        raise line.failed(f"{path}: {error}") from None
    for note in capture.notes:
        line.say(f"{path}: {note}")
    return capture
