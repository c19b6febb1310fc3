"""The torture corpus: raw messages, and what is to become of each (see manifest.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sipx.sip.errors import RemoteError
from sipx.sip.message import Request, Response
from sipx.sip.parser import KeepAlive, StreamParser, parse_datagram

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """One message. ``code`` goes with the action "answer"; ``status`` and ``fatal`` with an error.

    ``expect`` holds facts of a message that parses, as text, and under "values" the first value
    of some headers. ``policy`` and ``when_read`` are None or as the manifest explains them.
    """

    name: str
    data: bytes
    source: str
    what: str
    over: str
    parse: str
    action: str
    status: int | None = None
    fatal: bool = False
    code: int | None = None
    policy: int | None = None
    when_read: str | None = None
    expect: Mapping[str, str | Mapping[str, str]] | None = None

    @property
    def ok(self) -> bool:
        """Whether the parser accepts it."""
        return self.parse == "ok"

    @property
    def by_datagram(self) -> bool:
        """Whether it can arrive by UDP."""
        return self.over != "tcp"

    @property
    def by_stream(self) -> bool:
        """Whether it can arrive on a stream."""
        return self.over != "udp"


def load() -> tuple[Case, ...]:
    """All cases, in the order of the manifest. Raises TypeError for an unknown key."""
    manifest = tomllib.loads(FOLDER.joinpath("manifest.toml").read_text(encoding="utf-8"))
    return tuple(
        Case(name=name, data=FOLDER.joinpath("messages", f"{name}.sip").read_bytes(), **table)
        for name, table in manifest.items()
    )


CORPUS = load()

Item = Request | Response | KeepAlive | RemoteError
Outcome = tuple[object, ...]


def outcome(item: Item) -> Outcome:
    """All that can be seen of what a parser made of some bytes, for comparison."""
    if isinstance(item, RemoteError):
        return ("error", item.status, item.reason, item.fatal, item.reply)
    if isinstance(item, KeepAlive):
        return (item,)
    common = (item.start, tuple(item.lines), item.layout.ids, item.body, item.branch, item.sent_by)
    if isinstance(item, Response):
        return ("response", item.status, item.cseq_method, *common)
    return ("request", item.method, item.uri, item.cseq_number, *common)


def read_datagram(data: bytes) -> Item:
    """The message, or the RemoteError that was raised."""
    try:
        return parse_datagram(data)
    except RemoteError as error:
        return error


def read_stream(*pieces: bytes) -> list[Item]:
    """All that a new StreamParser makes of the pieces, keepalives included."""
    parser = StreamParser()
    return [item for piece in pieces for item in parser.feed(piece)]


def messages(items: list[Item]) -> list[Outcome]:
    """The outcomes of a stream but for its keepalives."""
    return [outcome(item) for item in items if not isinstance(item, KeepAlive)]
