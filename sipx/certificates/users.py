"""Which tables of plugins name a certificate: any key ``certificate``, at any depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipx.plugin import Config

KEY: Final = "certificate"


def certificate_users(plugins: Mapping[str, Config]) -> dict[str, tuple[str, ...]]:
    """The tables that are switched on, by the name of the certificate: ``open-federation``,
    ``static-routes.route.partner.example``.
    """
    found: dict[str, list[str]] = {}
    for name, config in plugins.items():
        for certificate, table in _named(config.model_dump(), name):
            found.setdefault(certificate, []).append(table)
    return {certificate: tuple(tables) for certificate, tables in found.items()}


def _named(table: Mapping[str, object], place: str) -> Iterator[tuple[str, str]]:
    if table.get("enabled") is False:
        return
    for key, value in table.items():
        if key == KEY and isinstance(value, str):
            yield value, place
        elif isinstance(value, dict):
            yield from _named(value, f"{place}.{key}")
