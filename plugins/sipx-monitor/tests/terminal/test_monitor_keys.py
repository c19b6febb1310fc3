"""Keys as a terminal sends them."""

from __future__ import annotations

import os
import pty
from contextlib import aclosing

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from sipx_monitor.terminal.monitor_keys import named, pressed, unbuffered


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("jk", ["j", "k"]),
        ("\x1b[A\x1bOB", ["up", "down"]),
        ("\x1b[5~\x1b[6~", ["pgup", "pgdn"]),
        ("\x1b[H\x1b[4~", ["home", "end"]),
        ("\x1bOP\x1b[15~", ["f1", "f5"]),
        ("\r\n \x7f\t", ["enter", "enter", "space", "backspace", "tab"]),
        ("\x1b", ["esc"]),
        ("\x1b[1;5Cx", ["x"]),
        ("é/", ["é", "/"]),
        ("\x00\x01a", ["a"]),
    ],
)
def test_names(sent, keys):
    assert list(named(sent)) == keys


@given(st.text(alphabet="\x1b[O~;19Aab \r"))
def test_anything_can_be_typed(text):
    assert all(key for key in named(text))


async def test_keys_of_a_terminal_arrive_at_once():
    ours, theirs = pty.openpty()
    try:
        with unbuffered(theirs):
            os.write(ours, b"q\x1b[A")
            found = []
            with trio.fail_after(10):
                async with aclosing(pressed(theirs)) as keys:
                    async for key in keys:
                        found.append(key)
                        if len(found) == 2:
                            break
        assert found == ["q", "up"]
    finally:
        os.close(ours)
        os.close(theirs)
