"""One line per message: what it shows, and that it fits."""

import pytest

from sipx.demo import rows
from sipx.demo.observer import Passage, plain

REQUEST = Passage(
    1e9,
    "alice@home.example",
    "dave@partner.example",
    "MESSAGE",
    0,
    "partner.example",
    ("tcp", "mtls", "tcp"),
    None,
    "Good morning, Dave!",
)
ANSWER = REQUEST._replace(
    source="dave@partner.example",
    target="alice@home.example",
    status=200,
    domain="home.example",
    way=("tcp", "mtls", "tcp"),
    round_trip=0.00191,
    note="",
)


def test_a_request_in_80_columns():
    words = rows.row(REQUEST, 80).plain.split()
    assert words[1:] == ["alice", "→", "dave", "MESSAGE", "partner.example", "tcp→mtls→tcp"]


def test_an_answer_shows_its_code_and_the_round_trip():
    words = rows.row(ANSWER, 80).plain.split()
    assert words[1:] == ["dave", "→", "alice", "200", "MESSAGE", "home.example", "tcp→mtls→tcp",
                         "1.9", "ms"]  # fmt: skip


def test_a_wide_terminal_shows_what_is_said():
    assert rows.row(REQUEST, 120).plain.endswith("Good morning, Dave!")


def test_a_very_wide_terminal_shows_whole_addresses():
    assert "alice@home.example → dave@partner.example" in rows.row(REQUEST, 160).plain


def test_the_proxys_own_answer_comes_from_the_proxy():
    refused = ANSWER._replace(status=403, way=("", "mtls"))
    line = rows.row(refused, 80)
    assert " →mtls " in line.plain
    assert any(span.style == "bold red" for span in line.spans)


@pytest.mark.parametrize("width", [80, 99, 100, 120, 139, 140, 200])
def test_heads_and_rows_fit_and_stand_below_each_other(width):
    head = rows.heads(width).plain
    long = REQUEST._replace(note="so much to say " * 30, source="x" * 300, round_trip=0.5)
    line = rows.row(long, width)
    assert len(head) <= width
    assert line.cell_len <= width
    for word, cell in (("message", "MESSAGE"), ("domain", "partner.example")):
        assert head.index(word) == line.plain.rindex(cell)


def test_the_methods_and_the_classes_of_codes_differ_in_colour():
    styles = {rows.row(REQUEST._replace(method=method), 80).spans[-2].style
              for method in ("SUBSCRIBE", "MESSAGE", "INVITE")}  # fmt: skip
    assert len(styles) == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.00004, "0.0 ms"), (0.9999, "999.9 ms"), (1.034, "1.03 s")],
)
def test_durations(seconds, text):
    assert rows.duration(seconds) == text


def test_nothing_in_a_message_reaches_the_terminal_as_a_command():
    assert plain(b"a\x1b[2Jb\r\n\xff") == "a�[2Jb���"
