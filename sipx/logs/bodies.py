"""Bodies of messages in the words of an exception: a plugin that fails may quote what it was given.

No pattern knows a chat text. But the frames that an exception went through still hold the message
that was being handled, and with it the body that must not be shown; or they hold the body itself,
as bytes with spaces in them, which names, addresses and tokens have not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from sipx.sip.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

NO_BODY: Final = "[the body is not shown]"
SHORTEST: Final = 4
"""Characters of a line of a body that is looked for; the body as a whole is, however short."""
MOST_FRAMES: Final = 100
MOST_WORK: Final = 20_000_000
"""Characters that are compared; beyond that no word of the exception is shown."""


def bodies_near(error: BaseException) -> tuple[bytes, ...]:
    """The bodies of the messages that an exception, and those behind it, had to do with."""
    found: dict[bytes, None] = {}
    for one in _all(error):
        for value in _values(one.__traceback__):
            # By its type, as objects may say anything of their class, or raise.
            if issubclass(type(value), Message):
                found[bytes(cast("Message", value).body)] = None
            elif type(value) is bytes and _is_text(value):
                found[value] = None
    return tuple(found)


def without_bodies(text: str, bodies: tuple[bytes, ...]) -> str | None:
    """``text`` without these bodies and their lines, as text or as ``repr`` shows them.

    None: there is so much of both that it would take too long to look.
    """
    sought = {piece for body in bodies for piece in _pieces(body)}
    if len(sought) * len(text) > MOST_WORK:
        return None
    for piece in sorted((p for p in sought if p in text), key=len, reverse=True):
        # A short one is a word of its own, or it would be found in any other.
        pattern = rf"(?<!\w){re.escape(piece)}(?!\w)" if len(piece) < SHORTEST else re.escape(piece)
        text = re.sub(pattern, NO_BODY, text)
    return text


def _is_text(value: bytes) -> bool:
    return len(value.split(None, 1)) > 1


def _all(error: BaseException) -> list[BaseException]:
    """An exception with its causes, contexts and members."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < MOST_FRAMES:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += (one.__cause__, one.__context__)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return found


def _values(trace: TracebackType | None) -> Iterator[object]:
    """What the frames hold, and what stands in their tuples and lists."""
    frames = 0
    while trace is not None and frames < MOST_FRAMES:
        frames += 1
        for value in tuple(trace.tb_frame.f_locals.values()):
            yield value
            if type(value) in (tuple, list):
                yield from value[:MOST_FRAMES]
        trace = trace.tb_next


def _pieces(body: bytes) -> Iterator[str]:
    """The body, and its lines, in the forms in which they may be quoted."""
    yield from _forms(body.strip())
    lines = body.splitlines()
    if len(lines) > 1:
        for line in lines:
            if len(line.strip()) >= SHORTEST:
                yield from _forms(line.strip())


def _forms(value: bytes) -> Iterator[str]:
    if value:
        for how in ("replace", "backslashreplace"):
            text = value.decode("utf-8", how)
            yield text
            yield repr(text)[1:-1]
        yield repr(value)[2:-1]
        yield value.decode("latin-1")
