"""The link to sipx is lost, and comes back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .console import turn_to
from .proxy import Sipx
from .site import write_site

COMES_BACK_MS = 60_000.0
"""The page tries again after 0.5 to 15 seconds, and sipx has to start."""


@pytest.fixture
def fixed(browser, people, tmp_path):
    """A proxy that has the same ports when it is started again."""
    proxy = Sipx(tmp_path, write_site(tmp_path, people))
    try:
        proxy.first_link = proxy.start()
        office = proxy.place("office")
        people.through(office)
        console = proxy.first_link.partition("127.0.0.1:")[2].partition("/")[0]
        proxy.file.write_text(
            proxy.text.replace("[monitor]\nport = 0", f"[monitor]\nport = {console}").replace(
                'bind = "127.0.0.1"  # the only cable\nport = 0',
                f'bind = "127.0.0.1"  # the only cable\nport = {office[1]}',
            )
        )
        yield proxy
    finally:
        proxy.kill()


def test_a_lost_link_is_told_and_comes_back(fixed, people, new_page):
    page = new_page()
    page.goto(fixed.first_link)
    turn_to(page, "live")
    people.message()
    grid = page.get_by_role("grid", name="Messages")
    expect(grid.get_by_role("row").filter(has_text="MESSAGE").first).to_be_visible()
    assert fixed.stop() == 0
    banner = page.get_by_role("status").filter(has_text="There is no link to sipx")
    expect(banner).to_be_visible()
    expect(grid.get_by_role("row").filter(has_text="MESSAGE").first).to_be_visible()
    fixed.start()
    login = page.get_by_role("button", name="Log on")
    back = page.get_by_text("connected", exact=True)
    expect(login.or_(back)).to_be_visible(timeout=COMES_BACK_MS)
    if login.is_visible():
        page.get_by_label("Token, or the whole link").fill(fixed.link())
        login.click()
    expect(back).to_be_visible()
    turn_to(page, "live")
    people.message("after the break")
    expect(grid.get_by_role("row").filter(has_text="MESSAGE").first).to_be_visible()
    expect(banner).to_have_count(0)
