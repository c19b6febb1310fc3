"""Keys of a terminal, one by one, by their names."""

from __future__ import annotations

import os
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

_NAMES: Final = {
    "\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down",
    "\x1b[C": "right", "\x1bOC": "right", "\x1b[D": "left", "\x1bOD": "left",
    "\x1b[5~": "pgup", "\x1b[6~": "pgdn",
    "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home", "\x1b[7~": "home",
    "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end", "\x1b[8~": "end",
    "\x1bOP": "f1", "\x1b[11~": "f1", "\x1b[[A": "f1",
    "\x1bOQ": "f2", "\x1b[12~": "f2", "\x1b[[B": "f2", "\x1bOR": "f3", "\x1b[13~": "f3",
    "\x1b[[C": "f3", "\x1b[15~": "f5", "\x1b[[E": "f5", "\x1b[18~": "f7",
    "\r": "enter", "\n": "enter", " ": "space", "\x7f": "backspace", "\x08": "backspace",
    "\x1b": "esc", "\t": "tab", "\x15": "erase",
}  # fmt: skip
_LONGEST: Final = max(map(len, _NAMES))


def named(text: str) -> Iterator[str]:
    """What was pressed, of what a terminal sent: names of keys, and letters as they are."""
    at = 0
    while at < len(text):
        for length in range(min(_LONGEST, len(text) - at), 0, -1):
            found = _NAMES.get(text[at : at + length])
            # Escape alone is a key only where nothing follows that could belong to it.
            if found and (found != "esc" or len(text) - at == 1):
                yield found
                at += length
                break
        else:
            if text[at] == "\x1b":
                at = _behind_sequence(text, at)
            else:
                if text[at].isprintable():
                    yield text[at]
                at += 1


def _behind_sequence(text: str, at: int) -> int:
    """Where an escape sequence that is no key of ours ends."""
    at += 1
    if at < len(text) and text[at] in "[O":
        at += 1
        while at < len(text) and not text[at].isalpha() and text[at] != "~":
            at += 1
    return at + 1


@contextmanager
def unbuffered(fd: int) -> Iterator[None]:
    """Keys arrive as they are pressed, and are not shown; Ctrl-C still ends the program."""
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def pressed(fd: int) -> AsyncGenerator[str, None]:
    """The keys, until the terminal goes away."""
    while True:
        await trio.lowlevel.wait_readable(fd)
        data = os.read(fd, 1024)
        if not data:
            return
        for name in named(data.decode("utf-8", "ignore")):
            yield name
