"""Pages of the documentation as HTML: safe, with anchors, and links that stay in the console."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sipx_monitor.web.help import rendered

DOCS = Path(__file__).parents[4] / "docs"


def test_a_page():
    page = rendered(
        "nat",
        "# Public *address*\n\n<!-- methods: begin -->\n## Kinds\n## Kinds\n\n"
        "| a | b |\n|---|--:|\n| 1 | 2 |\n\n[dns](dns.md#names) [here](#kinds) "
        "[out](https://example.com) [code](../sipx/x.py)\n",
    )
    assert page.title == "Public address"
    assert [(h.level, h.anchor) for h in page.toc] == [
        (1, "help-public-address"),
        (2, "help-kinds"),
        (2, "help-kinds-1"),
    ]
    assert 'id="help-kinds-1"' in page.html
    assert 'class="align-right"' in page.html
    assert 'href="#/help?topic=dns&amp;at=help-names"' in page.html
    assert 'href="#/help?topic=nat&amp;at=help-kinds"' in page.html
    assert 'href="https://example.com" target="_blank" rel="noopener noreferrer"' in page.html
    assert 'href="#/help">code' in page.html
    assert "methods" not in page.html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        "![x](javascript:alert(1))",
        "![x](https://evil.example/x.png)",
        "`<b>`",
        "a <b style='x'>c</b>",
    ],
)
def test_nothing_in_a_page_can_do_anything(text):
    html = rendered("x", text).html
    assert set(re.findall(r"<(\w+)", html)) <= {"p", "a", "code", "strong", "em"}
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html


def test_all_of_our_pages():
    pages = sorted(DOCS.glob("*.md"))
    assert pages
    for path in pages:
        page = rendered(path.stem, path.read_text())
        assert page.title
        assert "style=" not in re.sub(r"<code.*?</code>", "", page.html, flags=re.S)


async def test_it_is_a_method(console):
    cookie = await console.log_on("viewer")
    answer = await console.call("monitor.help", {"topic": "nat"}, cookie=cookie)
    assert (answer.status, answer.json["topic"]) == (200, "nat")
    answer = await console.call("monitor.help", {"topic": "../nothing"}, cookie=cookie)
    assert answer.status in (400, 404)
