"""Pages and panels of plugins that sipx has never heard of, and one that breaks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .console import turn_to
from .proxy import Sipx
from .site import write_site

EXAMPLE = Path(__file__).parents[4] / "docs/examples/console-panel/sipx_busiest"

BROKEN = '''
"""A plugin whose panel throws, and one of whose modules cannot be loaded at all."""

from sipx import Config, ConsolePanel, hookimpl


class Broken:
    Config = Config

    def __init__(self, config, proxy):
        pass

    @hookimpl
    def console_panels(self):
        return [
            ConsolePanel(module="panel.js", package=__name__),
            ConsolePanel(module="nothing.js", package=__name__),
        ]
'''
THROWS = """
import {html, registerColumn, registerPage, registerPanel} from 'sipx';
function Panel() { throw new Error('the panel is broken'); }
registerPanel({id: 'broken', title: 'Broken panel', page: 'overview', Panel});
registerPage({id: 'broken', title: 'Broken page', group: 'run', Page: Panel});
registerColumn({id: 'broken', title: 'Broken column', width: 60, rank: 1, render: Panel});
"""
NOTHING = "this is no JavaScript at all"


def install(site: Path, distribution: str, entry: str) -> None:
    """What pip leaves behind, for a package that is in the directory already."""
    about = site / f"{distribution.replace('-', '_')}-0.1.0.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1.0\n"
    )
    about.joinpath("entry_points.txt").write_text(f"[sipx]\n{entry}\n")


@pytest.fixture(scope="module")
def sipx(browser, people, tmp_path_factory):
    site = tmp_path_factory.mktemp("packages")
    shutil.copytree(EXAMPLE, site / "sipx_busiest", ignore=shutil.ignore_patterns("__pycache__"))
    install(site, "sipx-busiest", "busiest = sipx_busiest:Busiest")
    broken = site / "sipx_broken"
    broken.mkdir()
    broken.joinpath("__init__.py").write_text(BROKEN)
    broken.joinpath("panel.js").write_text(THROWS)
    broken.joinpath("nothing.js").write_text(NOTHING)
    install(site, "sipx-broken", "broken = sipx_broken:Broken")
    folder = tmp_path_factory.mktemp("panels")
    text = write_site(folder, people, plugins=' "busiest", "broken",')
    proxy = Sipx(folder, text, site)
    with proxy.running():
        people.through(proxy.place("office"))
        yield proxy


@pytest.fixture(autouse=True)
def broken_is_known(new_page):
    """What the broken plugin throws stands in the browser's console, and is no fault of others."""
    yield
    new_page.faults[:] = [fault for fault in new_page.faults if "broken" not in fault]


def test_a_panel_of_one_file_is_shown_and_asks_its_plugin(page, people):
    people.message()
    main = turn_to(page, "overview")
    panel = main.get_by_role("region", name="Busiest addresses")
    expect(panel.get_by_role("row").filter(has_text="sip:bob@example.com")).to_be_visible()


def test_its_page_stands_in_the_menu_and_speaks_german(page, people):
    people.message()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Busiest").click()
    main = page.get_by_role("main")
    expect(main.get_by_role("heading", level=1)).to_have_text("Busiest addresses")
    expect(main.get_by_role("row").filter(has_text="sip:bob@example.com")).to_be_visible()
    page.get_by_label("Language").select_option("de")
    expect(main.get_by_role("heading", level=1)).to_have_text("Gefragteste Adressen")
    expect(page.get_by_role("navigation", name="Seiten")).to_contain_text("Übersicht")


def test_live_has_its_column_and_its_line_in_the_help_of_the_filter(page, people, new_page):
    people.message()
    page.set_viewport_size({"width": 1600, "height": 800})  # room for both columns
    turn_to(page, "live")
    grid = page.get_by_role("grid", name="Messages")
    head = grid.get_by_role("columnheader", name="Asked for", exact=True)
    asked = grid.get_by_role("gridcell", name="sip:bob@example.com", exact=True)
    expect(head).to_be_visible()
    expect(asked.first).to_be_visible()
    # One that throws is a cell that failed, and no more.
    expect(grid.get_by_role("gridcell", name="failed", exact=True).first).to_be_visible()
    assert any("The column broken failed" in fault for fault in new_page.faults)
    page.get_by_role("button", name="View").click()
    shown = page.get_by_role("group", name="View").get_by_role("button", name="Asked for")
    shown.click()
    expect(head).to_have_count(0)
    shown.click()
    expect(head).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Help for the filter").click()
    line = page.get_by_role("dialog").get_by_role("row").filter(has_text="who is asked for")
    line.get_by_role("button", name="method:MESSAGE uri:bob@example.com").click()
    expect(page.get_by_role("combobox", name="Filter")).to_have_value(
        "method:MESSAGE uri:bob@example.com"
    )
    expect(grid.get_by_role("row").filter(has_text="MESSAGE").first).to_be_visible()
    page.get_by_label("Language").select_option("de")
    grid = page.get_by_role("grid", name="Nachrichten")
    expect(grid.get_by_role("columnheader", name="Gefragt nach")).to_be_visible()
    expect(grid.get_by_role("columnheader", name="Zeit")).to_be_visible()
    page.get_by_role("button", name="Hilfe zum Filter").click()
    expect(page.get_by_role("dialog")).to_contain_text("nach wem gefragt wird")


def test_a_panel_that_throws_is_said_and_the_rest_goes_on(sipx, new_page):
    page = new_page()
    page.goto(sipx.link())
    main = turn_to(page, "overview")
    expect(main.get_by_role("alert").filter(has_text="Broken panel failed")).to_contain_text(
        "the panel is broken"
    )
    expect(main.get_by_role("region", name="Busiest addresses")).to_be_visible()
    page.evaluate("location.hash = '#/broken'")
    expect(main.get_by_role("alert").filter(has_text="Broken page failed")).to_be_visible()
    turn_to(page, "interfaces")
    expect(main.get_by_role("row").filter(has_text="office")).to_be_visible()
    assert any("the panel is broken" in fault for fault in new_page.faults)
    assert any("cannot be loaded" in fault for fault in new_page.faults)
