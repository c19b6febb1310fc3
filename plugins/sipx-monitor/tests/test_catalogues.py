"""Every text of the console stands in every catalogue, and no catalogue has more.

A text is what `t('...')` is called with, and the `title` of a page, a panel or a group, which the
frame translates. It is always a literal, so that this test can read it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

CONSOLE = Path(__file__).parent.parent / "sipx_monitor/console"
LANGUAGES = sorted(path.name for path in (CONSOLE / "locales").glob("*") if path.is_dir())

_STRING = r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\""""
_LITERALS = re.compile(_STRING)
_CALL = re.compile(rf"(?<![\w.$])t\(\s*((?:{_STRING})(?:\s*\+\s*(?:{_STRING}))*)\s*[,)]")
_TITLE = re.compile(rf"\btitle: ({_STRING})")
_TEMPLATE = re.compile(r"(?<![\w.$])t\(\s*`")
_HOLE = re.compile(r"\{\w+\}")
_ESCAPES = {"n": "\n", "t": "\t"}


def sources() -> list[Path]:
    return sorted(path for path in CONSOLE.rglob("*.js") if "vendor" not in path.parts)


def literal(text: str) -> str:
    """What a string of JavaScript (or several with + between them) is."""
    parts = [part[1:-1] for part in _LITERALS.findall(text)]
    return re.sub(
        r"\\(u\{?([0-9a-fA-F]+)\}?|.)",
        lambda m: chr(int(m[2], 16)) if m[2] else _ESCAPES.get(m[1], m[1]),
        "".join(parts),
    )


@cache
def wanted() -> dict[str, str]:
    """Every text, and a file that says it."""
    found: dict[str, str] = {}
    for path in sources():
        text = path.read_text(encoding="utf-8")
        for match in (*_CALL.finditer(text), *_TITLE.finditer(text)):
            found.setdefault(literal(match[1]), path.relative_to(CONSOLE).as_posix())
    return found


@cache
def said() -> frozenset[str]:
    """Every string of the console: a text may stand in a table that is translated elsewhere."""
    return frozenset(
        literal(found)
        for path in sources()
        for found in _LITERALS.findall(path.read_text(encoding="utf-8"))
    )


def helps() -> set[str]:
    """What each key of the configuration means: the page shows it as the server says it."""
    page = CONSOLE.parents[3] / "docs/configuration.md"
    return set(re.findall(r"^\| `\w+` \| .+? \| (.+) \|$", page.read_text(encoding="utf-8"), re.M))


@cache
def catalogue(language: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((CONSOLE / "locales" / language).glob("*.json")):
        found |= json.loads(path.read_text(encoding="utf-8"))
    return found


def test_there_is_german_and_there_are_texts() -> None:
    assert "de" in LANGUAGES
    assert len(wanted()) > 300


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing(language: str) -> None:
    missing = {text: path for text, path in wanted().items() if text not in catalogue(language)}
    assert missing == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_there_that_nothing_says(language: str) -> None:
    assert sorted(catalogue(language).keys() - wanted().keys() - said() - helps()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_places_of_its_text(language: str) -> None:
    wrong = {
        text: translated
        for text, translated in catalogue(language).items()
        if sorted(_HOLE.findall(text)) != sorted(_HOLE.findall(translated))
    }
    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_catalogues_say_the_same_differently(language: str) -> None:
    told: dict[str, str] = {}
    differing = []
    for path in sorted((CONSOLE / "locales" / language).glob("*.json")):
        for text, translated in json.loads(path.read_text(encoding="utf-8")).items():
            if told.setdefault(text, translated) != translated:
                differing.append(text)
    assert differing == []


def test_a_text_is_a_literal() -> None:
    """A template would be a new text for every value."""
    templates = [
        path.relative_to(CONSOLE).as_posix()
        for path in sources()
        if _TEMPLATE.search(path.read_text(encoding="utf-8"))
    ]
    assert templates == []


def test_strings_are_read_as_javascript_reads_them() -> None:
    assert literal(r"'it\'s'") == "it's"
    assert literal(r"""'a "b" ' + "c\u2013" """) == 'a "b" c–'
    assert [m[1] for m in _CALL.finditer("t('a') at('b') x.t('c') t('d', {n}) t(e)")] == [
        "'a'",
        "'d'",
    ]
