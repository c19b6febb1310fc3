"""Whether the SRV records of our domains lead to the address that the world sees us at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipx import here_of, parse_address, srv_matches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sipx import DomainMatch, Proxy


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The records of a domain lead to no address of ours.

    ``unknown``: the DNS could not be asked, or there is no record: nothing is to be said.
    """

    domain: str
    targets: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    unknown: bool = False

    @property
    def text(self) -> str:
        """In words, "" where the records are right."""
        if not self.addresses:
            return ""
        names = ", ".join(self.targets)
        return (
            f"the SRV record of {self.domain} leads to {', '.join(self.addresses)} ({names}), and "
            f"the public address is {', '.join(self.public)}"
        )

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return (
            f"let {' and '.join(self.targets)} lead to {' or '.join(self.public)}; if partners "
            "come in at the other address, write that into wan.public_address"
        )


async def compared(proxy: Proxy, found: Iterable[str]) -> list[Elsewhere]:
    """Look up the records of each of our domains, and compare them with the addresses ``found``."""
    status = proxy.status()
    public = [str(address) for each in found if (address := parse_address(each)) is not None]
    matches = await srv_matches(
        proxy.resolver,
        sorted(domain.decode() for domain in proxy.domains),
        None,
        here_of(status.interfaces, proxy.config.wan, status.public),
    )
    ours = {*public, *status.public.addresses}
    return [_of_domain(domain, public, ours) for domain in matches.domains]


def _of_domain(match: DomainMatch, public: list[str], ours: Collection[str]) -> Elsewhere:
    """Of several places of one domain one that is here is enough: the others may be other sites."""
    places = list(_places(match))
    families = {":" in address for address in public}
    told = [place for place in places if (":" in place[1]) in families]
    if not told:
        return Elsewhere(match.domain, unknown=True)
    if any(mine or address in ours for _, address, mine in places):
        return Elsewhere(match.domain)
    return Elsewhere(
        match.domain,
        tuple(dict.fromkeys(target for target, _, _ in told)),
        tuple(dict.fromkeys(address for _, address, _ in told)),
        tuple(dict.fromkeys(public)),
    )


def _places(match: DomainMatch) -> Iterator[tuple[str, str, bool]]:
    for one in match.matches:
        for place in one.addresses:
            yield one.record.target, place.address, place.ours
