"""Which tables of plugins name a certificate."""

from __future__ import annotations

from pydantic import Field

from sipx.certificates.users import certificate_users
from sipx.plugin import Config


class Partner(Config):
    certificate: str | None = None


class Lab(Config):
    certificate: str | None = None
    partner: dict[str, Partner] = Field(default_factory=dict)


def test_every_table_that_is_switched_on_counts() -> None:
    there = Partner(certificate="second")
    off = Partner(certificate="third", enabled=False)
    lab = Lab(certificate="main", partner={"a.example": there, "b.example": off})
    other = Lab(certificate="main", enabled=False)
    assert certificate_users({"lab": lab, "other": other, "plain": Config()}) == {
        "main": ("lab",),
        "second": ("lab.partner.a.example",),
    }
