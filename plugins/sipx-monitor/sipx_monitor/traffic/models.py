"""What the control methods take and give: messages, dialogs, and the state of the recording."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sipx_monitor.traffic.dialogs import Dialog
    from sipx_monitor.traffic.message import Message

FROZEN = ConfigDict(frozen=True, use_attribute_docstrings=True)
MOST_MESSAGES = 5000
LONGEST_FILTER = 4000

Kind = Literal["call", "chat", "presence", "registration", "options", "other"]
DialogState = Literal["trying", "ringing", "established", "ended", "failed", "answered"]
BodyState = Literal["none", "kept", "dropped"]


class MessageSummary(BaseModel):
    """One message, without its text."""

    model_config = FROZEN

    seq: int
    """Its number: each message has the next."""
    time: float
    """When it passed, in seconds since 1970."""
    direction: Literal["in", "out"]
    interface: str
    transport: str
    local: str
    """Our address."""
    remote: str
    """The neighbour's address."""
    source: str
    target: str
    peer: str
    """The account, the route or the partner at the other end; "" where nobody knows."""
    method: str
    """That of CSeq, in a response."""
    status: int
    """0 in a request."""
    reason: str
    uri: str
    """The Request-URI; "" in a response."""
    from_uri: str
    to_uri: str
    from_tag: str
    to_tag: str
    call_id: str
    cseq: str
    branch: str
    """Of its topmost Via."""
    size: int
    """Bytes, body and all, as it passed."""
    sdp: bool
    body_type: str
    body: BodyState
    retransmission: bool
    malformed: bool
    rtt: float | None
    """Seconds since the request of this final response, on the same side."""
    leg: int
    """Which neighbour of the dialog it was exchanged with; 0 is the one that it began with."""
    dialog: str
    transaction: str
    twin: int | None
    """The same message on the other side of the proxy."""
    marked: str
    """The colour of its mark, "" without one."""
    note: str
    trusted: bool | None
    tls: bool
    domain: str
    """The domain of the other side: of From or To, the one that is not served here."""

    @cached_property
    def as_json(self) -> bytes:
        """Itself, written down once for all who follow the messages."""
        return self.model_dump_json().encode()

    @classmethod
    def of(cls, message: Message, domain: str, *, viewer: bool) -> MessageSummary:
        """A message as it is shown."""
        way = message.way
        body = message.body_state
        return cls(
            seq=message.seq,
            time=message.wall,
            direction="in" if message.inwards else "out",
            interface=way.interface,
            transport=way.transport,
            local=way.local,
            remote=way.remote,
            source=message.source,
            target=message.target,
            peer=message.peer,
            method=message.method,
            status=message.status,
            reason=message.reason,
            uri=message.uri,
            from_uri=message.from_uri,
            to_uri=message.to_uri,
            from_tag=message.from_tag,
            to_tag=message.to_tag,
            call_id=message.call_id,
            cseq=message.cseq,
            branch=message.branch,
            size=message.size,
            sdp=message.sdp,
            body_type=message.body_type,
            body="dropped" if viewer and body == "kept" else body,
            retransmission=message.retransmission,
            malformed=bool(message.fault),
            rtt=message.rtt,
            leg=message.leg,
            dialog="" if message.dialog is None else message.dialog.id,
            transaction="" if message.transaction is None else message.transaction.id,
            twin=message.twin or None,
            marked=message.marked,
            note=message.note,
            trusted=message.trusted,
            tls=way.tls,
            domain=domain,
        )


class CaptureParams(BaseModel):
    """Of which traffic."""

    model_config = FROZEN

    capture: str = ""
    """"" is what passes now; else the id of a capture that was opened."""


class MessagesParams(CaptureParams):
    """Which messages."""

    filter: str = Field("", max_length=LONGEST_FILTER)
    limit: int = Field(500, ge=1, le=MOST_MESSAGES)
    """How many at most: the last ones, or with ``after`` the first."""
    before: int | None = None
    """Only messages older than this number."""
    after: int | None = None
    """Only messages newer than this number."""


class MessageList(BaseModel):
    """Messages, the newest last."""

    model_config = FROZEN

    messages: tuple[MessageSummary, ...]
    first: int
    """The number of the oldest message that is kept."""
    last: int
    """The number of the newest; less than ``first`` where there are none."""
    matched: int
    """How many were found."""
    complete: bool
    """Whether these are all that the filter wants; else there are more, beyond the limit."""
    capture: str = ""


