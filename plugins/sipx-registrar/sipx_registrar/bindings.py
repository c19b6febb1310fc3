"""All bindings, in memory (RFC 3261 §10): by address-of-record, by flow, by owner.

Expiry is by the wall clock, and costs what is due: bindings stand in a slot for the second at
which they end.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sipx import Binding, BindingChange, Flow

NOBODY: Final[tuple[Binding, ...]] = ()


def logon_place(account: str) -> bytes:
    """Where the logon of a server itself is bound: an address-of-record without a host, which is
    nobody's. Several servers may share one logon name; each has a place of its own.
    """
    return account.encode() + b"@"


def is_logon_place(aor: bytes) -> bool:
    """Whether this is such a place."""
    return aor[-1:] == b"@"


class Bindings:
    """The bindings. ``now`` is the kernel's clock, ``wall`` seconds since 1970."""

    def __init__(self, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self._now = now
        self._wall = wall
        self._places: dict[bytes, tuple[Binding, ...]] = {}
        self._slots: dict[int, set[Binding] | None] = {}
        self._order: list[int] = []
        """The seconds of all slots, as a heap; one that has become empty waits until it is due."""
        self._flows: dict[Flow, dict[str, _Live]] = {}
        self._left: set[Flow] = set()
        self._owned: dict[str, int] = {}
        self._logons: set[bytes] = set()

    def take_over(self, old: Bindings) -> None:
        """Be what ``old`` is. Both then see the same, for a reload may yet be undone."""
        self._places, self._slots, self._order = old._places, old._slots, old._order
        self._flows, self._left = old._flows, old._left
        self._owned, self._logons = old._owned, old._logons

    # ------------------------------------------------------------ questions

    def of(self, aor: bytes) -> Sequence[Binding]:
        """The live bindings of an address-of-record, in any order; () if there are none."""
        found = self._places.get(aor)
        if found is None:
            return NOBODY
        now = self._wall()
        for binding in found:
            if binding.expires <= now:
                return tuple(each for each in found if each.expires > now)
        return found

    def on_flow(self, flow: Flow) -> Sequence[Binding]:
        """The bindings that were registered over this open flow, logons of servers too."""
        return [each for live in self._flows.get(flow, {}).values() for each in live.bindings]

    def has_left(self, flow: Flow) -> bool:
        """Whether all that was registered over a flow was registered anew over others.

        Who did that behind a NAT that gave it another address, or has forgotten the old flow, can
        be reached over the new one only; and nobody tells us that the old one is dead.
        """
        return flow in self._left

    def owned_by(self, owner: str) -> int:
        """How many addresses-of-record an account has bindings of, its own logon left out."""
        return self._owned.get(owner, 0)

    def logon_of(self, account: str) -> Sequence[Binding]:
        """The bindings of a server itself."""
        return self.of(logon_place(account))

    def __len__(self) -> int:
        """How many addresses-of-record are bound, logons of servers left out."""
        return len(self._places) - len(self._logons)

    def count(self) -> int:
        """How many bindings there are, logons of servers too."""
        return sum(len(slot) for slot in self._slots.values() if slot)

    def places(self) -> Iterator[bytes]:
        """All addresses-of-record, logons of servers too."""
        return iter(self._places)

    # ------------------------------------------------------------ changes

    def apply(self, changes: Iterable[BindingChange]) -> None:
        """Make changes; each place is left in the state that the last of its changes gives."""
        for change in changes:
            before = self._places.get(change.aor, NOBODY)
            new = () if change.binding is None else (change.binding,)
            if not before:
                after: tuple[Binding, ...] = new
            else:
                after = tuple([each for each in before if each.key != change.key]) + new
            self._become(change.aor, before, after)

    def take_due(self) -> list[Binding]:
        """Take out the bindings that have expired since the last time."""
        now = self._wall()
        ended: list[Binding] = []
        while self._order and self._order[0] <= now:
            ended += self._slots.pop(heappop(self._order)) or ()
        for binding in ended:
            before = self._places[binding.aor]
            kept = tuple([each for each in before if each is not binding])
            self._become(binding.aor, before, kept)
        return ended

    def flow_closed(self, flow: Flow) -> None:
        """The flow is no more: its bindings stay without one."""
        self._left.discard(flow)
        for live in self._flows.pop(flow, {}).values():
            for binding in live.bindings:
                binding.flow = None

    # ------------------------------------------------------------ below

    def _become(self, aor: bytes, before: tuple[Binding, ...], after: tuple[Binding, ...]) -> None:
        for binding in before:
            if binding not in after:
                self._out(binding)
        for binding in after:
            if binding not in before:
                self._in(binding)
        for binding in before:
            old = binding.flow
            if old is not None and old not in self._flows and _moved(binding, after):
                self._left.add(old)
        if after:
            self._places[aor] = after
        elif before:
            del self._places[aor]
        if is_logon_place(aor):
            if after:
                self._logons.add(aor)
            else:
                self._logons.discard(aor)
            return
        if len(before) == len(after) == 1 and before[0].owner == after[0].owner:
            return  # a refresh, most often
        new = {each.owner for each in after}
        for owner in {each.owner for each in before} ^ new:
            count = self._owned.get(owner, 0) + (1 if owner in new else -1)
            if count:
                self._owned[owner] = count
            else:
                del self._owned[owner]

    def _in(self, binding: Binding) -> None:
        slot = ceil(binding.expires)
        there = self._slots.get(slot)
        if there is None:
            if slot not in self._slots:
                heappush(self._order, slot)
            there = self._slots[slot] = set()
        there.add(binding)
        flow = binding.flow
        if flow is None:
            return
        if flow.closed:
            binding.flow = None
            return
        self._left.discard(flow)
        by_owner = self._flows.setdefault(flow, {})
        live = by_owner.get(binding.owner)
        if live is None:
            live = by_owner[binding.owner] = _Live()
        live.add(binding)
        self.prove(flow)

    def _out(self, binding: Binding) -> None:
        slot = ceil(binding.expires)
        there = self._slots.get(slot)
        if there is not None:
            there.discard(binding)
            if not there:
                self._slots[slot] = None
        flow = binding.flow
        by_owner = None if flow is None else self._flows.get(flow)
        if flow is None or by_owner is None or binding.owner not in by_owner:
            return
        live = by_owner[binding.owner]
        live.discard(binding)
        if not live.bindings:
            del by_owner[binding.owner]
            if not by_owner:
                del self._flows[flow]
        self.prove(flow)

    def prove(self, flow: Flow) -> None:
        """Say on a flow until when a registration made there authorises its account's requests."""
        live = self._flows.get(flow, {}).get(flow.account)
        flow.account_until = 0.0 if live is None else self._now() + live.until() - self._wall()


def _moved(binding: Binding, after: Iterable[Binding]) -> bool:
    """Whether the same place was bound anew over another flow."""
    return any(
        each.flow is not binding.flow and each.flow is not None and each.key == binding.key
        for each in after
    )


class _Live:
    """The bindings of one account on one flow, which may be tens of thousands, and when the last
    of them ends: counted by whole seconds, as that is all that is asked.
    """

    __slots__ = ("_counts", "_latest", "bindings")

    def __init__(self) -> None:
        self.bindings: set[Binding] = set()
        self._counts: dict[int, int] = {}
        self._latest: list[int] = []
        """A heap of the seconds, negative; one that nothing ends in goes when it is on top."""

    def add(self, binding: Binding) -> None:
        self.bindings.add(binding)
        second = int(binding.expires)
        if second not in self._counts:
            self._counts[second] = 0
            heappush(self._latest, -second)
        self._counts[second] += 1

    def discard(self, binding: Binding) -> None:
        self.bindings.discard(binding)
        self._counts[int(binding.expires)] -= 1

    def until(self) -> int:
        """When the last of them ends, in seconds since 1970."""
        while not self._counts[-self._latest[0]]:
            del self._counts[-heappop(self._latest)]
        if len(self._latest) > 2 * len(self.bindings) + 3600:
            self._counts = {second: count for second, count in self._counts.items() if count}
            self._latest = [-second for second in self._counts]
            heapify(self._latest)
        return -self._latest[0]
