"""What does not work is told once, kept, and told as over."""

from __future__ import annotations

import logging

import pytest

from sipx.troubles import AGAIN, MOST, PASSES, Troubles


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def troubles(clock: Clock, caplog: pytest.LogCaptureFixture) -> Troubles:
    caplog.set_level(logging.INFO, "sipx.trouble")
    return Troubles(clock)


def test_the_same_trouble_is_logged_once_and_counted(troubles, clock, caplog):
    for _ in range(3):
        troubles.note("partner", "away.example", "its certificate has expired")
        clock.now += 1
    assert caplog.messages == ["partner away.example: its certificate has expired"]
    found = troubles.of("partner", "away.example")
    assert (found.times, found.since, found.last) == (3, 100.0, 102.0)


def test_a_trouble_that_lasts_is_logged_again_after_an_hour(troubles, clock, caplog):
    troubles.note("partner", "away.example", "refused")
    clock.now += AGAIN
    troubles.note("partner", "away.example", "refused")
    assert len(caplog.messages) == 2


def test_another_reason_is_news(troubles, caplog):
    troubles.note("interface", "far", "an expired certificate")
    troubles.note("interface", "far", "no certificate")
    assert len(caplog.messages) == 2
    assert troubles.of("interface", "far").times == 1


def test_two_reasons_in_turn_do_not_fill_the_log(troubles, caplog):
    for _ in range(10):
        troubles.note("interface", "far", "one peer")
        troubles.note("interface", "far", "another peer")
    assert len(caplog.messages) == 2


def test_what_works_again_is_said_and_forgotten(troubles, caplog):
    troubles.note("partner", "away.example", "refused")
    troubles.note("partner", "away.example", "")
    assert caplog.messages[-1] == "partner away.example works again"
    assert troubles.of("partner", "away.example") is None
    assert list(troubles) == []


def test_what_always_worked_is_not_worth_a_line(troubles, caplog):
    troubles.note("partner", "away.example", "")
    assert caplog.messages == []


def test_a_trouble_that_comes_back_is_logged_at_once(troubles, caplog):
    for text in ("refused", "", "refused"):
        troubles.note("partner", "away.example", text)
    assert len(caplog.messages) == 3


def test_the_table_is_bounded(troubles):
    for number in range(MOST + 5):
        troubles.note("partner", f"d{number}.example", "refused")
    assert len(list(troubles)) == MOST
    assert troubles.of("partner", "d0.example") is None


def test_what_is_not_there_any_more_is_forgotten_without_a_word(troubles, caplog):
    troubles.note("partner", "away.example", "refused")
    troubles.note("log", "sipx.log", "full", owner="log-rotation")
    caplog.clear()
    troubles.forget(lambda trouble: trouble.owner == "log-rotation")
    assert [trouble.name for trouble in troubles] == ["away.example"]
    assert caplog.messages == []
    troubles.note("log", "sipx.log", "full", owner="log-rotation")
    assert caplog.messages == ["log sipx.log: full"]


def test_what_nobody_needs_any_more_goes_without_a_word(troubles, caplog):
    troubles.note("log file", "sipx.log", "no space left")
    troubles.note("log file", "sipx.log", None)
    troubles.note("log file", "never.log", None)
    assert list(troubles) == []
    assert caplog.messages == ["log file sipx.log: no space left"]


def test_sec_18_the_status_shows_no_secret_of_a_trouble(troubles):
    troubles.note("server", "berlin", "refused password=s3cr3t \x1b[2J of sip:bob:s3cr3t@here")
    text = "refused password=[masked] \\x1b[2J of sip:bob:[masked]@here"
    assert troubles.of("server", "berlin").text == text


def test_what_a_stranger_did_to_an_interface_passes_and_what_a_partner_has_does_not(
    troubles, clock
):
    troubles.note("interface", "far", "no certificate")
    troubles.note("partner", "away.example", "refused")
    clock.now += PASSES
    assert len(list(troubles)) == 2
    clock.now += 1
    assert [trouble.name for trouble in troubles] == ["away.example"]
