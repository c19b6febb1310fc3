"""What is left behind when a page is left: nothing that still runs, and nothing that is lost."""

from __future__ import annotations

from playwright.sync_api import expect

from .console import turn_to

# What the browser tells of an element may come a frame later, when another page is there already.
LATE = """(element, name) => element.dispatchEvent(new Event(name))"""


def test_scrolling_that_is_told_after_the_page_was_left_is_no_fault(page):
    for name, place in (
        ("logs", "ol.log-lines"),
        ("config", "textarea.editor-text"),
        ("live", ".live-grid"),
    ):
        left = turn_to(page, name).locator(place).element_handle()
        turn_to(page, "help")
        expect(page.locator(place)).to_have_count(0)
        left.evaluate(LATE, "scroll")
