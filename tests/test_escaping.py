"""What others write does nothing to a terminal."""

from __future__ import annotations

import json

import pytest

from sipx.escaping import escaped, json_safe

WORST = "a\x00\x1b[2J\x7f\x9b31m\u2028\u202e\u2066é\u4e2d"


def test_nothing_that_acts_is_left():
    assert escaped(WORST) == "a\\x00\\x1b[2J\\x7f\\x9b31m\\u2028\\u202e\\u2066é\u4e2d"


def test_line_ends_stay_where_they_are_wanted():
    assert escaped("a\nb\r") == "a\\nb\\r"
    assert escaped("a\nb\r", lines=True) == "a\nb\\r"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_stays_the_same_value(indent):
    text = json_safe(json.dumps({"key": WORST}, ensure_ascii=False, indent=indent))
    assert json.loads(text) == {"key": WORST}
    assert all(c == "\n" or c.isprintable() for c in text)
