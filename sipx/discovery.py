"""Ways to domains that nobody has configured: the plugins' discoveries, asked and remembered.

Asked only where no plugin has a target for a domain that is not ours, so a static route goes
before discovery in whatever order plugins are listed. What was found is kept until it expires; a
refusal is not kept here: the DNS cache below remembers it for as long as the DNS says.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sipx.cookies import peer_id
from sipx.errors import Refused
from sipx.plugin import Later, Refuse, Targets
from sipx.reasons import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.identity import Partner
    from sipx.plugin import Discovered, Discovery
    from sipx.resolver import Resolver

KEPT: Final = 4096
"""Domains that are remembered; beyond it the one that was found first is forgotten."""
MOST_NAMES: Final = 32
"""SRV targets of one domain, old and new, that the far end of a dialog may prove to be."""


class Discoveries:
    """All discoveries of the plugins, in order. ``now`` is the kernel's clock; ``fault`` is told
    which function of a plugin raised, where, and what.
    """

    def __init__(
        self,
        asked: Iterable[Discovery],
        resolver: Resolver,
        now: Callable[[], float],
        fault: Callable[[Callable[..., object], str, Exception], None],
    ) -> None:
        self._asked = tuple(asked)
        self._resolver = resolver
        self._now = now
        self._fault = fault
        self._found: OrderedDict[bytes, Discovered] = OrderedDict()
        self._sources: dict[bytes, Callable[..., Any]] = {}
        """Whose answer each of them is."""
        self._flushes = resolver.flushes
        self._met: OrderedDict[bytes, Partner] = OrderedDict()
        self._doubted: set[bytes] = set()
        """Those of them that were met before the last reload, by other settings."""

    def __bool__(self) -> bool:
        """Whether there is any: without one federation is off."""
        return bool(self._asked)

    @property
    def all(self) -> tuple[Discovery, ...]:
        """In the order of asking."""
        return self._asked

    def ask(self, asked: Iterable[Discovery]) -> None:
        """These are the discoveries from now on; dialogs with those that were met go on, and what
        these have to prove is asked for again.
        """
        self._asked = tuple(asked)
        self._forget()
        self._doubted = set(self._met)

    def targets(self, domain: bytes) -> Targets | Later[Targets | Refuse | None]:
        """Where a domain is served, if that is known; else it has to be waited for."""
        if self._flushes != self._resolver.flushes:
            self._flushes = self._resolver.flushes
            self._forget()
        known = self._found.get(domain)
        if known is not None and known.expires > self._now():
            return known.targets
        return Later(lambda: self._discover(domain), deadline=30.0)

    def _forget(self) -> None:
        self._found.clear()
        self._sources.clear()

    def source(self, domain: bytes) -> Callable[..., Any] | None:
        """Whose answer for a domain is the one that is kept."""
        return self._sources.get(domain)

    async def meet(self, domain: bytes) -> Refuse | None:
        """Find out what a domain has to prove (`partner`), or why that cannot be known now."""
        try:
            found = await self._discover(domain)
        except Refused as refusal:
            return Refuse(refusal.status, refusal.why)
        return found if isinstance(found, Refuse) else None

    async def _discover(self, domain: bytes) -> Targets | Refuse | None:
        asked = self._asked
        for discovery in asked:
            try:
                found = await discovery.discover(domain)
            except Exception as error:
                self._fault(discovery.discover, "discover", error)
                raise Refused(500, reason=Refusal.PLUGIN_FAULT) from error
            if asked is not self._asked:
                # A reload came in between: what the settings before it have found is void.
                return await self._discover(domain)
            if isinstance(found, Refuse):
                return found
            if found is not None:
                self._keep(domain, found)
                self._sources[domain] = discovery.discover
                return found.targets
        return None

    def _keep(self, domain: bytes, found: Discovered) -> None:
        self._found.pop(domain, None)
        if len(self._found) >= KEPT:
            self._sources.pop(self._found.popitem(last=False)[0], None)
        self._found[domain] = found
        for group in found.targets.groups:
            for target in group:
                if target.partner is not None:
                    self.met(target.partner)

    # ------------------------------------------------------------ dialogs

    def met(self, partner: Partner) -> None:
        """Requests within dialogs with this partner may have to reach it.

        What its domain's records named before holds for them, too: a dialog outlives a record.
        """
        key = peer_id(partner.name)
        known = self._met.pop(key, None)
        if known is not None and known.srv_targets != partner.srv_targets:
            both = known.srv_targets | partner.srv_targets
            if len(both) <= MOST_NAMES:
                partner = replace(partner, srv_targets=both)
        elif len(self._met) >= KEPT:
            self._met.popitem(last=False)
        self._met[key] = partner
        self._doubted.discard(key)

    def partner(self, peer: bytes) -> Partner | None:
        """Who is at the end of a dialog, by what its cookie calls him (`peer_id`)."""
        return self._met.get(peer)

    def is_known(self, peer: bytes, domain: bytes) -> bool:
        """Whether all is known that this peer may prove to be, without asking anybody.

        Of one that has proven its own domain alone the records may name other hosts.
        """
        met = self._met.get(peer)
        if met is not None and met.srv_targets and peer not in self._doubted:
            return True
        found = self._found.get(domain)
        if found is None or found.expires <= self._now():
            return False
        self._keep(domain, found)
        return True
