"""STUN over sockets: what the world sees in the place of our address, and the kind of NAT.

`detect` goes two ways, one after the other. First the address: the servers are asked in their
order, the next one as well when one has been silent for a moment, and the first answer counts.
Then, if wanted, the kind of NAT, by the server that answered or the next one that has a second
address. Each test has the socket that `sipx_stun.behaviour` wants for it.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from errno import EHOSTUNREACH, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import trio

from sipx_stun.behaviour import (
    Filtering,
    FilteringFound,
    Mapping,
    MappingFound,
    NatType,
    Request,
    filtering_found,
    filtering_test,
    filtering_tests,
    mapping_tests,
    nat_type,
    other_address,
)
from sipx_stun.servers import Server, ServerError, addresses_of, server_of
from sipx_stun.sockets import Datagrams, IcmpError, UdpSocket
from sipx_stun.transaction import (
    BRISK,
    PATIENT,
    Ending,
    Outcome,
    Schedule,
    Transaction,
    place,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from random import Random

    from sipx import Resolver
    from sipx_stun.codec import Address, StunMessage

TIMEOUT: Final = PATIENT.end
"""Seconds that a server may be silent."""
HEAD_START: Final = 2.0
"""Seconds that a server may be silent until the next one is asked as well."""
PACE: Final = 0.05
"""Seconds between two tests side by side. RFC 5780 §5: "pace them such that the retransmission
timeouts (RTOs) do not synchronize the retransmissions of each transaction"."""
_MAY_PASS: Final = (EHOSTUNREACH, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM)
"""Why a socket cannot be opened now, but perhaps later."""

