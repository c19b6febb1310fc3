"""Spacing in order: blanks and blank lines, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipx.config.document import Document
from sipx.config.spacing import spaced

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def tidy(text: str) -> str:
    document = Document.from_text(text)
    spaced(document)
    return document.text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a=1", "a = 1\n"),
        ("  a   =   1   # one  \n", "a = 1   # one\n"),
        ("a = 1# one\n", "a = 1 # one\n"),
        ("\n\n# head\n\n\n\na = 1\n\n\n", "# head\n\na = 1\n"),
        ("a = 1\n[b]\n", "a = 1\n\n[b]\n"),
        ("a = 1\n# about b\n  [b]  # x\nc.d='e'", "a = 1\n\n# about b\n[b]  # x\nc.d = 'e'\n"),
        ("a = [ 1,\n    2 ] \n", "a = [ 1,\n    2 ]\n"),
        ("a = '''\n  b = 1  \n\n\n'''\n", "a = '''\n  b = 1  \n\n\n'''\n"),
        ("a=1\r\n[b]\r\n", "a = 1\r\n\r\n[b]\r\n"),
        ("", ""),
        ("   \n", ""),
    ],
)
def test_the_spacing_is_put_in_order(text, wanted):
    assert tidy(text) == wanted
    assert tidy(wanted) == wanted


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_are_in_order(path):
    text = path.read_text()
    assert tidy(text) == text


LINE = st.sampled_from(
    [
        *("", "  ", "# c", "   # d  ", "kN =1", " kN= [1, # x\n  2]", "kN = { a=1 ,b = 2 }"),
        *("kN = '''\n # \n\n'''  #y", "[tN]", "  [tN]#z"),
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINE, max_size=12))
def test_order_comments_and_values_stay(lines):
    text = "\n".join(line.replace("N", str(number)) for number, line in enumerate(lines))
    new = tidy(text)
    assert tomllib.loads(new) == tomllib.loads(text)
    assert re.sub(r"\s", "", new) == re.sub(r"\s", "", text)
    assert tidy(new) == new
