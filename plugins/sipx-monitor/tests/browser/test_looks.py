"""For everybody: German, dark, narrow, by keyboard, and what axe says of every page."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from .conftest import NARROW
from .console import PAGES, draft_bar, turn, turn_to
from .proxy import Sipx

ENGLISH = re.compile(r"\b(the|and|is|are|was|not yet|settings)\b")
"""Words that no German page has."""


@pytest.fixture(scope="module")
def traffic(sipx, people):
    """Something to look at: a call, a message, a refusal."""
    people.call()
    people.message("hello")
    people.options("sip:nobody@elsewhere.example")


def entered(sipx, new_page, **more):
    page = new_page(**more)
    page.goto(sipx.link())
    page.get_by_role("main").get_by_role("heading", level=1).wait_for()
    return page


def violations(page):
    """What axe finds on the page as it is, one line each."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} {node['target']} {' '.join(node['failureSummary'].split())}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def told(found):
    return "\n".join(f"{name}: {wrong}" for name, all_of in found.items() for wrong in all_of)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(sipx, new_page, traffic, scheme):
    page = entered(sipx, new_page, color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    found = {}
    for name in PAGES:
        turn_to(page, name)
        settled(page)
        found[name] = violations(page)
    assert told(found) == ""


def settled(page):
    """Wait until a page shows what it asked for."""
    expect(page.get_by_role("main").locator(".busy")).to_have_count(0)


EMPTY = """
domains = ["example.com"]
plugins = ["udp", "static-routes", "lan", "registrar", "stun", "monitor"]

[interface.only]
bind = "127.0.0.1"
port = 0
protocol = "udp"

[monitor]
port = 0
"""


def test_axe_finds_nothing_where_there_is_nothing(browser, tmp_path, new_page):
    """Neither a route nor a certificate nor a message: headings stay in order."""
    with Sipx(tmp_path, EMPTY).running() as bare:
        page = entered(bare, new_page)
        found = {}
        for name in PAGES:
            turn_to(page, name)
            settled(page)
            found[name] = violations(page)
        assert told(found) == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(sipx, new_page, people, traffic, scheme):
    page = entered(sipx, new_page, color_scheme=scheme)
    found = {}
    turn_to(page, "live")
    page.get_by_role("grid").get_by_role("row").filter(has_text="INVITE").first.click()
    expect(page.get_by_role("region", name="Ladder").get_by_role("option").first).to_be_visible()
    found["ladder and text"] = violations(page)
    page.get_by_role("tab", name="What did sipx change").click()
    expect(page.get_by_role("region", name="Differences")).to_be_visible()
    found["changes"] = violations(page)
    page.get_by_role("tab", name="Why routed there").click()
    expect(page.get_by_role("region", name="Decision trace")).to_be_visible()
    found["why"] = violations(page)
    page.get_by_role("button", name="Jump to").click()
    found["jump"] = violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="You and this browser")).to_be_visible()
    found["preferences"] = violations(page)
    page.keyboard.press("Escape")
    turn(turn_to(page, "wan").get_by_label("Use other public address"))
    draft_bar(page).get_by_role("button", name="Show diff").click()
    expect(page.get_by_role("dialog")).to_contain_text("use_public_address")
    found["diff"] = violations(page)
    assert told(found) == ""


def test_every_page_speaks_german(sipx, new_page, traffic):
    page = entered(sipx, new_page, locale="de-DE")
    assert page.evaluate("document.documentElement.lang") == "de"
    expect(page.get_by_role("navigation", name="Seiten")).to_contain_text("Übersicht")
    english = {}
    for name in PAGES:
        page.evaluate("name => { location.hash = `#/${name}`; }", name)
        heading = page.get_by_role("main").get_by_role("heading", level=1)
        expect(heading).to_be_visible()
        if found := ENGLISH.search(heading.inner_text()):
            english[name] = found[0]
    assert english == {}
    main = page.get_by_role("main")
    page.evaluate("location.hash = '#/config'")
    main.get_by_role("tab", name="Alle Einstellungen").click()
    row = main.get_by_role("row").filter(has_text="wan.public_address").first
    expect(row).to_contain_text("Eine IP-Adresse, ein Hostname")
    words = "import(new URL('console/parts/live/words.js', document.baseURI))"
    assert page.evaluate(f"{words}.then(({{seconds}}) => seconds(1.5))") == "1,50 s"
    page.get_by_label("Sprache").select_option("en")
    expect(page.get_by_role("navigation", name="Pages")).to_contain_text("Overview")