__all__ = ["Detection", "Server", "detect", "server_of"]

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found out; ``error`` says why there is no public address, or no kind of NAT.

    ``bind`` and ``family`` (4 or 6) are those that were asked for, ``server`` and
    ``server_address`` what answered, ``local`` and ``public`` the two ends of the NAT.
    ``temporary`` tells whether a failure may be gone later: silence is, an unknown name is not.
    """

    bind: str
    family: int
    server: str = ""
    server_address: Address | None = None
    local: Address | None = None
    public: Address | None = None
    mapping: Mapping = Mapping.UNKNOWN
    filtering: Filtering = Filtering.UNKNOWN
    nat: NatType = NatType.UNKNOWN
    error: str = ""
    temporary: bool = True


class Opener(Protocol):
    """Opens a socket at ``bind``, or where the way to ``towards`` begins. Raises OSError."""

    def __call__(self, bind: str, towards: Address) -> Datagrams:
        """A new socket on a free port."""


class _NoAnswerError(Exception):
    """A server, or all of them, did not answer. ``heard``: something came back over UDP."""

    def __init__(self, text: str, *, temporary: bool, asked: bool, heard: bool) -> None:
        super().__init__(text)
        self.temporary = temporary
        self.asked = asked
        self.heard = heard

    @classmethod
    def of_all(cls, failures: Sequence[_NoAnswerError]) -> _NoAnswerError:
        """One for all of them."""
        return cls(
            "; ".join(dict.fromkeys(str(failure) for failure in failures)),
            temporary=any(failure.temporary for failure in failures),
            asked=any(failure.asked for failure in failures),
            heard=any(failure.heard for failure in failures),
        )


class _Answer(NamedTuple):
    """A server that answered, where it is, and what it said."""

    server: Server
    address: Address
    local: Address
    mapped: Address
    message: StunMessage


class _Kind(NamedTuple):
    mapping: Mapping
    filtering: Filtering
    why: str


def nothing(text: str) -> None:
    """Nobody is told of the progress."""


async def detect(
    servers: Sequence[Server],
    *,
    bind: str = "",
    family: int = 4,
    nat: bool = True,
    rng: Random,
    resolver: Resolver,
    progress: Callable[[str], None] = nothing,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one server, not of the whole
    opened: Opener = UdpSocket,
) -> Detection:
    """Find the public address, and with ``nat`` the kind of NAT. Failures are in the result.

    ``bind`` is an address of this machine; "", "*", "0.0.0.0" and "::" are where the way to the
    server begins. A server may be silent for ``timeout`` seconds; finding the kind of NAT takes
    a few round trips where nothing is filtered, and ten seconds more where silence has to be waited
    for. ``progress`` is told each step, in a few words.
    """
    client = _Client(bind, family, rng, resolver, progress, timeout, opened)
    try:
        answer = await client.first_answer(servers)
    except _NoAnswerError as failure:
        blocked = failure.asked and not failure.heard
        return Detection(
            bind,
            family,
            nat=NatType.FIREWALL_BLOCKING_UDP if blocked else NatType.UNKNOWN,
            error=str(failure),
            temporary=failure.temporary,
        )
    progress(f"the public address is {answer.mapped[0]}, says {answer.server}")
    kind = _Kind(Mapping.UNKNOWN, Filtering.UNKNOWN, "")
    if nat:
        kind = await client.kind_of_nat(answer, servers)
    return Detection(
        bind,
        family,
        server=str(answer.server),
        server_address=answer.address,
        local=answer.local,
        public=answer.mapped,
        mapping=kind.mapping,
        filtering=kind.filtering,
        nat=nat_type(kind.mapping, kind.filtering, answered=True),
        error=kind.why,
    )


async def first_of(jobs: Sequence[Callable[[], Awaitable[_Found]]], head_start: float) -> _Found:
    """Begin the next job when one has failed or taken ``head_start`` seconds; the first result.

    The others are cancelled then. Raises _NoAnswerError when all have failed.
    """
    found: list[_Found] = []
    failures: list[_NoAnswerError] = []

    async def run(job: Callable[[], Awaitable[_Found]], failed: trio.Event) -> None:
        try:
            found.append(await job())
        except _NoAnswerError as failure:
            failures.append(failure)
            failed.set()
        else:
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for job in jobs:
            failed = trio.Event()
            nursery.start_soon(run, job, failed)
            with trio.move_on_after(head_start):
                await failed.wait()
    if not found:
        raise _NoAnswerError.of_all(failures)
    return found[0]


class _Client:
    """The way of one detection."""

    def __init__(
        self,
        bind: str,
        family: int,
        rng: Random,
        resolver: Resolver,
        progress: Callable[[str], None],
        timeout: float,
        opened: Opener,
    ) -> None:
        self._bind = bind
        self._family = family
        self._rng = rng
        self._resolver = resolver
        self._progress = progress
        self._timeout = timeout
        self._opened = opened

    def _open(self, towards: Address) -> closing[Datagrams]:
        """A socket of its own. Raises OSError."""
        return closing(self._opened(self._bind, towards))

    # ------------------------------------------------------------ the address

    async def first_answer(self, servers: Sequence[Server]) -> _Answer:
        """Of any server. Raises _NoAnswerError."""
        if not servers:
            raise _NoAnswerError(
                "no STUN server is named", temporary=False, asked=False, heard=False
            )
        schedule = PATIENT.within(self._timeout)
        return await first_of([partial(self.ask, s, schedule) for s in servers], HEAD_START)

    async def ask(self, server: Server, schedule: Schedule) -> _Answer:
        """A plain request to a server, at each of its addresses. Raises _NoAnswerError."""
        try:
            places = await addresses_of(server, self._family, self._resolver)
        except ServerError as error:
            raise _NoAnswerError(
                f"{server}: {error}", temporary=error.temporary, asked=False, heard=False
            ) from None
        asks = [partial(self._ask_at, server, at, schedule) for at in places]
        return await first_of(asks, HEAD_START)

    async def _ask_at(self, server: Server, at: Address, schedule: Schedule) -> _Answer:
        self._progress(f"asking {_named(server, at)}")
        try:
            with self._open(at) as sock:
                local = sock.local
                outcome, by = await _exchange(sock, Request(at), schedule, self._rng)
        except OSError as error:
            raise self._unusable(server, at, error) from None
        if outcome.message is None:
            text = f"{_named(server, at)}: {outcome.text}"
            # Silence is what a firewall is known by, and so is ICMP of somebody on the way.
            near = {"", at[0], local[0]}
            stopped = outcome.ending is Ending.UNREACHABLE and by not in near
            heard = not stopped and outcome.ending is not Ending.SILENT
            raise _NoAnswerError(text, temporary=True, asked=True, heard=heard)
        return _Answer(server, at, local, outcome.mapped, outcome.message)

    def _unusable(self, server: Server, at: Address, error: OSError) -> _NoAnswerError:
        reason = (error.strerror or str(error)).lower()
        text = f"{_named(server, at)}: {reason}, from {self._bind or 'here'}"
        temporary = error.errno in _MAY_PASS
        return _NoAnswerError(text, temporary=temporary, asked=False, heard=False)

    # ------------------------------------------------------------ the kind of NAT

    async def kind_of_nat(self, answer: _Answer, servers: Sequence[Server]) -> _Kind:
        """By the server that answered, else by the next one that has a second address."""
        kind = await self._kind_by(answer)
        fit = other_address(answer.address, answer.message)[0] is not None
        for server in servers:
            if fit or server == answer.server:
                continue
            try:
                other = await self.ask(server, BRISK.within(self._timeout))
            except _NoAnswerError as failure:
                self._progress(str(failure))
                continue
            if other_address(other.address, other.message)[0] is not None:
                fit = True
                kind = await self._kind_by(other)
        return kind

    async def _kind_by(self, answer: _Answer) -> _Kind:
        server = answer.address
        try:
            mapping = await self._mapping(server)
            if mapping.other is None:
                return _Kind(mapping.mapping, Filtering.UNKNOWN, mapping.why)
            filtering = await self._filtering(server, mapping.other)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            return _Kind(Mapping.UNKNOWN, Filtering.UNKNOWN, reason)
        return _Kind(mapping.mapping, filtering.filtering, mapping.why or filtering.why)

    async def _mapping(self, server: Address) -> MappingFound:
        self._progress("looking at the mapping")
        with self._open(server) as sock:
            found = await self._follow(mapping_tests(server, sock.local), sock)
        self._progress(f"mapping: {found.mapping}")
        return found

    async def _filtering(self, server: Address, other: Address) -> FilteringFound:
        """Both tests side by side: silence takes ten seconds in each."""
        self._progress("looking at the filtering, which takes ten seconds where there is any")
        outcomes: dict[Request, Outcome] = {}
        second, third = filtering_tests(server, other)

        async def run(request: Request, sock: Datagrams) -> None:
            outcomes[request] = await self._follow(filtering_test(request), sock)
            if request is second and outcomes[request].message is not None:
                nursery.cancel_scope.cancel()

        with ExitStack() as stack:
            socks = [stack.enter_context(self._open(server)) for _ in range(2)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run, second, socks[0])
                await trio.sleep(PACE)
                nursery.start_soon(run, third, socks[1])
        silent = Outcome(Ending.SILENT, "")
        found = filtering_found(outcomes.get(second, silent), outcomes.get(third, silent))
        self._progress(f"filtering: {found.filtering}")
        return found

    async def _follow(self, tests: Generator[Request, Outcome, _Found], sock: Datagrams) -> _Found:
        """Make the tests of a generator, one after the other from one socket."""
        schedule = BRISK.within(self._timeout)
        try:
            request = next(tests)
            while True:
                outcome, _ = await _exchange(sock, request, schedule, self._rng)
                request = tests.send(outcome)
        except StopIteration as done:
            found: _Found = done.value
            return found


async def _exchange(
    sock: Datagrams, request: Request, schedule: Schedule, rng: Random
) -> tuple[Outcome, str]:
    """One transaction, and who said by ICMP that it does not arrive."""
    by = ""
    transaction = Transaction(
        request.to,
        schedule,
        trio.current_time(),
        rng,
        change=request.change,
        answers_from=request.answers_from,
    )
    while transaction.outcome is None:
        datagram = transaction.poll(trio.current_time())
        if datagram is not None:
            try:
                sock.send(datagram, request.to)
            except OSError as error:
                transaction.unsendable((error.strerror or str(error)).lower())
        elif transaction.outcome is None:
            with trio.move_on_at(transaction.due):
                try:
                    transaction.receive(*await sock.receive())
                except IcmpError as error:
                    by = error.by
                    transaction.unreachable(str(error))
    return transaction.outcome, by


def _named(server: Server, at: Address) -> str:
    return place(at) if server.host == at[0] else f"{server.host} ({place(at)})"
