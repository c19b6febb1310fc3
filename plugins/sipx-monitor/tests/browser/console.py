"""What a visitor does with the console, in the words that stand on it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

PAGES = {
    "overview": "Overview",
    "live": "Live",
    "dialogs": "Dialogs",
    "transactions": "Transactions",
    "partners": "Partners",
    "logs": "Logs",
    "wan": "WAN",
    "interfaces": "Interfaces",
    "certificates": "Certificates",
    "lan": "LAN",
    "servers": "UC servers",
    "federation": "Federation",
    "nat": "NAT and STUN",
    "routes": "Routes",
    "checks": "Checks",
    "service": "Service",
    "plugins": "Plugins",
    "config": "Config",
    "help": "Help",
}
"""Every page of the menu: its address and what it is called."""


def turn_to(page: Page, name: str) -> Locator:
    """Go to a page by its place in the address, and wait for its heading."""
    page.evaluate("name => { location.hash = `#/${name}`; }", name)
    main = page.get_by_role("main")
    menu = page.get_by_role("navigation", name="Pages")
    link = menu.get_by_role("link", name=PAGES[name], exact=True)
    expect(link).to_have_attribute("aria-current", "page")
    expect(main.get_by_role("heading", level=1)).to_be_visible()
    return main


def turn(switch: Locator, *, on: bool = True) -> None:
    """Turn a switch by its key: what is seen of it is no input."""
    if switch.is_checked() is not on:
        switch.press("Space")
    expect(switch).to_be_checked(checked=on)


def pick(select: Locator, text: str) -> None:
    """Choose the option whose text begins so."""
    begins = re.compile(rf"^\s*{re.escape(text)}", re.IGNORECASE)
    option = select.locator("option", has_text=begins).first
    select.select_option(label=(option.text_content() or "").strip())


def draft_bar(page: Page) -> Locator:
    """The bar at the bottom, which is there while something is drafted."""
    return page.get_by_role("region", name="Draft")


def save(page: Page) -> None:
    """Save and apply, and wait until it is done."""
    bar = draft_bar(page)
    bar.get_by_role("button", name="Save and apply").click()
    expect(page.get_by_role("status").filter(has_text="in use").first).to_be_visible()
    expect(bar).to_have_count(0)


def changed(before: str, after: str) -> list[str]:
    """The lines that differ, as a diff without its context says."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def saved(page: Page, format_name: str, folder: Path) -> Path:
    """Export the chosen dialog, or all that is shown; the file."""
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("radio", name=format_name).check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path
