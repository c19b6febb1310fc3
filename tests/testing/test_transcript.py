"""Transcripts see what is too much, too early, or missing: else their tests would prove nothing."""

import pytest

from sipx.sip.transaction import TRYING
from sipx.testing.transcript import Transcript


def started():
    return Transcript.client("MESSAGE").starts().sends("MESSAGE")


def test_a_missing_message_is_seen():
    with pytest.raises(AssertionError, match="MESSAGE is not sent at 0 s"):
        started().sends("MESSAGE")


def test_another_message_is_seen():
    with pytest.raises(AssertionError, match="MESSAGE instead of INVITE"):
        Transcript.client("MESSAGE").starts().sends("INVITE")


def test_what_is_sent_too_early_is_seen():
    with pytest.raises(AssertionError, match=r"sent without being asked for at 0\.5 s"):
        started().after(0.6)


def test_what_is_sent_too_late_is_seen():
    with pytest.raises(AssertionError, match=r"MESSAGE is not sent at 0\.4 s"):
        started().after(0.4).sends("MESSAGE")


def test_what_the_user_is_told_is_seen():
    with pytest.raises(AssertionError, match="its user is told"):
        started().receives(200).nothing()
    with pytest.raises(AssertionError, match="its user is told 200 instead of 404"):
        started().receives(200).tells(404)
    with pytest.raises(AssertionError, match="its user is not told of timeout"):
        started().tells("timeout")


def test_what_is_left_behind_is_seen():
    with pytest.raises(AssertionError):
        started().is_gone()


def test_the_state_is_seen():
    started().is_in(TRYING)
    with pytest.raises(AssertionError):
        started().receives(100).tells(100).is_in(TRYING)
