"""Nonces prove themselves, and each of their counts is good for once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx.sip.nonce import NonceCounts, check_nonce, make_nonce

KEY = b"server key"
NOW = 1_700_000_000


def nonce(made: int = NOW, unique: int = 1) -> bytes:
    return make_nonce(made, KEY, b"realm", b"lan", unique)


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (60, True), (61, False), (-60, True), (-61, False), (2**32, True)]
)
def test_nonce_lives_for_its_lifetime(age: int, good: bool) -> None:
    assert check_nonce(nonce(), NOW + age, 60, KEY, b"realm", b"lan") is good


@pytest.mark.parametrize(
    ("key", "realm", "source"),
    [
        (b"other key", b"realm", b"lan"),
        (KEY, b"other", b"lan"),
        (KEY, b"realm", b"wan"),
        (KEY, b"realm lan", b""),
        (KEY, b"", b"realm lan"),
    ],
)
def test_nonce_is_good_for_one_key_realm_and_source(
    key: bytes, realm: bytes, source: bytes
) -> None:
    assert not check_nonce(nonce(), NOW, 60, key, realm, source)


def test_border_between_realm_and_source_is_signed() -> None:
    made = make_nonce(NOW, KEY, b"a b", b"c", 1)

    assert check_nonce(made, NOW, 60, KEY, b"a b", b"c")
    assert not check_nonce(made, NOW, 60, KEY, b"a", b"b c")


@pytest.mark.parametrize("at", range(56))
def test_no_digit_of_a_nonce_can_be_changed(at: int) -> None:
    good = nonce()
    changed = good[:at] + (b"0" if good[at : at + 1] != b"0" else b"1") + good[at + 1 :]

    assert len(good) == 56
    assert not check_nonce(changed, NOW, 60, KEY, b"realm", b"lan")


@given(st.binary(max_size=80))
def test_what_we_did_not_make_is_not_ours(text: bytes) -> None:
    assert not check_nonce(text, NOW, 60, KEY, b"realm", b"lan")
    assert not check_nonce(nonce() + text[:1], NOW, 60, KEY, b"realm", b"lan") or not text


def test_nonces_of_one_second_differ() -> None:
    assert len({nonce(unique=n) for n in range(100)}) == 100


def test_each_count_is_accepted_once_in_any_order() -> None:
    counts = NonceCounts()

    assert [counts.accept(nonce(), n) for n in (1, 3, 2, 2, 3, 1, 4)] == (
        [True, True, True, False, False, False, True]
    )
    assert counts.accept(nonce(unique=2), 1)


def test_counts_below_the_window_are_refused() -> None:
    counts = NonceCounts()

    assert counts.accept(nonce(), 1000)
    assert counts.accept(nonce(), 1000 - counts.WINDOW + 1)
    assert not counts.accept(nonce(), 1000 - counts.WINDOW)


@pytest.mark.parametrize("count", [0, -1])
def test_counts_begin_at_one(count: int) -> None:
    counts = NonceCounts()

    assert not counts.accept(nonce(), count)
    assert counts.accept(nonce(), 1)
    assert not counts.accept(nonce(), count)


def test_the_highest_count_costs_no_memory() -> None:
    counts = NonceCounts()

    assert [counts.accept(nonce(), n) for n in (1, 0xFFFFFFFF, 0xFFFFFFFE, 1)] == (
        [True, True, True, False]
    )
    assert counts._seen[nonce()][1].bit_length() <= counts.WINDOW


@given(st.lists(st.integers(1, 300), max_size=60))
def test_no_count_is_ever_accepted_twice(sequence: list[int]) -> None:
    counts = NonceCounts()
    accepted = [n for n in sequence if counts.accept(nonce(), n)]

    assert len(accepted) == len(set(accepted))
    if sequence and max(sequence) - min(sequence) < counts.WINDOW:
        assert set(accepted) == set(sequence)


def test_forgotten_nonces_are_refused_and_memory_is_bounded() -> None:
    counts = NonceCounts(size=2)
    first, second, third = (nonce(NOW + n, n) for n in range(3))
    for made in (first, second, third):
        assert counts.accept(made, 1)

    assert len(counts) == 2
    assert not counts.accept(first, 1)
    assert not counts.accept(first, 2)
    assert counts.accept(second, 2)
    assert counts.accept(nonce(NOW + 9), 1)
