"""Domains in one spelling, and patterns of domains (SEC-21)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx.domains import MAX_DOMAIN, DomainSet, DomainTable, canonical_domain, canonical_pattern
from sipx.sip.uri import SipUri


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("example.com", b"example.com"),
        (b"EXAMPLE.com.", b"example.com"),
        ("localhost", b"localhost"),
        ("münchen.example", b"xn--mnchen-3ya.example"),
        ("MÜNCHEN.example.", b"xn--mnchen-3ya.example"),
        ("XN--MNCHEN-3YA.example", b"xn--mnchen-3ya.example"),
        ("例え。テスト", b"xn--r8jz45g.xn--zckzah"),
        ("straße.example", b"xn--strae-oqa.example"),
        ("192.0.2.1", b"192.0.2.1"),
        ("１９２.0.2.1", b"192.0.2.1"),
        ("[2001:DB8:0::1]", b"2001:db8::1"),
        ("2001:db8::1", b"2001:db8::1"),
    ],
)
def test_every_spelling_of_a_domain_has_one_canonical_form(written, canonical):
    assert canonical_domain(written) == canonical
    assert canonical_domain(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "nothing between two dots"),
        (".", "nothing between two dots"),
        ("example..com", "nothing between two dots"),
        ("example.com..", "nothing between two dots"),
        ("a" * 64 + ".example", "longer than 63"),
        (".".join(["a" * 60] * 5), "longer than 253"),
        ("x" * 5000, "too long"),
        ("ü" * 5000, "too long"),
        ("ü" * 200 + ".example", "internationalised"),
        ("exam_ple.com", "letters, digits and inner hyphens"),
        ("-a.example", "letters, digits and inner hyphens"),
        ("ex%61mple.com", "letters, digits and inner hyphens"),
        ("alice@example.com", "letters, digits and inner hyphens"),
        ("example.com\n", "letters, digits and inner hyphens"),
        ("example。com/x", "not a domain name|internationalised"),
        ("sip:example.com", "a scheme does not belong"),
        ("example.com:5060", "a port or a scheme"),
        ("fe80::1%eth0", "IPv6"),
        ("127.1", "neither a domain name nor an IP address"),
        ("010.0.0.1", "neither a domain name nor an IP address"),
        ("256.0.0.1", "neither a domain name nor an IP address"),
        ("0x7f.1", "neither a domain name nor an IP address"),
        (b"\xc3\xbc.example", "not ASCII"),
        ("\ud800.example", "internationalised"),
        ("*.example.com", "letters, digits and inner hyphens"),
    ],
)
def test_what_is_no_domain_is_refused_in_words(written, words):
    with pytest.raises(ValueError, match=words):
        canonical_domain(written)


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40)))
def test_any_input_is_a_canonical_domain_or_a_value_error(text):
    try:
        domain = canonical_domain(text)
    except ValueError:
        return
    assert domain.isascii()
    assert domain == domain.lower()
    assert canonical_domain(domain) == domain


@given(st.from_regex(rb"[a-zA-Z0-9.:\[\]-]{1,20}", fullmatch=True))
def test_it_agrees_with_the_host_of_a_sip_uri(host):
    try:
        domain = canonical_domain(host)
    except ValueError:
        return
    bracketed = b"[" + domain + b"]" if b":" in domain else domain
    assert SipUri.parse(b"sip:" + bracketed).host == domain


def test_a_pattern_is_a_domain_all_below_one_or_all():
    assert canonical_pattern("*") == b"*"
    assert canonical_pattern(b"*") == b"*"
    assert canonical_pattern("*.LAB.Example.") == b"*.lab.example"
    assert canonical_pattern(b"*.lab.example") == b"*.lab.example"
    assert canonical_pattern("Example.com") == b"example.com"


@pytest.mark.parametrize("pattern", ["*.", "**", "a.*", "*.*", "*lab.example", "*.192.0.2.1", "*:"])
def test_a_star_elsewhere_or_before_an_address_is_refused(pattern):
    with pytest.raises(ValueError, match="domain"):
        canonical_pattern(pattern)


TABLE = DomainTable(
    {
        "*": "any",
        "*.example": "below example",
        "*.lab.example": "below lab",
        "lab.example": "lab",
        "192.0.2.1": "address",
    }
)


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (b"lab.example", "lab"),
        (b"a.lab.example", "below lab"),
        (b"c.b.a.lab.example", "below lab"),
        (b"xlab.example", "below example"),
        (b"example", "any"),
        (b"localhost", "any"),
        (b"192.0.2.1", "address"),
        (b"192.0.2.2", None),
        (b"2001:db8::1", None),
        (b"::ffff:192.0.2.1", None),
        (b"", None),
    ],
)
def test_the_most_specific_pattern_wins_and_addresses_match_only_themselves(domain, value):
    assert TABLE.match(domain) == value


def test_a_wildcard_does_not_match_its_own_domain():
    assert DomainTable({"*.lab.example": 1}).match(b"lab.example") is None


def test_a_table_without_wildcards_knows_only_what_it_lists():
    table = DomainTable({b"example.com": 0})
    assert table.match(b"example.com") == 0
    assert table.match(b"a.example.com") is None


def test_two_spellings_of_one_pattern_are_refused():
    with pytest.raises(ValueError, match="twice"):
        DomainTable({"*.Example.com": 1, "*.example.com.": 2})


def test_a_table_lists_its_patterns_in_the_order_given():
    assert list(TABLE) == [b"*", b"*.example", b"*.lab.example", b"lab.example", b"192.0.2.1"]
    assert len(TABLE) == 5
    assert dict(TABLE.items())[b"lab.example"] == "lab"


def test_what_is_longer_than_a_domain_name_matches_no_pattern():
    """SEC-19: the walk over the labels is bounded."""
    assert TABLE.match((b"a." * MAX_DOMAIN)[:MAX_DOMAIN]) == "any"
    assert TABLE.match(b"a." * 500_000 + b"lab.example") is None


def test_a_set_holds_what_its_patterns_cover():
    domains = DomainSet(["Example.com", b"*.lab.example", "example.com."])
    assert b"example.com" in domains
    assert b"a.lab.example" in domains
    assert b"lab.example" not in domains
    assert b"other.example" not in domains
    assert "example.com" not in domains
    assert list(domains) == [b"example.com", b"*.lab.example"]
    assert len(domains) == 2
    assert repr(domains) == "DomainSet(['example.com', '*.lab.example'])"


def test_an_empty_set_holds_nothing():
    assert b"example.com" not in DomainSet()
    assert b"" not in DomainSet(["*"])
    assert b"192.0.2.1" not in DomainSet(["*"])


labels = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)


@given(
    st.dictionaries(st.one_of(names, names.map("*.{}".format), st.just("*")), st.integers()), names
)
def test_a_match_is_what_looking_at_every_pattern_finds(values, domain):
    def specificity(pattern):
        if pattern == domain:
            return 1000
        if pattern == "*":
            return 1
        if pattern.startswith("*.") and domain.endswith(pattern[1:]):
            return len(pattern)
        return 0

    best = max(values, key=specificity, default="")
    expected = values[best] if best and specificity(best) else None
    assert DomainTable(values).match(domain.encode()) == expected
