"""Which table counts for a domain, and what is made of it."""

from __future__ import annotations

import pytest
from sipx_open_federation.config import OpenFederationConfig
from sipx_open_federation.partners import Partners, is_discovered, name_of

from sipx import EkuPolicy

OWN = frozenset({b"home.example"})
PIN = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def partners(**values):
    return Partners(OpenFederationConfig.model_validate(values), OWN)


@pytest.mark.parametrize(
    ("settings", "blocked"),
    [
        ({}, ()),
        ({"deny": ("a.example",)}, (b"a.example",)),
        ({"deny": ("*.example",)}, (b"a.example", b"x.a.example")),
        ({"deny": ("*",)}, (b"a.example", b"x.a.example", b"other.test")),
        ({"partner": {"a.example": {"blocked": True}}}, (b"a.example",)),
        ({"partner": {"a.example": {"blocked": True, "enabled": False}}}, ()),
        ({"partner": {"*.example": {"blocked": True}, "a.example": {}}}, (b"x.a.example",)),
        ({"deny": ("a.example",), "partner": {"a.example": {}}}, (b"a.example",)),
    ],
)
def test_who_is_blocked(settings, blocked):
    found = partners(**settings)
    asked = (b"home.example", b"a.example", b"x.a.example", b"other.test")
    for _ in range(2):  # the second time from memory
        assert tuple(domain for domain in asked if found.blocked(domain)) == blocked


def test_who_is_welcome():
    found = partners(allow=("*.good.example",), partner={"a.example": {"allowed": True}})
    assert found.welcome(b"x.good.example")
    assert found.welcome(b"a.example")
    assert not found.welcome(b"good.example")
    assert found.promoted(b"a.example")
    assert not found.promoted(b"x.good.example")


def test_the_most_specific_table_counts_and_it_alone():
    found = partners(
        ports=(5061,),
        partner={"*.example": {"ports": (5062,), "sni": "x.test"}, "a.example": {"comment": "us"}},
    )
    assert found.ports(b"b.example") == (5062,)
    assert found.ports(b"a.example") == (5061,)
    assert found.partner(b"a.example").sni is None
    assert found.partner(b"b.example").sni == "x.test"


def test_all_that_is_said_reaches_the_partner(tmp_path):
    found = partners(
        certificate="main",
        suffix_depth="any",
        providers=("lync.example",),
        partner={
            "a.example": {
                "ca": (tmp_path / "ca.crt",),
                "pins": (PIN,),
                "eku_policy": "strict",
                "allow_wildcard": True,
                "accept_cn": True,
                "certificate": "other",
            }
        },
    )
    partner = found.partner(b"a.example", [b"sip.a.example"])
    assert (partner.name, partner.domain) == ("a.example (discovered)", b"a.example")
    assert (partner.eku, partner.certificate) == (EkuPolicy.STRICT, "other")
    assert (partner.pins, partner.allow_wildcard, partner.accept_cn) == ({PIN}, True, True)
    assert (partner.suffix_depth, partner.providers) == (None, {b"lync.example"})
    assert (partner.srv_targets, partner.discovered) == ({b"sip.a.example"}, True)
    other = found.partner(b"b.example")
    assert (other.certificate, other.ca, other.own_trust) == ("main", (), False)
    assert [each.name for each in found.listed()] == ["a.example (discovered)"]


def test_a_discovered_partner_is_called_as_no_route_can_be():
    assert name_of(b"a.example") == "a.example (discovered)"
    assert is_discovered("a.example (discovered)")
    assert not is_discovered("a.example")