def test_the_theme_follows_the_machine_and_a_choice_is_kept(sipx, new_page):
    page = entered(sipx, new_page, color_scheme="dark")
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    shown = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(shown)
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(theme) == "light"
    assert page.evaluate(shown) != dark
    page.reload()
    page.get_by_role("navigation", name="Pages").wait_for()
    assert page.evaluate(theme) == "light"


def test_everything_can_be_done_with_the_keyboard(sipx, new_page, people, traffic):
    page = entered(sipx, new_page)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("To the page")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_attribute("id", "main")
    page.keyboard.press("Control+k")
    page.keyboard.type("live")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Live")).to_be_focused()
    call_id = people.call()
    page.keyboard.press("/")
    page.keyboard.type(f"callid:{call_id}")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("callid"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Filter")).not_to_be_focused()
    grid = page.get_by_role("grid", name="Messages")
    expect(grid.get_by_role("row").filter(has_text="BYE").last).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    text = page.get_by_role("region", name="Message text")
    expect(text).to_contain_text("INVITE sip:bob@example.com")
    page.keyboard.press("]")
    expect(text).to_contain_text(re.compile("SIP/2.0 100|INVITE"))
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Differences")).to_be_visible()
    page.keyboard.press("Escape")
    expect(text).to_have_count(0)
    page.keyboard.press("Alt+1")
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    page.keyboard.press("F1")
    expect(page).to_have_url(re.compile("#/help"))


def test_single_letters_can_be_switched_off(sipx, new_page):
    page = entered(sipx, new_page)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="You and this browser")
    turn(dialog.get_by_label("Single letters are keys"), on=False)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Jump")).to_be_visible()
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize(
    ("word", "page_name"),
    [("diagnostics", "Logs"), ("static r", "Routes"), ("proxy s", "Service"), ("stat", "Routes")],
)
def test_a_page_is_found_by_the_name_it_had_in_the_original(page, word, page_name):
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Jump").get_by_role("combobox").fill(word)
    first = page.get_by_role("listbox", name="Found").get_by_role("option").first
    expect(first).to_contain_text(page_name)
    expect(first).to_contain_text("Page")


def test_nothing_is_cut_off_on_a_narrow_screen(sipx, new_page, traffic):
    page = entered(sipx, new_page, viewport=NARROW, has_touch=True, is_mobile=True)
    wide = {}
    for name in PAGES:
        page.evaluate("name => { location.hash = `#/${name}`; }", name)
        expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
        settled(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > NARROW["width"]:
            wide[name] = width
    assert wide == {}
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Routes").click()
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_contain_text("outes")
    expect(page.get_by_role("button", name="Menu")).to_have_attribute("aria-expanded", "false")


def test_menus_of_live_stay_on_a_narrow_screen(sipx, new_page, traffic):
    page = entered(sipx, new_page, viewport=NARROW, has_touch=True, is_mobile=True)
    page.evaluate("location.hash = '#/live'")
    main = page.get_by_role("main")
    for name in ("Export", "View", "Saved filters", "Recording"):
        opens = main.get_by_role("button", name=name).first
        opens.click()
        box = main.locator(f"#{opens.get_attribute('aria-controls')}").bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= NARROW["width"], name
        page.keyboard.press("Escape")
        expect(opens).to_have_attribute("aria-expanded", "false")
