"""A call as it flows: the list, the ladder, the text, what sipx changed, why, export and back."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from .console import saved, turn_to


@pytest.fixture
def live(page):
    """The page Live, with nothing in it."""
    main = turn_to(page, "live")
    expect(page.get_by_role("grid", name="Messages")).to_be_visible()
    return main


def rows(page):
    return page.get_by_role("grid", name="Messages").get_by_role("row")


def only(page, text):
    """Filter, and wait until nothing else is in the list."""
    box = page.get_by_role("combobox", name="Filter")
    box.fill(text)
    box.press("Enter")
    expect(page.get_by_role("button", name="Apply")).to_have_count(0)


def a_call(page, people):
    """A whole call in the list; its INVITE as it came in is chosen."""
    call_id = people.call()
    only(page, f"callid:{call_id}")
    invite = rows(page).filter(has_text="INVITE").first
    expect(rows(page).filter(has_text="BYE").last).to_be_visible()
    expect(invite).to_be_visible()
    invite.click()
    return call_id


def test_a_call_appears_while_the_page_is_looked_at(live, page, people):
    call_id = people.call()
    only(page, f"callid:{call_id}")
    expect(rows(page).filter(has_text="180 Ringing")).to_have_count(2)
    expect(rows(page).filter(has_text="200 OK").filter(has_text="BYE")).to_have_count(2)


def test_the_ladder_shows_both_legs_and_sipx_between_them(live, page, people):
    call_id = a_call(page, people)
    ladder = page.get_by_role("region", name="Ladder")
    expect(ladder).to_contain_text(call_id)
    steps = ladder.get_by_role("option")
    expect(steps.filter(has_text="INVITE")).not_to_have_count(0)
    expect(steps.first).to_have_accessible_name(re.compile("INVITE"))
    ladder.get_by_role("button", name="Table").click()
    table = ladder.get_by_role("table")
    expect(table.get_by_role("row").filter(has_text="INVITE")).to_have_count(2)
    expect(table.get_by_role("row").filter(has_text="ACK")).to_have_count(2)
    expect(table.get_by_role("row").filter(has_text="sipx")).not_to_have_count(0)


def test_the_message_is_shown_as_it_was_on_the_wire(live, page, people):
    a_call(page, people)
    text = page.get_by_role("region", name="Message text")
    expect(text).to_contain_text("INVITE sip:bob@example.com SIP/2.0")
    expect(text).to_contain_text("Max-Forwards")


def test_what_sipx_changed_is_told_with_its_rule(live, page, people):
    a_call(page, people)
    page.get_by_role("tab", name="What did sipx change").click()
    changes = page.get_by_role("region", name="Differences")
    expect(
        changes.get_by_role("row").filter(has_text="Via").filter(has_text="added")
    ).to_be_visible()
    expect(changes).to_contain_text("Record-Route")
    expect(changes).to_contain_text("Max-Forwards")
    expect(changes).to_contain_text("RFC 3261")


def test_why_it_was_routed_there(live, page, people):
    a_call(page, people)
    page.get_by_role("tab", name="Why routed there").click()
    trace = page.get_by_role("region", name="Decision trace")
    expect(trace).to_contain_text("Who sent it")
    expect(trace).to_contain_text("Where to")
    expect(trace).to_contain_text("example.com")


def test_two_messages_are_compared(live, page, people):
    call_id = people.call()
    only(page, f"callid:{call_id} method:INVITE !code:1xx !code:2xx")
    expect(rows(page).filter(has_text="INVITE")).to_have_count(2)
    rows(page).filter(has_text="INVITE").nth(0).click()
    page.keyboard.press("Space")
    rows(page).filter(has_text="INVITE").nth(1).click()
    page.keyboard.press("Space")
    page.keyboard.press("d")
    expect(page.get_by_role("tab", name="Difference")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("region", name="Differences")).to_contain_text("Via")


def test_a_mark_is_kept(live, page, people):
    a_call(page, people)
    page.keyboard.press("m")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="green").check()
    dialog.get_by_label("Note").fill("look at this")
    dialog.get_by_role("button", name="Mark").click()
    expect(rows(page).filter(has_text="Marked green")).to_have_count(1)
    page.reload()
    expect(rows(page).filter(has_text="Marked green")).to_have_count(1)


def test_a_filter_that_is_wrong_is_told_where(live, page):
    box = page.get_by_role("combobox", name="Filter")
    box.fill("method:INVITE nonsense>=")
    box.press("Enter")
    expect(page.get_by_role("search").get_by_role("alert")).to_be_visible()
    expect(box).to_have_attribute("aria-invalid", "true")


def test_what_is_wrong_with_a_filter_stands_below_its_suggestions(live, page):
    page.get_by_role("combobox", name="Filter").fill("methd:INVITE")
    search = page.get_by_role("search")
    found = search.get_by_role("listbox", name="Suggestions").bounding_box()
    said = search.get_by_role("alert").bounding_box()
    assert found is not None
    assert said is not None
    assert 0 <= said["y"] - (found["y"] + found["height"]) < 20


def test_the_filter_stands_in_the_address(live, page, people):
    call_id = people.call()
    only(page, f"callid:{call_id} method:BYE")
    page.reload()
    expect(page.get_by_role("combobox", name="Filter")).to_have_value(
        f"callid:{call_id} method:BYE"
    )
    expect(rows(page).filter(has_text="BYE")).not_to_have_count(0)
    expect(rows(page).filter(has_text="INVITE")).to_have_count(0)


def test_a_pause_holds_what_comes_and_counts_it(live, page, people):
    page.get_by_role("button", name="Pause").click()
    people.message("held")
    button = page.get_by_role("button", name="Resume")
    expect(button).to_contain_text("4 new")
    button.click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(rows(page).filter(has_text="MESSAGE").last).to_be_visible()


@pytest.mark.parametrize("format_name", ["pcapng", "JSON Lines"])
def test_an_export_can_be_opened_again(live, page, people, tmp_path, format_name):
    call_id = a_call(page, people)
    path = saved(page, format_name, tmp_path)
    page.get_by_label("A saved capture").set_input_files(path)
    expect(page.get_by_role("note").filter(has_text="Opened capture")).to_contain_text(path.name)
    expect(rows(page).filter(has_text="180 Ringing")).to_have_count(2)
    rows(page).filter(has_text="INVITE").first.click()
    expect(page.get_by_role("region", name="Ladder")).to_contain_text(call_id)
    page.get_by_role("button", name="Close the capture").click()
    expect(page.get_by_role("note").filter(has_text="Opened capture")).to_have_count(0)


def test_the_other_formats(live, page, people, tmp_path):
    call_id = a_call(page, people)
    text = saved(page, "Text", tmp_path).read_text()
    assert call_id in text
    assert "INVITE sip:bob@example.com SIP/2.0" in text
    assert "<svg" in saved(page, "SVG", tmp_path).read_text()
    head, *lines = saved(page, "CSV", tmp_path).read_text().splitlines()
    assert "call_id" in head
    assert len(lines) > 10
    assert [
        json.loads(line) for line in saved(page, "JSON Lines", tmp_path).read_text().splitlines()
    ]


def test_a_call_that_goes_on_is_a_dialog(page, people):
    talk = people.talk()
    main = turn_to(page, "dialogs")
    box = page.get_by_role("combobox", name="Filter")
    box.fill(f"callid:{talk.dialog.call_id.decode()}")
    box.press("Enter")
    row = main.get_by_role("row").filter(has_text="established")
    expect(row).to_have_count(1)
    people.do(talk.hangup)
    expect(main.get_by_role("row").filter(has_text="ended")).to_have_count(1)
    main.get_by_role("row").filter(has_text="ended").click()
    expect(page.get_by_role("region", name="Ladder")).to_contain_text("BYE")
