"""Messages in lines."""

from __future__ import annotations

import pytest
from sipx_monitor.terminal.monitor_rows import (
    cells,
    class_of,
    clean,
    dialog_widths,
    duration,
    fitted,
    label,
    notes,
    plain,
    style_of,
    widths_for,
)

from .conftest import summary


def test_requests_and_responses():
    assert label(summary()) == "INVITE"
    ringing = summary(status=180, reason="Ringing")
    assert label(ringing) == "180 Ringing (INVITE)"
    assert (class_of(ringing), class_of(summary())) == ("1xx", "request")
    assert label(summary(method="")) == "(empty)"


def test_what_else_is_to_be_said():
    one = summary(
        sdp=True, retransmission=True, malformed=True, rtt=0.0123, marked="red", note="look"
    )
    assert notes(one) == "SDP again malformed 12.3 ms [red] look"
    assert style_of(one) == "bold red"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.0004, "0.4 ms"), (0.5, "500.0 ms"), (3.25, "3.2 s"), (3600, "60 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_what_a_peer_wrote_does_nothing_to_a_terminal():
    assert "\x1b" not in clean("a\x1b[2Jb")
    assert "\n" not in plain(summary(from_uri="sip:a\n\x1b]0;x\x07@b"))


def test_a_plain_line_cuts_nothing():
    long = "sip:" + "x" * 100 + "@example.com"
    assert "x" * 100 in plain(summary(from_uri=long))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 150, 200, 300])
def test_a_fitted_line_has_the_width_of_the_screen(width):
    row = fitted(cells(summary(to_uri="sip:" + "y" * 300)), widths_for(width))
    assert len(row) <= max(width, 38)
    assert "INVITE" in row.plain


def test_the_last_columns_of_dialogs_are_cut():
    row = ("t", "call", "ended", "200", "9", "1 s", "a" * 80, "b" * 80, "c" * 80)
    assert sum(dialog_widths([row], 120)) + 9 <= 120
