"""The draft: what is wrong is said beside the field, and nothing is lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import NARROW, WIDE
from .console import changed, draft_bar, pick, save, turn, turn_to


def test_a_setting_is_saved_and_comments_stay(page, sipx, original):
    main = turn_to(page, "wan")
    turn(main.get_by_label("Use other public address"))
    main.get_by_label("Public port", exact=True).fill("5071")
    bar = draft_bar(page)
    expect(bar).to_contain_text("2 changes")
    bar.get_by_role("button", name="Show diff").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("+public_port = 5071")
    expect(dialog).to_contain_text("-public_port = 5061")
    page.keyboard.press("Escape")
    save(page)
    assert changed(original, sipx.text) == [
        "-use_public_address = false",
        "+use_public_address = true",
        "-public_port = 5061",
        "+public_port = 5071",
    ]
    assert sipx.json("config", "get", "wan.public_port")["value"] == 5071


def test_what_is_wrong_stands_beside_the_field_in_the_words_of_the_server(page, sipx, original):
    main = turn_to(page, "wan")
    turn(main.get_by_label("Use other public address"))
    field = main.get_by_label("Public IP address or name")
    field.fill("not an address")
    expect(field).to_have_attribute("aria-invalid", "true")
    said = field.locator("xpath=ancestor::*[contains(@class, 'field')][last()]").get_by_role(
        "alert"
    )
    expect(said).to_be_visible()
    words = said.inner_text()
    bar = draft_bar(page)
    expect(bar).to_contain_text("not valid")
    expect(bar.get_by_role("button", name="Save and apply")).to_be_disabled()
    refused = sipx.refused("config", "set", "wan.public_address", "not an address")
    assert words.split("\n")[0] in refused
    assert sipx.text == original
    bar.get_by_role("button", name="Discard").click()
    expect(bar).to_have_count(0)
    expect(field).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_note_covers_no_button_of_the_bar(page, size):
    main = turn_to(page, "wan")
    page.set_viewport_size(size)
    turn(main.get_by_label("Use other public address"))
    draft_bar(page).get_by_role("button", name="Discard").click()
    turn(main.get_by_label("Use other public address"))
    main.get_by_label("Public IP address or name").fill("not an address")
    expect(draft_bar(page)).to_contain_text("not valid")
    note = page.get_by_role("status").filter(has_text="The draft was discarded").bounding_box()
    bar = draft_bar(page).bounding_box()
    assert note["y"] + note["height"] <= bar["y"]
    assert note["x"] >= 0
    assert note["x"] + note["width"] <= size["width"]


def test_discarding_and_taking_back(page, sipx, original):
    main = turn_to(page, "wan")
    switch = main.get_by_label("Use other public address")
    turn(switch)
    draft_bar(page).get_by_role("button", name="Discard").click()
    expect(switch).not_to_be_checked()
    page.get_by_role("button", name="Undo").click()
    expect(switch).to_be_checked()
    draft_bar(page).get_by_role("button", name="Back").click()
    assert sipx.text == original


def test_a_saved_change_is_undone_with_one_click(page, sipx, original):
    turn(turn_to(page, "wan").get_by_label("Use other public address"))
    save(page)
    turn(page.get_by_label("Use other public address"), on=False)
    save(page)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_have_count(2)  # one for each time that it was saved
    undo.last.click()
    expect(page.get_by_label("Use other public address")).to_be_checked()
    assert "use_public_address = true" in sipx.text


def test_a_file_that_was_edited_meanwhile_is_a_conflict_and_both_are_kept(page, sipx, original):
    main = turn_to(page, "wan")
    turn(main.get_by_label("Use other public address"))
    sipx.command("config", "set", "log.level", "debug")
    bar = draft_bar(page)
    expect(bar).to_contain_text("changed meanwhile")
    bar.get_by_role("button", name="Look").click()
    expect(page.get_by_role("dialog")).to_contain_text("log.level")
    page.keyboard.press("Escape")
    bar.get_by_role("button", name="Keep mine on top").click()
    save(page)
    assert changed(original, sipx.text) == [
        "-use_public_address = false",
        "+use_public_address = true",
        '-level = "info"',
        '+level = "debug"',
    ]


def edited(page, sipx, before, after):
    """Somebody edits the file with an editor of their own, after the draft was looked at."""
    expect(draft_bar(page)).to_contain_text(re.compile("valid|rebinds"))
    assert before in sipx.text
    sipx.file.write_text(sipx.text.replace(before, after), encoding="utf-8")


THEIRS = "public_port = 5081  # as the new contract says"


def test_an_editor_that_changes_the_file_meanwhile_wins_where_mine_is_discarded(
    page, sipx, original
):
    main = turn_to(page, "wan")
    main_port = main.get_by_label("Public port", exact=True)
    turn(main.get_by_label("Use other public address"))
    main_port.fill("5071")
    edited(page, sipx, "public_port = 5061", THEIRS)
    bar = draft_bar(page)
    expect(bar).to_contain_text("changed meanwhile")
    bar.get_by_role("button", name="Look").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("without sipx")
    expect(dialog).to_contain_text("+ wan.public_port = 5081")
    expect(dialog).to_contain_text("-public_port = 5081  # as the new contract says")
    expect(dialog).to_contain_text("+public_port = 5071  # as the new contract says")
    dialog.get_by_role("button", name="Close").last.click()
    bar.get_by_role("button", name="Discard mine").click()
    question = page.get_by_role("dialog", name="Discard your draft?")
    question.get_by_role("button", name="Cancel").click()
    expect(main_port).to_have_value("5071")
    bar.get_by_role("button", name="Discard mine").click()
    question.get_by_role("button", name="Discard").click()
    expect(bar).to_have_count(0)
    expect(main_port).to_have_value("5081")
    expect(main.get_by_label("Use other public address")).not_to_be_checked()
    assert changed(original, sipx.text) == ["-public_port = 5061", f"+{THEIRS}"]


def test_a_file_that_was_broken_for_a_moment_is_still_watched(page, sipx, original):
    main = turn_to(page, "wan")
    turn(main.get_by_label("Use other public address"))
    main.get_by_label("Public port", exact=True).fill("5071")
    bar = draft_bar(page)
    expect(bar).to_contain_text(re.compile("valid|rebinds"))
    with page.expect_console_message(lambda said: "The file is not watched" in said.text):
        sipx.file.write_text(f"{original}\nhalf = [\n", encoding="utf-8")
    sipx.file.write_text(original.replace("public_port = 5061", THEIRS), encoding="utf-8")
    expect(bar).to_contain_text("changed meanwhile")
    bar.get_by_role("button", name="Discard mine").click()
    page.get_by_role("dialog", name="Discard your draft?").get_by_role(
        "button", name="Discard"
    ).click()
    expect(main.get_by_label("Public port", exact=True)).to_have_value("5081")


def test_an_editor_that_changes_the_file_meanwhile_keeps_what_is_not_mine(page, sipx, original):
    main = turn_to(page, "wan")
    turn(main.get_by_label("Use other public address"))
    main.get_by_label("Public port", exact=True).fill("5071")
    edited(page, sipx, "public_port = 5061", f"# Ask Eve.\n{THEIRS}")
    bar = draft_bar(page)
    bar.get_by_role("button", name="Keep mine on top").click()
    expect(bar).to_contain_text("2 changes")
    save(page)
    assert changed(original, sipx.text) == [
        "-use_public_address = false",
        "+use_public_address = true",
        "-public_port = 5061",
        "+# Ask Eve.",
        "+public_port = 5071  # as the new contract says",
    ]
    assert sipx.json("config", "get", "wan.public_port")["value"] == 5071


def test_a_whole_text_does_not_silently_undo_what_somebody_else_has_changed(page, sipx, original):
    main = turn_to(page, "config")
    box = main.get_by_role("textbox", name=re.compile("sipx.toml|file|text", re.IGNORECASE)).first
    box.fill(original.replace("# ordered in May", "# ordered in June"))
    expect(draft_bar(page)).to_contain_text("The text of the file is edited")
    edited(page, sipx, "public_port = 5061", THEIRS)
    bar = draft_bar(page)
    bar.get_by_role("button", name="Keep mine on top").click()
    question = page.get_by_role("dialog", name="Put your text in the place of the file?")
    expect(question).to_contain_text("is undone")
    question.get_by_role("button", name="Cancel").click()
    expect(bar).to_contain_text("changed meanwhile")
    assert changed(original, sipx.text) == ["-public_port = 5061", f"+{THEIRS}"]
    bar.get_by_role("button", name="Keep mine on top").click()
    question.get_by_role("button", name="Keep mine").click()
    save(page)
    assert changed(original, sipx.text) == [
        '-certificate = "main"  # ordered in May',
        '+certificate = "main"  # ordered in June',
    ]


def test_what_a_draft_would_do_is_said_before_and_each_step_is_taken_back(page, sipx, original):
    main = turn_to(page, "interfaces")
    turn(main.get_by_role("switch", name="Activate branch"))
    bar = draft_bar(page)
    expect(bar).to_contain_text("opens branch")
    turn(turn_to(page, "wan").get_by_label("Use other public address"))
    pick(turn_to(page, "lan").get_by_label("Protocol", exact=True), "udp")
    expect(bar).to_contain_text("rebinds lan")
    bar.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status").filter(has_text="The draft is valid.")).to_be_visible()
    bar.get_by_role("button", name="Back").click()
    expect(bar).to_contain_text("2 changes")
    expect(bar).not_to_contain_text("rebinds lan")
    bar.get_by_role("button", name="Back").click()
    expect(bar).to_contain_text("1 change")
    bar.get_by_role("button", name="Back").click()
    expect(bar).to_have_count(0)
    assert sipx.text == original


def test_who_reloads_the_page_is_asked_while_there_is_a_draft(page, sipx, original):
    main = turn_to(page, "wan")
    port = main.get_by_label("Public port", exact=True)
    main.get_by_text("Use other public address").click()
    port.fill("5071")
    asked = []

    def answer(dialog):
        asked.append(dialog.type)
        if len(asked) == 1:
            dialog.dismiss()
        else:
            dialog.accept()

    page.on("dialog", answer)
    page.evaluate("setTimeout(() => location.reload())")
    expect(port).to_have_value("5071")
    expect(draft_bar(page)).to_contain_text("2 changes")
    page.reload()
    expect(port).to_have_value("5061")
    expect(draft_bar(page)).to_have_count(0)
    page.reload()  # nobody is asked for nothing
    assert asked == ["beforeunload", "beforeunload"]


def test_a_draft_ends_with_the_session(page, sipx, original):
    turn(turn_to(page, "wan").get_by_label("Use other public address"))
    page.get_by_role("banner").get_by_role("button").last.click()
    dialog = page.get_by_role("dialog", name="You and this browser")
    question = page.get_by_role("dialog", name="Log out without saving?")
    dialog.get_by_role("button", name="Log out").click()
    question.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Log out").click()
    question.get_by_role("button", name="Log out").click()
    page.get_by_label("Token, or the whole link").fill(sipx.link())
    page.get_by_role("button", name="Log on").click()
    expect(turn_to(page, "wan").get_by_label("Use other public address")).not_to_be_checked()
    expect(draft_bar(page)).to_have_count(0)


def test_nothing_else_can_be_changed_while_the_text_is_edited(page, sipx, original):
    text = turn_to(page, "config").get_by_role("textbox").first
    text.fill(original.replace("public_port = 5061", "public_port = 5062"))
    expect(draft_bar(page)).to_contain_text("The text of the file is edited")
    main = turn_to(page, "interfaces")
    expect(main.get_by_role("switch", name="Activate branch")).to_be_disabled()
    expect(main.get_by_role("button", name="Remove branch")).to_be_disabled()
    add = main.get_by_role("button", name="Add", exact=True)
    expect(add).to_be_disabled()
    expect(add).to_have_attribute("title", re.compile("text of the file is being edited"))
    page.keyboard.press("n")
    main = turn_to(page, "routes")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(main.get_by_role("switch", name="Use static routes")).to_be_disabled()
    draft_bar(page).get_by_role("button", name="Discard").click()
    expect(main.get_by_role("switch", name="Use static routes")).to_be_enabled()


def test_whoever_saves_with_a_key_goes_on_in_the_page(page, sipx, original):
    main = turn_to(page, "wan")
    turn(main.get_by_label("Use other public address"))
    bar = draft_bar(page)
    expect(bar).to_contain_text("valid")
    bar.get_by_role("button", name="Save and apply").press("Enter")
    expect(bar).to_have_count(0)
    expect(page.locator(":focus")).to_have_attribute("id", "main")


def test_the_text_of_the_file_can_be_edited_whole(page, sipx, original):
    main = turn_to(page, "config")
    box = main.get_by_role("textbox", name=re.compile("sipx.toml|file|text", re.IGNORECASE)).first
    box.fill(original.replace("# ordered in May", "# ordered in June"))
    save(page)
    assert changed(original, sipx.text) == [
        '-certificate = "main"  # ordered in May',
        '+certificate = "main"  # ordered in June',
    ]
