"""The page Plugins: which hooks each has, and how long they take, when somebody asks."""

from __future__ import annotations

from playwright.sync_api import expect

from .console import turn_to


def test_hooks_and_the_time_in_them(page, people):
    main = turn_to(page, "plugins")
    main.get_by_role("button", name="static-routes").or_(
        main.get_by_role("row").filter(has_text="static-routes")
    ).first.click()
    dialog = page.get_by_role("dialog")
    row = dialog.get_by_role("row").filter(has_text="determine_targets")
    expect(row).not_to_contain_text("µs")
    measure = dialog.get_by_role("button", name="Measure for 5 s")
    measure.click()
    expect(measure).to_have_attribute("aria-busy", "true")
    while measure.get_attribute("aria-busy"):
        people.message()
    expect(row).to_contain_text("µs")
