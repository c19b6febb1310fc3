"""The first minute: a link is printed, it lets one in, once."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .console import PAGES
from .proxy import Sipx
from .site import write_site


@pytest.fixture
def at_a_terminal(browser, people, tmp_path):
    """A proxy that somebody has just started by hand."""
    proxy = Sipx(tmp_path, write_site(tmp_path, people))
    try:
        proxy.first_link = proxy.start(at_a_terminal=True)
        yield proxy
    finally:
        proxy.kill()


def test_the_link_that_is_printed_at_the_start_opens_the_overview(at_a_terminal, new_page):
    page = new_page()
    page.goto(at_a_terminal.first_link)
    main = page.get_by_role("main")
    expect(main.get_by_role("heading", level=1)).to_have_text("Overview")
    assert page.url.endswith("#/overview")
    assert "token" not in page.url
    [cookie] = page.context.cookies()
    assert cookie["name"].startswith("sipx_session")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    menu = page.get_by_role("navigation", name="Pages")
    assert [link.inner_text().strip() for link in menu.get_by_role("link").all()] == list(
        PAGES.values()
    )


def test_a_link_works_once_and_what_to_do_then_is_said(sipx, new_page):
    link = sipx.link()
    first = new_page()
    first.goto(link)
    expect(first.get_by_role("navigation", name="Pages")).to_be_visible()
    second = new_page()
    second.goto(link)
    expect(second.get_by_role("button", name="Log on")).to_be_visible()
    expect(second.get_by_role("main")).to_contain_text("sipx console url")
    expect(second.get_by_role("alert")).to_contain_text("not valid any more")
    label = second.get_by_text("Token, or the whole link", exact=True).bounding_box()
    assert label is not None
    assert label["width"] > label["height"], "the label is one letter wide"
    expect(second.get_by_role("combobox")).to_have_count(0)  # a proof is typed, it is in no file
    second.get_by_label("Token, or the whole link").fill("not-a-token")
    second.get_by_role("button", name="Log on").click()
    expect(second.get_by_role("alert")).to_be_visible()
    second.get_by_label("Token, or the whole link").fill(sipx.link())
    second.get_by_role("button", name="Log on").click()
    expect(second.get_by_role("navigation", name="Pages")).to_be_visible()


def test_a_token_is_in_no_log(sipx, new_page):
    link = sipx.link()
    page = new_page()
    page.goto(link)
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    assert link.partition("token=")[2] not in sipx.said


def test_logging_out_ends_the_session(page, new_page):
    page.get_by_role("banner").get_by_role("button").last.click()
    page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log on")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Log on")).to_be_visible()


def test_a_reload_keeps_the_page_and_the_session(page):
    page.goto(page.url.partition("#")[0] + "#/interfaces")
    page.reload()
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_contain_text("nterfaces")


def test_every_page_comes_with_a_policy_that_lets_nothing_from_outside_in(page, new_page):
    answer = page.request.get(page.url.partition("#")[0])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    outside = page.evaluate("fetch('https://example.com/').then(() => 'reached', () => 'refused')")
    assert outside == "refused"
    assert all("Security Policy" in fault for fault in new_page.faults)
    new_page.faults.clear()
