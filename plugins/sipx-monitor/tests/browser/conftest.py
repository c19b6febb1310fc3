"""A real Chromium that looks at a real proxy.

Rules of these tests: they wait for texts and roles, never for a time; every page is asked for by
what a person reads; the proxy is `sipx run` itself, and what is saved is read from its file.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from .people import People
from .proxy import Sipx
from .site import write_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PATIENCE_MS = 20_000.0


def _missing() -> str:
    if CHROMIUM is None:
        return "Chromium is not installed (Debian: chromium, fonts-dejavu-core)"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the Python package playwright is not installed (the extra dev has it)"
    return ""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all of these tests."""
    if missing := _missing():
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def people() -> Iterator[People]:
    with People() as both:
        yield both


@pytest.fixture(scope="module")
def sipx(browser: Browser, people: People, tmp_path_factory: Any) -> Iterator[Sipx]:
    """A proxy of its own for each file of tests; people talk through it."""
    folder: Path = tmp_path_factory.mktemp("site")
    proxy = Sipx(folder, write_site(folder, people))
    with proxy.running():
        people.through(proxy.place("office"))
        yield proxy


@pytest.fixture
def original(sipx: Sipx) -> Iterator[str]:
    """The file as it was, and as it is again after the test."""
    text = sipx.text
    yield text
    if sipx.text != text:
        sipx.file.write_text(text, encoding="utf-8")
        sipx.command("reload")


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Pages of visitors, each with cookies and storage of its own; no page may show a fault."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def make(**more: Any) -> Page:
        options = {
            "viewport": WIDE,
            "locale": "en-GB",
            "timezone_id": "UTC",
            "reduced_motion": "reduce",
            "color_scheme": "light",
            "ignore_https_errors": True,
            **more,
        }
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{error}"))
        page.on("console", lambda said: _keep(said, faults))
        return page

    make.faults = faults  # type: ignore[attr-defined]
    yield make
    for context in contexts:
        context.close()
    assert faults == []


def _keep(said: Any, faults: list[str]) -> None:
    """What the console of the browser calls an error; an answer that is one is the page's."""
    if said.type == "error" and "Failed to load resource" not in said.text:
        faults.append(said.text)


@pytest.fixture
def page(sipx: Sipx, new_page: Callable[..., Page]) -> Page:
    """The console, logged on as its administrator: as long as it lasts in the same session."""
    visitor = new_page(storage_state=sipx.session)
    menu = visitor.get_by_role("navigation").first
    if sipx.session is not None:
        visitor.goto(sipx.home)
        menu.or_(visitor.get_by_role("button", name="Log on")).first.wait_for()
    if not menu.is_visible():
        link = sipx.link()
        visitor.goto("about:blank")  # else only the fragment of the address would be another
        visitor.goto(link)
        menu.wait_for()
        sipx.home = link.partition("#")[0]
        sipx.session = visitor.context.storage_state()
    return visitor
