"""Lines of messages, made once for all who follow."""

from __future__ import annotations

import json

import pytest
from sipx_monitor.traffic.lines import MOST, Lines
from sipx_monitor.traffic.showing import Shower

SHOWER = Shower((b"home.example",), "sdp")


def test_a_line_is_made_once_and_is_what_would_be_made_again(recorder):
    recorder.call()
    made = Lines()
    for message in recorder.store.between(1, 99):
        line = made.line(SHOWER, message, viewer=False)
        assert line == SHOWER.summary(message, viewer=False)
        assert made.line(SHOWER, message, viewer=False) is line
        assert json.loads(line.as_json) == line.model_dump(mode="json")
        assert line.as_json is line.as_json


def test_viewers_have_lines_of_their_own(recorder):
    recorder.call()
    made = Lines()
    for message in recorder.store.between(1, 99):
        made.line(SHOWER, message, viewer=False)
        line = made.line(SHOWER, message, viewer=True)
        assert line == SHOWER.summary(message, viewer=True)


@pytest.mark.parametrize(
    ("name", "value"), [("twin", 77), ("peer", "partner"), ("marked", "red"), ("note", "look")]
)
def test_a_message_that_has_changed_has_another_line(recorder, name, value):
    recorder.call()
    made = Lines()
    message = recorder.store.get(1)
    made.line(SHOWER, message, viewer=False)
    setattr(message, name, value)
    assert getattr(made.line(SHOWER, message, viewer=False), name) == value


def test_only_the_newest_are_kept(recorder, lines):
    made = Lines()
    for number in range(MOST + 10):
        message = recorder.add(lines.request("MESSAGE", call=f"c{number}", branch=f"b{number}"))
        made.line(SHOWER, message, viewer=False)
    assert len(made._made) <= MOST
