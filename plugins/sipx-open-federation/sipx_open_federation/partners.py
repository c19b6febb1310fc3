"""Who may be federated with, and what proves each of them: [open-federation] with its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx import DomainSet, DomainTable, EkuPolicy, Partner
from sipx_open_federation.config import OWN_TRUST, PartnerConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx_open_federation.config import OpenFederationConfig

SUFFIX: Final = " (discovered)"
"""Behind the domain in the name of a partner, so that no static route is called the same."""
_MOST: Final = 4096
_NOTHING_SAID: Final = PartnerConfig()


def name_of(domain: bytes) -> str:
    """What a discovered partner is called: as Partner, Sender and Target, and in troubles."""
    return domain.decode() + SUFFIX


def is_discovered(name: str) -> bool:
    """Whether a name is that of a discovered partner."""
    return name.endswith(SUFFIX)


class Partners:
    """Answers about domains, in canonical form. ``own`` are the domains served here.

    ``blocks`` tells whether any domain is blocked at all.
    """

    def __init__(self, config: OpenFederationConfig, own: frozenset[bytes]) -> None:
        self._config = config
        self._own = own
        self._tables = DomainTable(
            {domain: table for domain, table in config.partner.items() if table.enabled}
        )
        self._allow = DomainSet(config.allow)
        self._deny = DomainSet(config.deny)
        self.blocks = bool(config.deny) or any(
            table.enabled and table.blocked for table in config.partner.values()
        )
        self._blocked: dict[bytes, bool] = {}

    def table(self, domain: bytes) -> PartnerConfig:
        """What is different for a domain; a table without words where nothing is."""
        return self._tables.match(domain) or _NOTHING_SAID

    def blocked(self, domain: bytes) -> bool:
        """Whether nothing goes to the domain and nothing is taken from it. Hot."""
        if not self.blocks:
            return False
        try:
            return self._blocked[domain]
        except KeyError:
            if len(self._blocked) >= _MOST:
                self._blocked.clear()
            found = domain not in self._own and (domain in self._deny or self.table(domain).blocked)
            self._blocked[domain] = found
            return found

    def welcome(self, domain: bytes) -> bool:
        """Whether the domain may be discovered: it is in ``allow``, or an allowed partner."""
        return domain in self._allow or self.table(domain).allowed

    def promoted(self, domain: bytes) -> bool:
        """Whether it is an allowed partner: the limits for discovered ones are not for it."""
        return self.table(domain).allowed

    def ports(self, domain: bytes) -> tuple[int, ...]:
        """The ports that its SRV records may name; empty: any."""
        own = self.table(domain).ports
        return self._config.ports if own is None else own

    def partner(self, domain: bytes, srv_targets: Iterable[bytes] = ()) -> Partner:
        """What proves the domain, when its SRV records name these hosts."""
        config, table = self._config, self.table(domain)
        depth = config.suffix_depth
        return Partner(
            name=name_of(domain),
            domain=domain,
            profiles=config.profiles,
            ca=table.ca,
            pins=frozenset(table.pins),
            eku=None if table.eku_policy is None else EkuPolicy(table.eku_policy),
            allow_wildcard=table.allow_wildcard,
            accept_cn=table.accept_cn,
            sni=table.sni,
            certificate=table.certificate or config.certificate,
            srv_targets=frozenset(srv_targets),
            suffix_depth=depth if isinstance(depth, int) else None,
            providers=frozenset(provider.encode() for provider in config.providers),
            discovered=True,
        )

    def listed(self) -> list[Partner]:
        """The partners that a handshake has to know: those with trust of their own, and those that
        may have a certificate which names nobody properly.
        """
        return [
            self.partner(domain.encode())
            for domain, table in self._config.partner.items()
            if table.enabled
            and "*" not in domain
            and any(getattr(table, key) for key in (*OWN_TRUST, "allow_wildcard", "accept_cn"))
        ]
