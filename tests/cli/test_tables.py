"""Tables that fit, of cells that do nothing."""

from __future__ import annotations

import pytest

from sipx.cli.live import lasting
from sipx.cli.tables import facts, table

ROWS = [("a", "x" * 30, 7), ("bb", "y", 1234)]


def test_a_column_is_as_wide_as_its_widest_cell():
    assert table(("name", "text", "n"), ROWS, right=("n",)) == [
        "name  text" + " " * 31 + "n",
        "a     " + "x" * 30 + "     7",
        "bb    y" + " " * 31 + "1234",
    ]


def test_the_widest_column_is_cut_where_the_terminal_is_narrow():
    lines = table(("name", "text", "n"), ROWS, 24)
    assert max(map(len, lines)) == 24
    assert lines[1].split() == ["a", "x" * 11 + "…", "7"]


def test_no_column_is_cut_to_nothing():
    lines = table(("name", "text", "n"), ROWS, 5)
    assert lines[1].split()[1] == "x" * 7 + "…"


def test_a_head_alone_is_a_table():
    assert table(("name", "text"), []) == ["name  text"]


def test_cells_are_escaped():
    assert table(("name",), [("a\x1b[2J\nb",)])[1] == "a\\x1b[2J\\nb"
    assert facts([("name", "\x07")]) == ["name  \\x07"]


def test_facts_leave_out_what_is_empty():
    assert facts([("a", 1), ("long", "x"), ("no", ""), ("none", None)]) == ["a     1", "long  x"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (600, "10 min"),
        (7200, "2 h"),
        (3600 * 3 + 120, "3 h 2 min"),
        (86400 * 3 + 7200, "3 days 2 h"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(seconds, said):
    assert lasting(seconds) == said
