"""The documentation, offline."""

from __future__ import annotations

import pytest

from sipx import documentation
from sipx.manual import MOST_HITS, pages, search, text_of


def test_it_is_there():
    assert (documentation() / "index.md").is_file()


def test_every_page_has_a_title_and_a_first_paragraph():
    found = pages()
    assert found[0].topic == "index"
    assert {"nat", "certificates", "trust", "operations"} <= {page.topic for page in found}
    assert all(page.title and page.summary for page in found)
    assert all("\n" not in page.summary for page in found)


def test_a_page_is_its_markdown():
    assert text_of("nat").startswith("# ")


@pytest.mark.parametrize("topic", ["", "../README", "nat.md", "/etc/passwd", "examples/lan", "."])
def test_nothing_but_a_page_is_read(topic):
    with pytest.raises(KeyError):
        text_of(topic)


def test_lines_with_all_words_are_found_under_their_heading():
    hits = search("public_address STUN")
    assert hits
    assert all("public_address" in hit.text.lower() or "..." in hit.text for hit in hits)
    assert all(hit.heading for hit in hits)


def test_a_page_that_is_called_so_comes_first():
    assert search("trust")[0].topic == "trust"


@pytest.mark.parametrize("query", ["", "   ", "no line has this nonsense"])
def test_what_is_not_there_is_not_found(query):
    assert search(query) == []


def test_what_is_everywhere_is_bounded():
    assert len(search("e")) <= MOST_HITS
    assert all(len(hit.text) < 220 for hit in search("the"))
