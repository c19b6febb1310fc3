"""A reload that makes the console itself anew: it is answered, and says where the console is."""

from __future__ import annotations

import json
import socket
import urllib.request
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from .console import draft_bar, turn_to
from .proxy import PATIENCE, Sipx
from .site import write_site

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def ports():
    """Three that nobody has."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_server((HERE, 0))) for _ in range(3)]
        return [one.getsockname()[1] for one in found]


@pytest.fixture(scope="module")
def sipx(browser, people, tmp_path_factory, ports):
    folder = tmp_path_factory.mktemp("moving")
    proxy = Sipx(folder, write_site(folder, people, console=ports[0]))
    with proxy.running():
        yield proxy


def edit(sipx, old, new):
    """As another program would."""
    assert sipx.text.count(old) == 1
    sipx.file.write_text(sipx.text.replace(old, new), encoding="utf-8")


def reload(page):
    turn_to(page, "service").get_by_role("button", name="Reload …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reload", exact=True).click()
    return dialog


def test_a_program_is_answered_before_the_console_ends(sipx, original, ports):
    token = sipx.command("console", "token", "create", "robot", "--role", "admin").strip()

    def ask(method, **params):
        asked = urllib.request.Request(
            f"http://{HERE}:{ports[0]}/api/{method}",
            data=json.dumps(params).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, json.load(answer)

    edit(sipx, 'record = "always"', 'record = "watched"')
    status, answer = ask("reload")
    assert status == 202
    assert "ask `status` how it ended" in answer["text"]
    assert sipx.json("status")["service"]["reload"]["error"] == ""
    assert ask("config.show")[0] == 200
    edits = [{"op": "set", "key": "monitor.keep_messages", "value": 5000}]
    assert ask("config.change", edits=edits)[0] == 202
    assert "keep_messages = 5000" in sipx.text
    sipx.command("console", "token", "revoke", "robot")


def test_a_reload_that_ends_the_link_tells_how_it_went(sipx, page, original):
    edit(sipx, 'record = "always"', 'record = "watched"')
    dialog = reload(page)
    said = page.get_by_role("status").filter(has_text="in use as it is now")
    expect(said.first).to_be_visible()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("connected", exact=True)).to_be_visible()


def test_a_console_that_moves_says_where_it_is(sipx, page, original, ports):
    edit(sipx, f"[monitor]\nport = {ports[0]}", f"[monitor]\nport = {ports[1]}")
    reload(page)
    banner = page.get_by_role("status").filter(has_text="The console has another address now")
    link = banner.get_by_role("link", name=f"http://{HERE}:{ports[1]}/")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click(timeout=3000)
    link.click()
    expect(page.get_by_role("button", name="Log on")).to_be_visible()
    assert page.url.startswith(f"http://{HERE}:{ports[1]}/")
    page.goto(sipx.link())
    expect(page.get_by_text("connected", exact=True)).to_be_visible()


def test_a_draft_that_moves_the_console_says_where_it_is(sipx, page, original, ports):
    turn_to(page, "plugins")
    page.evaluate("() => { location.hash = '#/plugins?plugin=monitor'; }")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Port", exact=True).fill(f"{ports[2]}")
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    bar = draft_bar(page)
    expect(bar).to_contain_text("monitor")
    bar.get_by_role("button", name="Save and apply").click()
    link = page.get_by_role("link", name=f"http://{HERE}:{ports[2]}/")
    expect(link).to_be_visible()
    assert f"port = {ports[2]}" in sipx.text
