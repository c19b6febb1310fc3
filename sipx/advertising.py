"""The public address: what stands in messages in the place of our own address behind a NAT.

[wan] and each interface say what it is to be: an IP address, a name, or "auto", which is what a
plugin finds (``PluginHandle.note_public_addresses``). Here it is found out what that stands for
now, and when it has become another one the open flows and the peers' view of us follow.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from sipx.addresses import parse_address
from sipx.public_address import AUTO, found_address
from sipx.resolver import ResolveError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from sipx.flows import FlowTable
    from sipx.former import FormerFile
    from sipx.interfaces import Interface, Interfaces
    from sipx.resolver import Resolver

log = logging.getLogger("sipx.kernel")

LOOK: Final = 30.0
"""Seconds between two looks at a name; the resolver asks only when its answer has run out."""
TROUBLE: Final = "public address"


class Advertising:
    """What the interfaces are advertised as. ``trouble`` is told of names that lead nowhere;
    ``changed`` is called when peers may see an interface at another address.
    """

    def __init__(
        self,
        interfaces: Interfaces,
        flows: FlowTable,
        resolver: Resolver,
        file: FormerFile,
        *,
        changed: Callable[[], None],
        trouble: Callable[[str, str, str | None], None],
    ) -> None:
        self._interfaces = interfaces
        self._flows = flows
        self._resolver = resolver
        self._file = file
        self._changed = changed
        self._trouble = trouble
        self._noted: dict[str, dict[str, str]] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._wake = trio.Event()

    def inform(self, interfaces: Iterable[Interface]) -> None:
        """Tell interfaces what is known of what they are to be advertised as."""
        found = self.found
        for interface in interfaces:
            interface.found = found.get(interface.bind, "")
            host = "" if interface.public is None else interface.public.host
            interface.stands_for = frozenset(self._names.get(host, ()))

    @property
    def found(self) -> dict[str, str]:
        """By the bind of interfaces: the public address that a plugin found."""
        return {bind: at for noted in self._noted.values() for bind, at in noted.items()}

    def note(self, plugin: str, found: Mapping[str, str]) -> None:
        """A plugin found the public addresses, by bind; what it found before is forgotten.

        Raises ValueError for what is no address that peers can send to: it would stand in messages.
        """
        noted = {bind: found_address(at) for bind, at in found.items()}
        if noted != self._noted.get(plugin):
            self._noted[plugin] = noted
            self.apply()

    def forget(self, kept: Collection[str]) -> None:
        """What plugins found that are not among these any more is not known any more."""
        self._noted = {name: found for name, found in self._noted.items() if name in kept}

    def addresses_of(self, host: str) -> tuple[str, ...]:
        """What a public address of the configuration stands for, as far as it is known now."""
        if host == AUTO:
            return tuple(dict.fromkeys(self.found.values()))
        if parse_address(host) is not None:
            return (host,)
        return self._names.get(host, ())

    def apply(self) -> None:
        """Let what is known hold for all interfaces, and for the flows that are open."""
        self.inform(self._interfaces.all)
        moved = self._interfaces.renew()
        for flow in self._flows if moved else ():
            before = moved.get(flow.interface)
            if before:
                flow.via_head = flow.via_head.replace(before, flow.interface.sent_by, 1)
                # A router that has got another address has forgotten what went through the old one.
                flow.doubt()
        self._changed()
        self._wake.set()

    async def run(self) -> None:
        """Look names up again and again, and keep the former addresses over a restart."""
        while True:
            self._wake = trio.Event()
            if await self._look_up():
                self.apply()
            await self.keep()
            with trio.move_on_after(LOOK):
                await self._wake.wait()

    async def keep(self) -> None:
        """Write down where peers saw us before, if that is something new."""
        await self._file.write(self._interfaces.former)

    async def _look_up(self) -> bool:
        """Ask the DNS for every name that is in use; whether one stands for something else."""
        names = {
            interface.public.host
            for interface in self._interfaces.all
            if interface.public is not None
            and interface.public.host != AUTO
            and parse_address(interface.public.host) is None
        }
        moved = False
        for name in self._names.keys() - names:
            del self._names[name]
            self._trouble(TROUBLE, name, None)
        for name in sorted(names):
            before = self._names.get(name)
            try:
                now = await self._resolver.addresses(name)
            except ResolveError as error:
                # What it stood for stays ours: peers may have asked before the DNS failed.
                self._trouble(TROUBLE, name, f"the public address {name}: {error.text}")
                self._names.setdefault(name, ())
                continue
            self._trouble(TROUBLE, name, "")
            if before is None or set(before) != set(now):
                moved = True
                log.info(
                    "the public address %s stands for %s%s",
                    name,
                    ", ".join(now),
                    f" in place of {', '.join(before)}" if before else "",
                )
                self._names[name] = now
        return moved
