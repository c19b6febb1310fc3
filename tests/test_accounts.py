"""Who may log on: users by name and pattern, and addresses-of-record."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx.accounts import Account, UserSet, address_of_record, pattern_refusal
from sipx.sip.uri import SipUri
from sipx.trust import SenderKind


@pytest.mark.parametrize(
    ("uri", "aor"),
    [
        (b"sip:alice@a.example", b"alice@a.example"),
        (b"sips:Alice@A.example:5061;transport=tls", b"alice@a.example"),
        (b"sip:%61lice@a.example", b"alice@a.example"),
        (b"sip:+4930123@a.example;user=phone", b"+4930123@a.example"),
        (b"sip:a.example", b"a.example"),
        (b"sip:alice:secret@a.example", b"alice@a.example"),
    ],
)
def test_one_person_has_one_address_of_record(uri: bytes, aor: bytes) -> None:
    assert address_of_record(SipUri.parse(uri)) == aor


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("alice", b"alice@a.example", b"alicee@a.example"),
        ("Alice", b"alice@b.example", b"bob@a.example"),
        ("alice@a.example", b"alice@a.example", b"alice@b.example"),
        ("*.berlin", b"anna.berlin@a.example", b"anna.berlin.x@a.example"),
        ("+4930*", b"+49301@a.example", b"49301@a.example"),
        ("a*z", b"abcz@a.example", b"abc@a.example"),
        ("*x*", b"axb@a.example", b"ab@x.example"),
        ("*@b.example", b"anybody@b.example", b"anybody@a.example"),
        ("*", b"anybody@a.example", b"a.example"),
        ("a.b", b"a.b@a.example", b"axb@a.example"),
    ],
)
def test_a_pattern_covers_whom_it_says(pattern: str, inside: bytes, outside: bytes) -> None:
    users = UserSet([pattern])
    assert inside in users
    assert outside not in users
    assert users.pattern_of(inside) == pattern.lower()
    assert users.pattern_of(outside) == ""


@pytest.mark.parametrize(
    "pattern", ["", "a b", "a*b*c*d", "@a.example", "a@", "a@b@c", "a@*.example"]
)
def test_what_is_no_pattern_is_said_in_words(pattern: str) -> None:
    assert pattern_refusal(pattern)
    with pytest.raises(ValueError, match=r"\w"):
        UserSet([pattern])


def test_a_list_that_is_replaced_is_seen_by_all_who_hold_it_and_a_bad_one_is_not() -> None:
    users = UserSet(["alice"])
    account = Account("berlin", SenderKind.UC_SERVER, users)
    users.replace(["bob", "carol@a.example"])
    assert account.may_serve(b"bob@a.example")
    assert not account.may_serve(b"alice@a.example")
    with pytest.raises(ValueError, match="stars"):
        users.replace(["dave", "*a*b*"])
    assert users.patterns == ("bob", "carol@a.example")
    assert users.names == {b"bob", b"carol@a.example"}


def test_a_set_is_replaced_by_another_one() -> None:
    users = UserSet(["old", "o*"])
    users.replace(UserSet(["bob", "*.berlin"]))
    assert users.patterns == ("bob", "*.berlin")
    for aor, among in ((b"bob@a", True), (b"x.berlin@a", True), (b"old@a", False)):
        assert (aor in users) is among
    assert users.pattern_of(b"x.berlin@a") == "*.berlin"
    assert users.pattern_of(b"bob@a") == "bob"
    assert users.pattern_of(b"old@a") == ""


def test_an_escaped_at_sign_borrows_no_name_of_another_domain() -> None:
    users = UserSet(["alice@a.example", "bob"])
    assert address_of_record(SipUri.parse(b"sip:alice%40a.example@b.example")) not in users
    assert address_of_record(SipUri.parse(b"sip:bob%40a.example@b.example")) not in users
    assert address_of_record(SipUri.parse(b"sip:%62ob@b.example")) in users


TEXTS = st.text("ab", max_size=2)


@given(st.lists(TEXTS, min_size=2, max_size=3), st.text("aab@", max_size=8))
def test_a_star_stands_for_any_text_wherever_the_middle_stands(parts: list[str], name: str) -> None:
    plain = ".*".join(parts) + "@a"
    assert (f"{name}@a".encode() in UserSet(["*".join(parts)])) == (
        re.fullmatch(plain, f"{name}@a") is not None
    )


def test_a_long_name_is_looked_through_once() -> None:
    # Tried at every place for every star these would be 10 ** 12 steps, which nobody waits for.
    name = b"a" * 1_000_000
    users = UserSet(["*a*b", "*a*a@b.example", "a*b*"])
    assert name + b"@a.example" not in users
    assert name + b"@b.example" in users


def test_an_account_without_users_may_serve_everybody_and_an_empty_list_nobody() -> None:
    assert Account("any", SenderKind.UC_SERVER).may_serve(b"alice@a.example")
    assert not Account("none", SenderKind.UC_SERVER, UserSet()).may_serve(b"alice@a.example")


@given(st.binary(max_size=60))
def test_nothing_that_is_asked_about_raises(aor: bytes) -> None:
    users = UserSet(["*a*", "+49*", "bob@a.example"])
    assert (aor in users) in (True, False)
    assert b"anybody@a.example" in UserSet(["*"])
