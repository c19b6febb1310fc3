"""The pages of docs/, as they are shown offline: by ``sipx help TOPIC`` and the control API."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

LONGEST_QUERY: Final = 100
MOST_HITS: Final = 50
_PER_PAGE: Final = 5
_SHOWN: Final = 200
"""Characters of a line that are shown of a hit."""


class Page(NamedTuple):
    """One page. ``summary`` is its first paragraph, in one line."""

    topic: str
    title: str
    summary: str


class Hit(NamedTuple):
    """A line that has all words that were looked for; ``heading`` is what it stands under."""

    topic: str
    title: str
    heading: str
    text: str


def documentation() -> Path:
    """The directory of the documentation: in the wheel, else of this checkout."""
    inside = Path(__file__).parent / "docs"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "docs"


def pages() -> list[Page]:
    """All pages, the index first, then by title; none where they were not installed."""
    found = [_page(path) for path in sorted(documentation().glob("*.md"))]
    return sorted(found, key=lambda page: (page.topic != "index", page.title.lower()))


def text_of(topic: str) -> str:
    """The Markdown of a page. Raises KeyError for a name that is none of ``pages``."""
    for path in documentation().glob("*.md"):
        if path.stem == topic:  # a topic is compared, and never made a path
            return path.read_text(encoding="utf-8")
    raise KeyError(topic)


def search(query: str) -> list[Hit]:
    """Lines with all words of a query, in any case; pages that are called so come first."""
    words = query.lower().split()
    if not words:
        return []
    hits: list[Hit] = []
    for page in pages():
        found = list(_lines(page, words))
        named = all(word in f"{page.topic} {page.title}".lower() for word in words)
        if named and not found:
            found = [Hit(page.topic, page.title, page.title, page.summary)]
        hits = [*found[:_PER_PAGE], *hits] if named else [*hits, *found[:_PER_PAGE]]
    return hits[:MOST_HITS]


def _page(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    blocks = [block.strip() for block in text.split("\n\n") if block.strip()]
    title = blocks[0].lstrip("# ") if blocks and blocks[0].startswith("# ") else path.stem
    prose = [block for block in blocks if block[:1] not in ("#", "|", "`", "!", "<")]
    return Page(path.stem, title, " ".join(prose[0].split()) if prose else "")


def _lines(page: Page, words: list[str]) -> list[Hit]:
    heading, found, fenced = page.title, [], False
    for line in text_of(page.topic).splitlines():
        if line.startswith("```"):
            fenced = not fenced
            continue
        if line.startswith("#") and not fenced:
            heading = line.lstrip("# ")
        lowered = line.lower()
        if all(word in lowered for word in words):
            found.append(Hit(page.topic, page.title, heading, _around(line, words[0])))
    return found


def _around(line: str, word: str) -> str:
    """A line, or what is around a word in it where it is long."""
    text = line.strip().strip("|").strip()
    if len(text) <= _SHOWN:
        return text
    start = max(0, text.lower().find(word) - _SHOWN // 2)
    piece = text[start : start + _SHOWN]
    return ("... " if start else "") + piece + ("" if start + _SHOWN >= len(text) else " ...")