class FollowParams(BaseModel):
    """What is followed."""

    model_config = FROZEN

    filter: str = Field("", max_length=LONGEST_FILTER)
    since: int | None = None
    """Begin behind this number; without it with what comes from now on."""


class Batch(BaseModel):
    """What has passed since the last batch."""

    model_config = FROZEN

    batch: tuple[MessageSummary, ...]
    seq: int
    """The number of the last message that was looked at: resume with ``since``."""
    dropped: int
    """How many were lost meanwhile, because they came too fast."""
    gap: bool
    """Whether messages behind ``since`` are not kept any more."""


class SeqParams(CaptureParams):
    """Which message."""

    seq: int


class HeadLine(BaseModel):
    """A line of the head of a message."""

    model_config = FROZEN

    name: str
    """"" for the first line."""
    value: str
    text: str
    part: Literal["start", "header"]


class MessageText(BaseModel):
    """A message with its text. Credentials are masked."""

    model_config = FROZEN

    message: MessageSummary
    head: tuple[HeadLine, ...]
    text: str
    """All of it, as it stood on the wire."""
    body: str
    body_note: str
    """Why there is no body where there was one, or what is wrong with the message."""
    twin: int | None


class DialogsParams(CaptureParams):
    """Which dialogs."""

    filter: str = Field("", max_length=LONGEST_FILTER)
    """A dialog is shown when one of its messages is wanted."""
    limit: int = Field(200, ge=1, le=2000)
    kind: Kind | Literal[""] = ""


class LegSummary(BaseModel):
    """One neighbour of the proxy in a dialog."""

    model_config = FROZEN

    leg: int
    interface: str
    transport: str
    local: str
    remote: str
    peer: str
    direction: Literal["in", "out"]
    """Which way its first message went."""


class DialogSummary(BaseModel):
    """All messages of one Call-ID, on both sides of the proxy."""

    model_config = FROZEN

    id: str
    kind: Kind
    state: DialogState
    method: str
    """Of the request that began it."""
    from_uri: str
    to_uri: str
    call_id: str
    started: float
    """Seconds since 1970."""
    ended: float | None
    duration: float
    """Seconds from the answer, or else from the beginning, to the end or the last message."""
    messages: int
    status: int
    """The final status of the request that began it; 0 until there is one."""
    legs: tuple[LegSummary, ...]
    first_seq: int
    last_seq: int
    retransmissions: int

    @classmethod
    def of(cls, dialog: Dialog) -> DialogSummary:
        """A dialog as it is shown."""
        return cls.model_construct(
            id=dialog.id,
            kind=dialog.kind,
            state=dialog.state,
            method=dialog.method,
            from_uri=dialog.from_uri,
            to_uri=dialog.to_uri,
            call_id=dialog.call_id,
            started=dialog.started,
            ended=dialog.ended,
            duration=dialog.duration,
            messages=dialog.messages,
            status=dialog.status,
            legs=tuple(
                LegSummary.model_construct(
                    leg=at,
                    interface=leg.way.interface,
                    transport=leg.way.transport,
                    local=leg.way.local,
                    remote=leg.way.remote,
                    peer=leg.peer,
                    direction=leg.direction,
                )
                for at, leg in enumerate(dialog.legs)
            ),
            first_seq=dialog.first_seq,
            last_seq=dialog.last_seq,
            retransmissions=dialog.retransmissions,
        )


class DialogList(BaseModel):
    """Dialogs, the newest first."""

    model_config = FROZEN

    dialogs: tuple[DialogSummary, ...]


class CaptureSummary(BaseModel):
    """A capture that was opened."""

    model_config = FROZEN

    id: str
    name: str
    messages: int


class RecordingState(BaseModel):
    """What is recorded, and what is kept."""

    model_config = FROZEN

    recording: bool
    why: Literal["always", "watched", "asked", "off"]
    kept: int
    bytes: int
    limit_messages: int
    limit_bytes: int
    first: int
    last: int
    bodies: Literal["none", "sdp", "all"]
    watchers: int
    lost: int
    """Messages that came faster than they could be read."""
    captures: tuple[CaptureSummary, ...]
