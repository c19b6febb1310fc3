"""The transactions as the control API shows them: a few of many, without stalling SIP.

Nothing is copied but a list of keys. The tables are looked through in slices, and other tasks run
between two slices; what has ended meanwhile is left out.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx.control.errors import ControlError
from sipx.control.words import shown
from sipx.forking import Branch, ResponseContext
from sipx.sip.transaction import (
    ACCEPTED,
    CALLING,
    COMPLETED,
    CONFIRMED,
    PROCEEDING,
    STATES,
    TRYING,
    ClientTransaction,
    ServerTransaction,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sipx.kernel import Kernel
    from sipx.sip.message import Request

T = TypeVar("T")

SLICE: Final = 100
"""Transactions that are looked at without letting others run."""
ID_LENGTH: Final = 10
MOST: Final = 1000
"""The largest number that can be asked for at once."""
_LOOKING: Final = "looking for its hop"


class TransactionsParams(BaseModel):
    """What is listed."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    limit: int = Field(100, ge=1, le=MOST)
    """How many at most, the newest first."""
    finished: bool = False
    """Also those that have their final answer and only wait for retransmissions."""


class TransactionParams(BaseModel):
    """Which one."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str = Field(min_length=3)
    """Its id, the beginning of it, or the branch of its topmost Via."""


class TransactionSummary(BaseModel):
    """One transaction. What the peers wrote is shown without control characters."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    """Short, and the same as long as the transaction lasts."""
    kind: Literal["server", "client"]
    """A request that came in, or one of the proxy's own."""
    method: str
    state: str
    """The state of its machine (RFC 3261 §17)."""
    uri: str
    """The Request-URI; "" once the request is not kept any more."""
    call_id: str
    flow: str
    """Where the request came from, or went to."""
    branches: int
    age: float | None
    """Seconds since it came in, where that is kept."""


class TransactionList(BaseModel):
    """Some of them."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    transactions: tuple[TransactionSummary, ...]
    total: int
    """How many there are of what was asked for."""
    finished: int
    """How many of the server transactions have their final answer."""


class RunningTimer(BaseModel):
    """A timer that is still to come."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """By the letter of RFC 3261, or "100" for the provisional answer that is still due."""
    left: float | None
    """Seconds, where the transaction knows."""


class BranchState(BaseModel):
    """One try to reach one target."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    target: str
    """The route or account it belongs to."""
    uri: str
    """The Request-URI on this branch."""
    hop: str
    """Where it goes now, or went last."""
    hops_left: int
    """Further hops to be tried if this one fails."""
    state: str
    answer: int | None
    """The final status of this branch; 0 where it is not kept any more."""
    cancelled: bool
    branch: str
    """The branch parameter of our Via."""
    timers: tuple[RunningTimer, ...]


class TransactionState(TransactionSummary):
    """All that is known of one transaction."""

    branch: str
    """The branch parameter of the topmost Via it came with."""
    cseq: str
    from_uri: str
    to_uri: str
    sender: str
    """Whom it was accepted from."""
    interface: str
    cancelled: bool
    timers: tuple[RunningTimer, ...]
    tried: tuple[BranchState, ...]
    """Its branches, with the target and the state of each."""
    waiting_targets: int
    """Targets that are tried when those have failed."""


