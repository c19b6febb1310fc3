"""The ladder: who spoke to whom, in order, with both sides of the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from sipx_monitor.slices import Slices
from sipx_monitor.traffic.models import FROZEN, CaptureParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipx_monitor.traffic.message import Message

Cls = Literal["request", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"]


class LadderParams(CaptureParams):
    """Of which messages: one of the three."""

    dialog: str = ""
    """The id of a dialog."""
    call_id: str = ""
    seqs: tuple[int, ...] = Field((), max_length=5000)


class Participant(BaseModel):
    """A column."""

    model_config = FROZEN

    id: str
    label: str
    address: str
    kind: Literal["peer", "sipx"]


class LadderStep(BaseModel):
    """An arrow."""

    model_config = FROZEN

    seq: int
    time: float
    """Seconds since 1970."""
    offset: float
    """Seconds since the first."""
    gap: float
    """Seconds since the one before."""
    source: int
    """The column where it begins."""
    target: int
    label: str
    note: str
    cls: Cls
    retransmission: bool
    sdp: bool
    transport: str
    leg: int
    marked: str
    twin: int | None


class Ladder(BaseModel):
    """All of it."""

    model_config = FROZEN

    title: str
    call_id: str
    """"" where the messages are of several calls."""
    participants: tuple[Participant, ...]
    """In the order of the columns: whom it began with, the proxy, the others."""
    steps: tuple[LadderStep, ...]


def ladder_of(messages: Sequence[Message], *, directed: bool = True) -> Ladder:
    """The ladder of these messages, which are in order, at once.

    Where it is not ``directed``, nobody knows which end was the proxy: each address has a column.
    """
    made = _Made(messages, directed=directed)
    for _ in made:
        pass
    return made.ladder()


async def sliced_ladder(messages: Sequence[Message], *, directed: bool = True) -> Ladder:
    """The same, while others run: a picture of all that is kept takes as long as many messages."""
    made = _Made(messages, directed=directed)
    async with Slices() as slices:
        for _ in made:
            await slices.next()
    return made.ladder()


class _Made:
    """A ladder that is made step by step: iterate over it, and ``ladder`` has it at the end."""

    def __init__(self, messages: Sequence[Message], *, directed: bool) -> None:
        self._messages = messages
        self._one_call = len({message.call_id for message in messages}) == 1
        self._columns = _Columns(one_call=self._one_call, directed=directed)
        self._steps: list[LadderStep] = []

    def __iter__(self) -> Iterator[None]:
        before = begin = self._messages[0].wall if self._messages else 0.0
        for message in self._messages:
            source, target = self._columns.ends(message)
            self._steps.append(
                LadderStep(
                    seq=message.seq,
                    time=message.wall,
                    offset=max(0.0, message.wall - begin),
                    gap=max(0.0, message.wall - before),
                    source=source,
                    target=target,
                    label=label_of(message),
                    note=message.note or message.fault,
                    cls=class_of(message),
                    retransmission=message.retransmission,
                    sdp=message.sdp,
                    transport=message.way.transport,
                    leg=message.leg,
                    marked=message.marked,
                    twin=message.twin or None,
                )
            )
            before = message.wall
            yield

    def ladder(self) -> Ladder:
        """All of it."""
        return Ladder(
            title=_title(self._messages, one_call=self._one_call),
            call_id=self._messages[0].call_id if self._one_call else "",
            participants=tuple(self._columns.participants),
            steps=tuple(self._steps),
        )


class _Columns:
    """Which column a message begins and ends in."""

    def __init__(self, *, one_call: bool, directed: bool) -> None:
        self._one_call = one_call
        self._directed = directed
        self._of: dict[tuple[str, int] | str, int] = {}
        self.participants: list[Participant] = []

    def ends(self, message: Message) -> tuple[int, int]:
        """The columns of its source and its target."""
        way = message.way
        if not self._directed:
            source = self._column(message.source, message.source, way.transport)
            return source, self._column(message.target, message.target, way.transport)
        key: tuple[str, int] | str = f"{way.transport} {way.remote}"
        if self._one_call and message.dialog is not None:
            key = message.dialog.id, message.leg
        peer = self._column(key, message.peer or way.remote, f"{way.transport} {way.remote}")
        if len(self.participants) == 1:
            self.participants.append(Participant(id="sipx", label="sipx", address="", kind="sipx"))
        return (peer, 1) if message.inwards else (1, peer)

    def _column(self, key: tuple[str, int] | str, label: str, address: str) -> int:
        found = self._of.get(key)
        if found is None:
            found = self._of[key] = len(self.participants)
            name = f"peer{found}"
            self.participants.append(
                Participant(id=name, label=label, address=address, kind="peer")
            )
        return found


def label_of(message: Message) -> str:
    """``INVITE`` or ``180 Ringing``; the first line of what is neither."""
    if message.status:
        return f"{message.status} {message.reason}".rstrip()
    return message.method or message.start[:40] or "(empty)"


def class_of(message: Message) -> Cls:
    """What the colour of an arrow says."""
    classes: tuple[Cls, ...] = ("request", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx")
    return classes[message.status // 100]


def _title(messages: Sequence[Message], *, one_call: bool) -> str:
    if not messages:
        return ""
    first = messages[0]
    if not one_call:
        return f"{len(messages)} messages"
    dialog = first.dialog
    method = first.method if dialog is None else dialog.method
    return f"{method} {first.from_uri} → {first.to_uri}"
