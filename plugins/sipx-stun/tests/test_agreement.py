"""Two runs have to agree before an address is used."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sipx_stun.agreement import Agreement

ONE, TWO, THREE = "203.0.113.1", "203.0.113.2", "2001:db8::3"


def test_the_very_first_address_needs_a_second_run():
    agreement = Agreement()
    assert not agreement.heard(ONE)
    assert (agreement.used, agreement.candidate, agreement.open) == ("", ONE, True)
    assert agreement.heard(ONE)
    assert (agreement.used, agreement.candidate, agreement.open) == (ONE, "", False)


def test_the_same_address_is_no_change():
    agreement = Agreement(used=ONE)
    assert not agreement.heard(ONE)
    assert not agreement.open


def test_the_old_address_stays_until_two_runs_agree():
    agreement = Agreement(used=ONE)
    assert not agreement.heard(TWO)
    assert (agreement.used, agreement.candidate) == (ONE, TWO)
    assert agreement.heard(TWO)
    assert (agreement.used, agreement.candidate) == (TWO, "")


def test_one_answer_that_was_wrong_is_forgotten():
    agreement = Agreement(used=ONE)
    agreement.heard(TWO)
    assert not agreement.heard(ONE)
    assert not agreement.open
    assert not agreement.heard(TWO), "the wrong answer of before confirms nothing"


def test_three_addresses_in_a_row_are_three_candidates():
    agreement = Agreement()
    assert [agreement.heard(each) for each in (ONE, TWO, THREE)] == [False, False, False]
    assert (agreement.used, agreement.candidate, agreement.unsteady) == ("", THREE, 2)
    assert agreement.heard(THREE)
    assert agreement.unsteady == 0


@given(st.lists(st.sampled_from([ONE, TWO, THREE])), st.sampled_from(["", ONE]))
def test_whatever_comes_what_is_used_was_heard_twice_in_a_row(runs, used):
    agreement = Agreement(used=used)
    before = ""
    for public in runs:
        was = agreement.used
        changed = agreement.heard(public)
        assert changed == (agreement.used != was)
        if changed:
            assert agreement.used == public == before
        assert agreement.candidate != agreement.used
        before = public
