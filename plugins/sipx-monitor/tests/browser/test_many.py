"""Much of everything: hundreds of routes, ten thousand messages, and little room to show them."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from .console import PAGES, changed, draft_bar, save, turn, turn_to
from .proxy import Sipx
from .site import write_site

ROUTES, MESSAGES = 400, 10_000
ROUTE = """\
[static-routes.route."partner{0:04}.example"]
server = "192.0.2.{1}"
protocol = "udp"

"""
MESSAGE = """\
MESSAGE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-{0}
From: <sip:user{0}@partner.example>;tag=a{0}
To: <sip:bob@example.com>
Call-ID: many-{0}@192.0.2.9
CSeq: 1 MESSAGE
Max-Forwards: 70
Content-Length: 0

"""
ZOOMED = {"width": 640, "height": 400}
"""What is left of 1280x800 where somebody has set the browser to 200 %."""

# Texts that stand beyond the edge of the window, or of a box that cannot be scrolled there.
CUT_OFF = """() => {
  const wide = innerWidth + 1;
  const shown = (e) => e.checkVisibility({visibilityProperty: true});
  const reached = (e) => {
    for (let at = e.parentElement; at; at = at.parentElement) {
      const {overflowX, textOverflow, position} = getComputedStyle(at);
      if (['auto', 'scroll'].includes(overflowX) || textOverflow === 'ellipsis') return true;
      if (overflowX === 'hidden' && at.getBoundingClientRect().right <= wide) return false;
    }
    return false;
  };
  return [...document.querySelectorAll('body *')]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .filter((e) => shown(e) && e.getBoundingClientRect().right > wide && !reached(e))
    .map((e) => `${e.tagName} ${e.textContent.trim().slice(0, 40)}`);
}"""


@pytest.fixture(scope="module")
def sipx(browser, people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    text = write_site(folder, people)
    routes = "".join(ROUTE.format(n, n % 250 + 1) for n in range(ROUTES))
    proxy = Sipx(folder, text.replace("[open-federation]", f"{routes}[open-federation]"))
    with proxy.running():
        people.through(proxy.place("office"))
        yield proxy


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """A file with many messages, as the export writes them."""
    path = tmp_path_factory.mktemp("captures") / "many.jsonl"
    way = {"interface": "office", "transport": "udp", "local": "192.0.2.1:5060"}
    with path.open("w", encoding="utf-8") as file:
        for n in range(MESSAGES):
            head = MESSAGE.format(n).replace("\n", "\r\n")
            told = {**way, "time": 1.8e9 + n / 100, "direction": "in", "remote": "192.0.2.9:5060"}
            file.write(json.dumps({**told, "peer": "", "head": head}) + "\n")
    return path


def test_hundreds_of_routes_are_turned_page_by_page(page, sipx, original):
    main = turn_to(page, "routes")
    table = main.get_by_role("table", name="Static routes")
    pager = main.get_by_role("group", name="Rows of Static routes")
    expect(pager.get_by_role("status")).to_have_text("1 to 100 of 402")
    expect(table.get_by_role("row")).to_have_count(101)
    expect(table).to_have_attribute("aria-rowcount", "403")
    expect(pager.get_by_role("button", name="Previous")).to_be_disabled()
    pager.get_by_role("button", name="Next").click()
    expect(pager.get_by_role("status")).to_have_text("101 to 200 of 402")
    expect(table.get_by_role("row").nth(1)).to_have_attribute("aria-rowindex", "102")
    # The order and the filter are about all of them, and lead back to the first page.
    table.get_by_role("button", name="Domain").click()
    table.get_by_role("button", name="Domain").click()
    expect(pager.get_by_role("status")).to_have_text("1 to 100 of 402")
    expect(table.get_by_role("row").nth(1)).to_contain_text("partner0399.example")
    # So are the arrows.
    table.get_by_role("row").nth(1).focus()
    page.keyboard.press("End")
    expect(table.get_by_role("row").last).to_be_focused()
    expect(table.get_by_role("row").last).to_contain_text("example.com")
    expect(pager.get_by_role("button", name="Next")).to_be_disabled()
    page.keyboard.press("Home")
    expect(table.get_by_role("row").nth(1)).to_be_focused()
    for _ in range(5):
        page.keyboard.press("PageDown")
    expect(table.get_by_role("row").nth(1)).to_be_focused()
    expect(pager.get_by_role("status")).to_have_text("101 to 200 of 402")
    main.get_by_role("searchbox", name="Filter Static routes").fill("partner03")
    expect(pager).to_have_count(0)  # one page is enough for these
    expect(table.get_by_role("row")).to_have_count(101)
    turn(table.get_by_role("switch", name="Activate partner0377.example"), on=False)
    save(page)
    assert changed(original, sipx.text) == ["+enabled = false"]
    row = table.get_by_role("row").filter(has_text="partner0377.example")
    expect(row).to_contain_text("Off")


def test_ten_thousand_messages_in_live(page, capture):
    main = turn_to(page, "live")
    page.get_by_label("A saved capture").set_input_files(capture)
    expect(page.get_by_role("note").filter(has_text="Opened capture")).to_contain_text("many.jsonl")
    grid = page.get_by_role("grid", name="Messages")
    expect(grid).to_have_attribute("aria-rowcount", str(MESSAGES + 1))
    expect(grid.get_by_role("row").last).to_contain_text("user9999@partner.example")
    assert grid.get_by_role("row").count() < 100  # what is seen, and little more
    grid.focus()
    page.keyboard.press("g")
    expect(grid.get_by_role("row").nth(1)).to_contain_text("user0@partner.example")
    box = page.get_by_role("combobox", name="Filter")
    box.fill("from:user4711@partner.example")
    box.press("Enter")
    expect(grid.get_by_role("row").nth(1)).to_contain_text("user4711@partner.example")
    expect(grid).to_have_attribute("aria-rowcount", "2")
    main.get_by_role("button", name="Close the capture").click()


def cut_off(page):
    """What cannot be seen whole, and how much wider than the window the page is."""
    wide = page.evaluate("document.documentElement.scrollWidth") - ZOOMED["width"]
    return page.evaluate(CUT_OFF) + ([f"{wide} px to the right"] if wide > 0 else [])


def test_at_two_hundred_per_cent_nothing_is_cut_off(sipx, new_page, people):
    people.call()
    page = new_page(viewport=ZOOMED, device_scale_factor=2)
    page.goto(sipx.link())
    page.get_by_role("main").get_by_role("heading", level=1).wait_for()
    found = {}
    for name in PAGES:
        page.evaluate("name => { location.hash = `#/${name}`; }", name)
        expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("main").locator(".busy")).to_have_count(0)
        expect(page).to_have_title(re.compile(PAGES[name]))
        found[name] = cut_off(page)
    page.evaluate("location.hash = '#/wan'")
    turn(page.get_by_label("Use other public address"))
    expect(draft_bar(page).get_by_role("button", name="Save and apply")).to_be_in_viewport(ratio=1)
    found["draft"] = cut_off(page)
    draft_bar(page).get_by_role("button", name="Show diff").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("+use_public_address = true")
    expect(dialog.get_by_role("button", name="Save and apply")).to_be_in_viewport(ratio=1)
    found["diff"] = cut_off(page)
    page.keyboard.press("Escape")
    page.evaluate("location.hash = '#/routes?domain=partner.example'")
    expect(dialog.get_by_role("button", name="Done")).to_be_in_viewport(ratio=1)
    found["properties"] = cut_off(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