class TransactionMethods:
    """The methods ``transactions.*``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(self, params: TransactionsParams) -> TransactionList:
        """The running transactions, the newest first."""
        found: list[TransactionSummary] = []
        total = finished = 0
        async for some in _sliced(self._kernel.transactions.servers):
            for key, one in some:
                if isinstance(one, bytes) or one.request is None:
                    finished += 1
                    if not params.finished:
                        continue
                total += 1
                if len(found) < params.limit:
                    found.append(self._server(key, one))
        async for others in _sliced(self._kernel.transactions.clients):
            for key, client in others:
                if isinstance(client, Branch):
                    continue  # shown with the request that it belongs to
                total += 1
                if len(found) < params.limit:
                    found.append(self._client(key, client))
        return TransactionList(transactions=tuple(found), total=total, finished=finished)

    async def show(self, params: TransactionParams) -> TransactionState:
        """One transaction: its state, its timers, its branches with their targets and states."""
        matches: list[tuple[bytes, ServerTransaction | ClientTransaction | bytes]] = []
        wanted, branch = params.id.lower(), params.id.encode()
        async for some in _sliced(self._kernel.transactions.servers):
            matches += [
                (key, one)
                for key, one in some
                if short_id(key).startswith(wanted) or _branch_of(key) == branch
            ]
        async for others in _sliced(self._kernel.transactions.clients):
            matches += [
                (key, client)
                for key, client in others
                if not isinstance(client, Branch)
                and (short_id(key).startswith(wanted) or key == branch)
            ]
        if not matches:
            raise ControlError(
                "not found",
                f"there is no transaction {params.id!r}, or it has ended; "
                "`sipx transactions` lists those that run",
            )
        if len(matches) > 1:
            ids = ", ".join(short_id(key) for key, _ in matches[:10])
            raise ControlError("not found", f"{params.id!r} is the beginning of several: {ids}")
        return self._state(*matches[0])

    # ------------------------------------------------------------ what is shown

    def _server(self, key: bytes, one: ServerTransaction | bytes) -> TransactionSummary:
        if isinstance(one, bytes):
            return TransactionSummary(
                id=short_id(key),
                kind="server",
                method=shown(_method_of(key)),
                state=STATES[COMPLETED],
                uri="",
                call_id="",
                flow="",
                branches=0,
                age=None,
            )
        context = one.context if isinstance(one.context, ResponseContext) else None
        request = one.request
        return TransactionSummary(
            id=short_id(key),
            kind="server",
            method=shown(_method_of(key)),
            state=STATES[one.state],
            uri="" if request is None else shown(request.uri),
            call_id="" if request is None else shown(request.call_id),
            flow=_flow_name(one.flow),
            branches=0 if context is None else len(context.branches),
            age=self._age(context),
        )

    def _client(self, key: bytes, client: ClientTransaction) -> TransactionSummary:
        return TransactionSummary(
            id=short_id(key),
            kind="client",
            method=shown(client.method),
            state=STATES[client.state],
            uri="",
            call_id="",
            flow=_flow_name(client.flow),
            branches=0,
            age=None,
        )

    def _age(self, context: ResponseContext | None) -> float | None:
        if context is None or not context.started:
            return None
        return max(0.0, self._kernel.clock() - context.started)

    def _state(
        self, key: bytes, one: ServerTransaction | ClientTransaction | bytes
    ) -> TransactionState:
        if isinstance(one, ClientTransaction):
            summary = self._client(key, one)
            timers = self._client_timers(one)
        else:
            summary = self._server(key, one)
            timers = self._server_timers(one)
        context = None
        request: Request | None = None
        interface = ""
        if isinstance(one, ServerTransaction):
            request = one.request
            interface = one.flow.interface.name  # type: ignore[attr-defined]  # a Flow
            if isinstance(one.context, ResponseContext):
                context = one.context
        return TransactionState(
            **dict(summary),
            branch=shown(key if isinstance(one, ClientTransaction) else _branch_of(key)),
            cseq="" if request is None else shown(request.cseq_number),
            from_uri="" if request is None else shown(request.from_.uri),
            to_uri="" if request is None else shown(request.to.uri),
            sender="" if context is None else context.sender.name,
            interface=interface,
            cancelled=context is not None and context.cancelled,
            timers=timers,
            tried=()
            if context is None
            else tuple(self._branch(branch) for branch in context.branches),
            waiting_targets=0 if context is None else sum(len(group) for group in context.groups),
        )

    def _branch(self, branch: Branch) -> BranchState:
        started = branch.state >= 0
        hop = branch.hops[branch.index] if branch.index < len(branch.hops) else None
        request = branch.sent
        uri = branch.target.uri if request is None else request.uri
        if started:
            where = _flow_name(branch.flow)
        else:
            where = "" if hop is None else f"{hop.transport}:{hop.address}:{hop.port}"
        return BranchState(
            target=branch.target.name,
            uri="" if uri is None else shown(uri),
            hop=where,
            hops_left=max(0, len(branch.hops) - branch.index - 1),
            state=STATES[branch.state] if started else _LOOKING,
            answer=None if branch.response is None else branch.response.status,
            cancelled=branch.cancelled,
            branch=shown(branch.key) if started else "",
            timers=self._client_timers(branch) if started else (),
        )

    # ------------------------------------------------------------ timers (RFC 3261, Table 4)

    def _left(self, when: float) -> float:
        return max(0.0, when - self._kernel.clock())

    def _client_timers(self, client: ClientTransaction) -> tuple[RunningTimer, ...]:
        """Which timers a client machine waits for in its state."""
        invite = client.method == b"INVITE"
        found: list[RunningTimer] = []
        if client.state in (CALLING, TRYING) or (client.state == PROCEEDING and not invite):
            if not client.flow.reliable:
                found.append(RunningTimer(name="A" if invite else "E", left=None))
            until = self._left(client.deadline)
            found.append(RunningTimer(name="B" if invite else "F", left=until))
        elif client.state == ACCEPTED:
            found.append(RunningTimer(name="M", left=None))
        elif client.state == COMPLETED and invite:
            found.append(RunningTimer(name="D", left=None))
        return tuple(found)

    def _server_timers(self, one: ServerTransaction | bytes) -> tuple[RunningTimer, ...]:
        if isinstance(one, bytes):
            return (RunningTimer(name="J", left=None),)
        found: list[RunningTimer] = []
        if one.state in (TRYING, PROCEEDING):
            if not one.last:
                found.append(RunningTimer(name="100", left=None))
            context = one.context
            if isinstance(context, ResponseContext) and context.timer_c and not context.done:
                found.append(RunningTimer(name="C", left=self._left(context.timer_c)))
        elif one.state == ACCEPTED:
            found.append(RunningTimer(name="L", left=None))
        elif one.state == COMPLETED:
            if not one.flow.reliable:
                found.append(RunningTimer(name="G", left=None))
            found.append(RunningTimer(name="H", left=self._left(one.deadline)))
        elif one.state == CONFIRMED:
            found.append(RunningTimer(name="I", left=None))
        return tuple(found)


async def _sliced(table: Mapping[bytes, T]) -> AsyncIterator[list[tuple[bytes, T]]]:
    """What is in a table, the newest first; others run after every slice."""
    keys = list(table)
    keys.reverse()
    for begin in range(0, len(keys), SLICE):
        some = ((key, table.get(key)) for key in keys[begin : begin + SLICE])
        yield [(key, found) for key, found in some if found is not None]
        await trio.lowlevel.checkpoint()


def short_id(key: bytes) -> str:
    """The id of a transaction: a hash of what identifies it, as a peer may write anything there."""
    return blake2b(key, digest_size=ID_LENGTH // 2).hexdigest()


def _branch_of(key: bytes) -> bytes:
    """The branch in the key of a server transaction; "" by the rule of RFC 2543, which has none."""
    return key.partition(b" ")[0] if key.startswith(b"z9hG4bK") else b""


def _method_of(key: bytes) -> bytes:
    return key.replace(b"\0", b" ").rpartition(b" ")[2]


def _flow_name(flow: object) -> str:
    name: str = flow.name  # type: ignore[attr-defined]  # a Flow
    return name
