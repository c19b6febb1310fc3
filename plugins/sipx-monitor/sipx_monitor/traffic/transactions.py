"""Which messages belong together: the transaction on both sides of the proxy, and the twin.

A request leaves with our Via on top of the one it came with, and its responses come back to that
Via: so the Vias tell which copies, on which branches, belong to the request that came in.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sipx_monitor.traffic.head import NO_HOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx_monitor.traffic.head import Head, Hop
    from sipx_monitor.traffic.message import Message

_WAITING: Final = 32
"""Responses of one transaction that wait for their twins."""
_LOOKED_AT: Final = 100
"""The first messages of a transaction, with which the others are compared."""
MOST_KEYS: Final = 200
"""Copies of one request that responses find back to: who begins anew with the same branch for
days has many.
"""
MOST_STEPS: Final = 200
"""Decisions kept for one transaction."""
_COOKIE: Final = b"z9hG4bK"

_NOBODY: Final[dict[str, str]] = {}
"""Of whom nothing is known yet: most transactions need no dictionary of their own."""

Key = tuple[bool, bytes, bytes, str]
"""Whether we are its server; the branch and who wrote it; the method."""


class Step(NamedTuple):
    """One decision about a request. ``wall`` is in seconds since 1970."""

    wall: float
    step: str
    text: str
    data: dict[str, Any]


class Transaction:
    """A request with all its copies and responses, on both sides of the proxy."""

    __slots__ = (
        "_answers",
        "done",
        "first",
        "id",
        "keys",
        "method",
        "name",
        "peers",
        "request",
        "seqs",
        "steps",
        "targets",
        "trusted",
    )

    def __init__(self, key: Key, method: str, first: int) -> None:
        self.id = blake2b(repr(key).encode(), digest_size=6).hexdigest()
        self.method = method
        self.name = key[1]
        self.keys = [key]
        self.first = first
        self.seqs: list[int] = []
        """Messages of it that are kept."""
        self.request = 0
        """The request that came in; where none did, 0."""
        self.steps: list[Step] = []
        self.peers: dict[str, str] = _NOBODY
        """Who is at the other end, by the branch of the topmost Via there."""
        self.targets: tuple[str, ...] = ()
        """The names of the routes and accounts that it was sent to."""
        self.trusted: bool | None = None
        self.done = False
        """Whether its final response has left."""
        self._answers: list[tuple[int, str, int]] = []

    def came(self, message: Message) -> None:
        """A response came in, which may leave again on the other side."""
        self._answers.append((message.status, message.to_tag, message.seq))
        del self._answers[:-_WAITING]

    def twin_of(self, response: Message) -> int:
        """The response that came in and leaves as this one; 0: it is the proxy's own.

        RFC 3261 §16.7 step 6 lets a proxy change the status, but the tag says who answered.
        """
        status, tag = response.status, response.to_tag
        for exactly in (True, False):
            for at in range(len(self._answers) - 1, -1, -1):
                found = self._answers[at]
                if found[1] == tag and (found[0] == status if exactly else bool(tag)):
                    return self._answers.pop(at)[2]
        return 0

    def decide(self, step: Step) -> str:
        """A decision about its request; the branch whose neighbour it names, "" for none."""
        if len(self.steps) < MOST_STEPS:
            self.steps.append(step)
        data = step.data
        if step.step == "sender":
            trusted = data.get("trusted")
            self.trusted = trusted if isinstance(trusted, bool) else None
            return self._name(self.name.decode("ascii", "backslashreplace"), data.get("name"))
        if step.step == "targets":
            self.targets = tuple(
                str(target.get("name", "")) for group in data.get("groups", ()) for target in group
            )
        elif step.step == "branch":
            return self._name(data.get("branch"), data.get("target"))
        return ""

    def _name(self, branch: object, name: object) -> str:
        if not (isinstance(branch, str) and isinstance(name, str) and branch and name):
            return ""
        if len(self.peers) >= MOST_STEPS:
            return ""
        if self.peers is _NOBODY:
            self.peers = {}
        self.peers[branch] = name
        return branch


class Transactions:
    """All of those whose messages are kept. ``find`` gives a message that is kept, by its seq."""

    def __init__(self, find: Callable[[int], Message | None]) -> None:
        self._find = find
        self._by_key: dict[Key, Transaction] = {}
        self._by_id: dict[str, Transaction] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, name: str) -> Transaction | None:
        """By its id, or by a branch of one of its Vias."""
        found = self._by_id.get(name)
        if found is not None:
            return found
        branch = name.encode()
        for one in reversed(self._by_id.values()):
            if any(key[1] == branch for key in one.keys):
                return one
        return None

    def of_request(self, branch: bytes, sent_by: bytes, method: str) -> Transaction | None:
        """The one of a request that came in with this topmost Via."""
        return self._by_key.get((True, branch, sent_by, method))

    def add(self, message: Message, head: Head) -> None:
        """Find out what a message belongs to; know its twin, its delay, and whether it came before.

        A message without a usable Via belongs to nothing.
        """
        if head.top is NO_HOP:
            return
        transaction = self._place(message, head)
        message.transaction = transaction
        if not message.peer:
            message.peer = transaction.peers.get(message.branch, "")
        self._compare(transaction, message)
        if not message.status:
            self._pair_request(transaction, message)
        elif message.inwards:
            if message.status > 100:
                transaction.came(message)
        elif message.status > 100:
            self._pair(transaction.twin_of(message), message)
            transaction.done = transaction.done or message.status >= 200

    def decide(self, transaction: Transaction, step: Step) -> None:
        """A decision about a request. Its messages learn from it who is at their other end."""
        branch = transaction.decide(step)
        if not branch:
            return
        for seq in transaction.seqs[-_WAITING:]:
            message = self._find(seq)
            if message is None or message.branch != branch or message.peer:
                continue
            message.peer = transaction.peers[branch]
            if message.dialog is not None:
                message.dialog.told(message)

    def forget(self, message: Message) -> None:
        """A message is not kept any more."""
        transaction = message.transaction
        if transaction is None:
            return
        del transaction.seqs[0]  # it is the oldest of all
        if not transaction.seqs:
            del self._by_id[transaction.id]
            for key in transaction.keys:
                if self._by_key.get(key) is transaction:
                    del self._by_key[key]

    # ------------------------------------------------------------ below

    def _key(self, hop: Hop, server: bool, message: Message, head: Head) -> Key:
        """RFC 3261 §17.1.3 and §17.2.3; without the cookie the rules of RFC 2543, in short."""
        method = message.method
        branch = hop.branch
        if not branch.startswith(_COOKIE):
            branch = b"%b %b %b" % (branch, message.call_id.encode(), head.cseq[:12].encode())
        # A branch of ours names its transaction alone; who looks for it need not know our address.
        return (server, branch, hop.sent_by if server else b"", method)

    def _place(self, message: Message, head: Head) -> Transaction:
        server = message.inwards ^ bool(message.status)
        key = self._key(head.top, server, message, head)
        found = self._by_key.get(key)
        if found is None and message.method == "ACK":
            # §17.1.1.3: the ACK for a refusal is part of the INVITE transaction.
            found = self._by_key.get((*key[:3], "INVITE"))
        if found is None and not server and not message.status:
            found = self._before(message, head, key)
        if found is None:
            found = self._by_key[key] = Transaction(key, message.method, message.seq)
            self._by_id[found.id] = found
        elif key not in self._by_key:
            self._by_key[key] = found
            found.keys.append(key)
            if len(found.keys) > MOST_KEYS:
                gone = found.keys.pop(1)
                if self._by_key.get(gone) is found:
                    del self._by_key[gone]
        return found

    def _before(self, message: Message, head: Head, key: Key) -> Transaction | None:
        """The transaction of the request that leaves as this one."""
        if head.below is not NO_HOP:
            return self._by_key.get(self._key(head.below, True, message, head))
        if message.method == "CANCEL":
            # §9.1: a CANCEL has one Via only, with the branch of the INVITE that it ends.
            invite = self._by_key.get((*key[:3], "INVITE"))
            if invite is not None and invite.keys[0][0]:
                return self._by_key.get((*invite.keys[0][:3], "CANCEL"))
        return None

    def _compare(self, transaction: Transaction, message: Message) -> None:
        """Look through what there is of the transaction: whether this came before, and when the
        request of this response passed on the same side.
        """
        final = message.status >= 200
        for seq in transaction.seqs[:_LOOKED_AT]:
            other = self._find(seq)
            if other is None:
                continue
            if other.status == message.status and other.inwards == message.inwards:
                same = other.head == message.head and other.body == message.body
                message.retransmission = message.retransmission or (
                    same and other.way == message.way
                )
            elif (
                final
                and message.rtt is None
                and not other.status
                and other.inwards != message.inwards
                and other.branch == message.branch
            ):
                message.rtt = max(0.0, message.time - other.time)
        transaction.seqs.append(message.seq)

    def _pair_request(self, transaction: Transaction, message: Message) -> None:
        if message.inwards:
            if not transaction.request or not message.retransmission:
                transaction.request = message.seq
        elif transaction.request:
            self._pair(transaction.request, message)

    def _pair(self, seq: int, message: Message) -> None:
        """The message that leaves has its twin; the one that came has the first that left."""
        other = self._find(seq) if seq else None
        if other is None:
            return
        message.twin = other.seq
        if not other.twin:
            other.twin = message.seq
