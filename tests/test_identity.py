"""C-01: a corpus of certificates, the domains they speak for, and what each profile says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sipx.identity import (
    EkuPolicy,
    Examination,
    Partner,
    by_direct,
    by_hosting,
    by_ms_suffix,
    by_profile,
    by_rfc5922,
    certificate_facts,
    eku_refusal,
    name_refusal,
    proof_of,
    proves,
)
from sipx.testing import Authority

AUTHORITY = Authority()

# The domain that is asked for is partner.example, published by SRV to sip.partner.example and to a
# provider's front end; the static route has the access server edge.partner.example.
DOMAIN = b"partner.example"
SRV = (b"sip.partner.example", b"front.online.provider.example", b"a.b.partner.example")
SUFFIXES = (b".online.provider.example",)
SERVERS = (b"edge.partner.example", DOMAIN)

URI = "sip:partner.example"
# name: (what is in the certificate, its ids, the profiles that say yes)
CORPUS: dict[str, tuple[dict[str, Any], set[str], str]] = {
    "the domain as DNS name": ({"dns": ["partner.example"]}, {"partner.example"}, "rfc5922 direct"),
    "the domain as sip URI": ({"uris": [URI]}, {"partner.example"}, "rfc5922 direct"),
    "upper case": ({"dns": ["PARTNER.Example"]}, {"partner.example"}, "rfc5922 direct"),
    "upper case URI": ({"uris": ["SIP:Partner.EXAMPLE"]}, {"partner.example"}, "rfc5922 direct"),
    "trailing dot": ({"dns": ["partner.example."]}, {"partner.example"}, "rfc5922 direct"),
    "URI hides the DNS names": (
        {"uris": ["sip:other.example"], "dns": ["partner.example"]},
        {"other.example"},
        "",
    ),
    "URI and DNS name agree": (
        {"uris": [URI], "dns": ["partner.example"]},
        {"partner.example"},
        "rfc5922 direct",
    ),
    "several URIs": (
        {"uris": ["sip:other.example", URI]},
        {"other.example", "partner.example"},
        "rfc5922 direct",
    ),
    "URI with a user is a user's": ({"uris": ["sip:bob@partner.example"]}, set(), ""),
    "URI with a user hides the DNS names": (
        {"uris": ["sip:bob@partner.example"], "dns": ["partner.example"]},
        set(),
        "",
    ),
    "URI with a port": ({"uris": ["sip:partner.example:5061"]}, set(), ""),
    "URI with a parameter": ({"uris": ["sip:partner.example;transport=tls"]}, set(), ""),
    "URI with a header": ({"uris": ["sip:partner.example?subject=x"]}, set(), ""),
    "URI with an empty host": ({"uris": ["sip:"]}, set(), ""),
    "sips URI is no identity": (
        {"uris": ["sips:partner.example"], "dns": ["other.example"]},
        {"other.example"},
        "",
    ),
    "web URI leaves the DNS names": (
        {"uris": ["https://other.example/"], "dns": ["partner.example"]},
        {"partner.example"},
        "rfc5922 direct",
    ),
    "several domains": (
        {"dns": ["one.example", "partner.example", "three.example"]},
        {"one.example", "partner.example", "three.example"},
        "rfc5922 direct",
    ),
    "the access server": (
        {"dns": ["edge.partner.example"]},
        {"edge.partner.example"},
        "direct",
    ),
    "the SRV target": ({"dns": ["sip.partner.example"]}, {"sip.partner.example"}, "ms-suffix"),
    "an SRV target two labels below": (
        {"dns": ["a.b.partner.example"]},
        {"a.b.partner.example"},
        "",
    ),
    "below the domain, but no SRV target": (
        {"dns": ["www.partner.example"]},
        {"www.partner.example"},
        "",
    ),
    "the provider's front end": (
        {"dns": ["front.online.provider.example"]},
        {"front.online.provider.example"},
        "hosting",
    ),
    "the provider's other host": (
        {"dns": ["back.online.provider.example"]},
        {"back.online.provider.example"},
        "",
    ),
    "wildcard": ({"dns": ["*.partner.example"]}, set(), ""),
    "wildcard in the middle": ({"dns": ["sip.*.example"]}, set(), ""),
    "part of a label as wildcard": ({"dns": ["s*.partner.example"]}, set(), ""),
    "wildcard beside the name": (
        {"dns": ["*.partner.example", "partner.example"]},
        {"partner.example"},
        "rfc5922 direct",
    ),
    "only a common name": ({"cn": "partner.example", "san": False}, set(), ""),
    "common name beside another SAN": (
        {"cn": "partner.example", "dns": ["other.example"]},
        {"other.example"},
        "",
    ),
    "common name beside an e-mail address": (
        {"cn": "partner.example", "emails": ["bob@partner.example"]},
        set(),
        "",
    ),
    "an IP address": ({"ips": ["192.0.2.1"]}, set(), ""),
    "an IP address as DNS name": ({"dns": ["192.0.2.1"]}, set(), ""),
    "an IP address as URI": ({"uris": ["sip:192.0.2.1"]}, set(), ""),
    "suffix trick: another parent": (
        {"dns": ["partner.example.evil.example"]},
        {"partner.example.evil.example"},
        "",
    ),
    "suffix trick: no label boundary": (
        {"dns": ["evilpartner.example"]},
        {"evilpartner.example"},
        "",
    ),
    "suffix trick: the provider without boundary": (
        {"dns": ["evilonline.provider.example"]},
        {"evilonline.provider.example"},
        "",
    ),
    "the parent domain": ({"dns": ["example"]}, {"example"}, ""),
    "an internationalised name": (
        {"dns": ["xn--bcher-kva.example"]},
        {"xn--bcher-kva.example"},
        "",
    ),
    "an underscore": ({"dns": ["_sip.partner.example"]}, set(), ""),
    "spaces": ({"dns": ["partner.example "]}, set(), ""),
    "a NUL byte": ({"dns": ["partner.example\x00.evil.example"]}, set(), ""),
    "an empty label": ({"dns": ["partner..example"]}, set(), ""),
    "an overlong label": ({"cn": "long", "dns": ["p" * 64 + ".example"]}, set(), ""),
    "nothing": ({"cn": "Partner Ltd", "san": False}, set(), ""),
}


def facts(**given: Any) -> Any:
    return certificate_facts(AUTHORITY.leaf(**given).certificate)


@pytest.mark.parametrize("name", CORPUS)
def test_c01_the_corpus(name: str) -> None:
    given, ids, profiles = CORPUS[name]
    certificate = facts(**given)
    assert {one.decode() for one in certificate.ids} == ids
    verdicts = {
        "rfc5922": by_rfc5922(certificate, DOMAIN),
        "direct": by_direct(certificate, SERVERS),
        "ms-suffix": by_ms_suffix(certificate, DOMAIN, SRV),
        "hosting": by_hosting(certificate, SRV, SUFFIXES),
    }
    assert {p for p, proof in verdicts.items() if proof is not None} == set(profiles.split())
    for profile, proof in verdicts.items():
        if proof is not None:
            assert (proof.profile, proof.weakness) == (profile, "")
            assert proof.name in certificate.ids


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 30


@pytest.mark.parametrize(
    ("wildcard", "name", "proven"),
    [
        ("*.partner.example", b"edge.partner.example", True),
        ("*.partner.example", b"a.edge.partner.example", False),
        ("*.partner.example", b"partner.example", False),
        ("*.example", b"partner.example", True),
        ("*", b"example", False),
    ],
)
def test_a_wildcard_matches_one_label_and_only_where_it_is_allowed(
    wildcard: str, name: bytes, proven: bool
) -> None:
    certificate = facts(dns=[wildcard])
    assert by_direct(certificate, [name]) is None
    proof = by_direct(certificate, [name], allow_wildcard=True)
    assert (proof is not None) is proven
    if proof is not None:
        assert wildcard in proof.weakness


def test_a_common_name_counts_only_where_it_is_allowed_and_alone() -> None:
    alone = facts(cn="partner.example", san=False)
    assert by_rfc5922(alone, DOMAIN) is None
    proof = by_rfc5922(alone, DOMAIN, accept_cn=True)
    assert proof is not None
    assert "common name" in proof.weakness
    beside = facts(cn="partner.example", dns=["other.example"])
    assert by_rfc5922(beside, DOMAIN, accept_cn=True) is None


def test_the_depth_below_the_domain() -> None:
    deep = facts(dns=["a.b.partner.example"])
    assert by_ms_suffix(deep, DOMAIN, SRV, depth=1) is None
    assert by_ms_suffix(deep, DOMAIN, SRV, depth=2) is not None
    assert by_ms_suffix(deep, DOMAIN, SRV, depth=None) is not None
    itself = facts(dns=["partner.example"])
    assert by_ms_suffix(itself, DOMAIN, [DOMAIN]) is not None
    assert by_ms_suffix(itself, DOMAIN, SRV) is None, "it is no SRV target"


def test_no_provider_vouches_for_nobody() -> None:
    front = facts(dns=["front.online.provider.example"])
    assert by_hosting(front, SRV, []) is None
    assert by_hosting(front, SRV, [b"", b"."]) is None
    assert by_hosting(front, [], SUFFIXES) is None


# ---------------------------------------------------------------- partners


def test_a_pin_decides_before_any_name() -> None:
    right, wrong = facts(dns=["partner.example"]), facts(dns=["partner.example"])
    partner = Partner("partner.example", DOMAIN, frozenset({DOMAIN}), pins=frozenset({right.spki}))
    assert proves(partner, right) is not None
    assert proves(partner, wrong) is None
    assert "none of the pinned ones" in name_refusal(partner, wrong)
    renamed = replace(right, ids=frozenset())
    assert proves(partner, renamed) is not None


def test_profiles_are_tried_in_order() -> None:
    certificate = facts(dns=["partner.example"])
    partner = Partner("x", DOMAIN, frozenset({DOMAIN}), profiles=("rfc5922", "direct"))
    proof = proves(partner, certificate)
    assert proof is not None
    assert proof.profile == "rfc5922"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dns": ["other.example"]}, "it names other.example, and"),
        ({"cn": "other.example", "san": False}, "only the common name other.example"),
        ({"ips": ["192.0.2.1"]}, "it names no domain"),
        ({"dns": [f"d{n}.example" for n in range(9)]}, "and more"),
    ],
)
def test_the_refusal_says_what_there_is_and_what_was_wanted(
    given: dict[str, Any], said: str
) -> None:
    partner = Partner("partner.example", DOMAIN, frozenset({DOMAIN, b"edge.partner.example"}))
    text = name_refusal(partner, facts(**given))
    assert said in text
    assert "edge.partner.example or partner.example was wanted" in text


FOUND = Partner(
    "partner.example (discovered)",
    DOMAIN,
    profiles=("rfc5922", "ms-suffix", "hosting"),
    srv_targets=frozenset({b"edge.partner.example", b"front.online.provider.example"}),
    providers=frozenset({b"online.provider.example"}),
    discovered=True,
)


@pytest.mark.parametrize(
    ("names", "profile"),
    [
        (["partner.example"], "rfc5922"),
        (["partner.example", "edge.partner.example"], "rfc5922"),
        (["edge.partner.example"], "ms-suffix"),
        (["front.online.provider.example"], "hosting"),
        (["other.partner.example"], None),
        (["other.online.provider.example"], None),
        (["evil.example"], None),
    ],
)
def test_a_discovered_partner_is_proven_by_the_first_profile(
    names: list[str], profile: str | None
) -> None:
    certificate = facts(dns=names)
    proof = proves(FOUND, certificate)
    assert (proof.profile if proof else None) == profile
    believed = Examination(certificate, general=True, partners={})
    assert proof_of(believed, FOUND) == proof
    assert proof_of(replace(believed, general=False), FOUND) is None


def test_one_with_rules_of_its_own_has_to_have_passed_by_these() -> None:
    certificate = facts(dns=["partner.example"])
    own = replace(FOUND, pins=frozenset({certificate.spki}))
    general = Examination(certificate, general=True, partners={})
    assert proof_of(general, own) is None
    vouched = Examination(certificate, general=False, partners={}, vouched=frozenset({FOUND.name}))
    assert proof_of(vouched, own) is not None
    assert proof_of(vouched, FOUND) is None, "whoever has no rules is vouched for by [trust] alone"


@pytest.mark.parametrize(
    ("partner", "names", "said"),
    [
        (FOUND, ["evil.example"], "it names evil.example; wanted was partner.example, or edge"),
        (
            replace(FOUND, srv_targets=frozenset({b"sip.other.example"})),
            ["sip.other.example"],
            "the SRV record names sip.other.example too, but that is neither partner.example nor "
            "directly below it, nor a known hosting provider's",
        ),
        (
            FOUND,
            ["*.partner.example"],
            "*.partner.example is a wildcard, which proves no",
        ),
        (FOUND, ["*.example"], "*.example is a wildcard"),
    ],
)
def test_the_refusal_of_a_discovered_one_says_which_rule_is_in_the_way(
    partner: Partner, names: list[str], said: str
) -> None:
    certificate = facts(dns=names)
    assert proves(partner, certificate) is None
    assert said in name_refusal(partner, certificate)


def test_a_discovered_one_is_the_same_whatever_its_records_name() -> None:
    moved = replace(FOUND, srv_targets=frozenset({b"new.partner.example"}))
    assert moved.key == FOUND.key
    assert moved != FOUND
    configured = replace(FOUND, discovered=False)
    assert replace(configured, srv_targets=moved.srv_targets).key != configured.key
    assert by_profile("rfc5922", FOUND, facts(dns=["partner.example"])) is not None
    with pytest.raises(ValueError, match="no profile 'dane'"):
        by_profile("dane", FOUND, facts(dns=["partner.example"]))


def test_partners_with_equal_settings_have_one_key_and_others_another() -> None:
    one = Partner("partner.example", DOMAIN, frozenset({b"b.example", b"a.example"}))
    same = Partner("partner.example", DOMAIN, frozenset({b"a.example", b"b.example"}))
    assert one == same
    assert one.key == same.key
    changed = [
        replace(one, name="other.example"),
        replace(one, names=frozenset({b"a.example"})),
        replace(one, pins=frozenset({"00"})),
        replace(one, certificate="second"),
        replace(one, verify=False),
        replace(one, eku=EkuPolicy.ANY),
    ]
    assert len({p.key for p in (one, *changed)}) == len(changed) + 1


# ---------------------------------------------------------------- words and usages


def test_a_certificate_is_described_without_acting_on_a_terminal() -> None:
    certificate = facts(cn="evil\x1b[31m\nname" + "x" * 40, dns=["a.example"])
    text = certificate.describe()
    assert "\x1b" not in text
    assert "\n" not in text
    assert "issuer CN=Test CA" in text
    assert f"serial {certificate.serial:x}" in text
    assert "valid 20" in text


def test_dates_are_aware() -> None:
    when = datetime(2026, 11, 1, 12, tzinfo=UTC)
    certificate = facts(dns=["a.example"], not_before=when)
    assert certificate.not_before == when


SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
SIP, ANY, OTHER = "1.3.6.1.5.5.7.3.20", "2.5.29.37.0", "1.3.6.1.5.5.7.3.4"


@pytest.mark.parametrize(
    ("policy", "accepted_as_client", "accepted_as_server"),
    [
        ("strict", {CLIENT}, {SERVER}),
        ("federation", {SERVER, CLIENT, SIP}, {SERVER, CLIENT, SIP}),
        ("sip-only", {SIP, ANY}, {SIP, ANY}),
        ("any", {SERVER, CLIENT, SIP, ANY, OTHER}, {SERVER, CLIENT, SIP, ANY, OTHER}),
    ],
)
def test_c03_policies(
    policy: str, accepted_as_client: set[str], accepted_as_server: set[str]
) -> None:
    for accepting, accepted in ((True, accepted_as_client), (False, accepted_as_server)):
        for usage in (SERVER, CLIENT, SIP, ANY, OTHER):
            why = eku_refusal(EkuPolicy(policy), frozenset({usage}), accepting=accepting)
            assert (why is None) is (usage in accepted), (usage, accepting)
            if why is not None:
                assert policy in why
        assert eku_refusal(EkuPolicy(policy), None, accepting=accepting) is None
    both = frozenset({SERVER, CLIENT})
    assert (eku_refusal(EkuPolicy(policy), both, accepting=True) is None) is (policy != "sip-only")
