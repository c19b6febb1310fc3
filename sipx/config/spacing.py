"""The spacing of a TOML file in order, and nothing else: no key, comment or value moves."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from sipx.config.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.config.document import Document


def spaced(document: Document) -> None:
    """Change a document so that

    - keys, headers and comments begin their lines, and one blank is to either side of ``=``,
    - no line ends in blanks, all end alike, and the last one has a line end,
    - no two blank lines follow each other, none is at the start or the end, and one stands before
      each header and the comments right above it.

    What is inside of values stays, and so do the blanks before a comment that follows a value.
    """
    lines: list[str] = []
    for line, header in _lines(document):
        if header:
            at = len(lines)
            while at and lines[at - 1].startswith("#"):
                at -= 1
            if at and lines[at - 1]:
                lines.insert(at, "")
        if line or (lines and lines[-1]):
            lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    newline = "\r\n" if "\r\n" in document.text else "\n"
    text = "".join(line + newline for line in lines)
    if tomllib.loads(text) != document.values():
        wrong = "its spacing cannot be put in order without changing more"
        raise ConfigError([Problem(str(document.path), None, None, "", wrong)])
    document.retype(text)


def _lines(document: Document) -> Iterator[tuple[str, bool]]:
    """The lines without their ends and in order; a key with its whole value is one. The second is
    whether it is a header.
    """
    text, at = document.text, 0
    for start, value, end in [*document.lines(), (len(text), 0, 0)]:
        first = text.rfind("\n", 0, start) + 1 if end else len(text)
        for line in text[at:first].splitlines():
            tidy = line.strip(" \t\r")
            yield tidy, tidy.startswith("[")
        if not end:
            return
        stop = text.find("\n", end)
        at = len(text) if stop < 0 else stop + 1
        key = text[start:value].rstrip(" \t").removesuffix("=").rstrip(" \t")
        tail = text[end:at].rstrip(" \t\r\n")
        yield f"{key} = {text[value:end]}{' ' if tail.startswith('#') else ''}{tail}", False
