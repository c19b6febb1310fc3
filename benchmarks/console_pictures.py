"""Pictures of every page of the console, light and dark, of a scene that is the same each time.

    .venv/bin/python benchmarks/console_pictures.py /tmp/pictures
    .venv/bin/python benchmarks/console_pictures.py --docs      # those of docs/pictures

The latter needs Pillow (`pip install pillow`), which nothing else here does.

The scene: calls, messages and refusals between two people with long names, and 200 routes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugins/sipx-monitor/tests"))

from browser.console import PAGES  # noqa: E402
from browser.people import People  # noqa: E402
from browser.proxy import Sipx  # noqa: E402
from browser.site import write_site  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from playwright.sync_api import Page

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"),
    "--disable-lcd-text",  # edges in colours of their own are for one screen only
)
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
LARGEST = 150_000
"""Bytes of a picture that stands in the documentation."""
DOCS = {
    "overview": "light",
    "live-call": "light",
    "live-changes": "dark",
    "live-why": "light",
    "routes": "light",
    "interfaces": "dark",
}


def routes() -> str:
    """Two hundred of them: short and long, with and without what else may stand there."""
    protocols = ("udp", "tcp", "mtls")
    return "\n".join(
        f'[static-routes.route."{"branch-office-of-the-south-" if n % 17 == 0 else ""}'
        f'partner-{n:03}.example"]\n'
        f"enabled = {'false' if n % 11 == 0 else 'true'}\n"
        f'server = "192.0.2.{n + 1}"\n'
        f'protocol = "{protocols[n % 3]}"\n'
        + (f'comment = "contract {4700 + n}, renewed every year in autumn"\n' if n % 7 == 0 else "")
        for n in range(198)
    )


def act(people: People) -> None:
    """What is to be seen: the same each time, but for the clock."""
    for _ in range(6):
        people.message("Is the projector in the large conference room on the fourth floor free?")
    people.options("sip:nobody@an-organisation-that-nobody-has-ever-heard-of.example")
    for _ in range(4):
        people.call()
    people.talk()
    people.message("see you", "sip:bob.with.a.rather.long.name.indeed@example.com")


def settled(page: Page) -> None:
    """Nothing is being asked any more, and what was drawn is on the screen."""
    page.get_by_role("main").get_by_role("heading", level=1).wait_for()
    expect(page.locator("main .busy")).to_have_count(0)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 250)))")


def scenes(page: Page, names: Iterable[str]) -> Iterator[str]:
    """Each page, and what opens on some."""
    for name in names:
        page.evaluate("name => { location.hash = `#/${name}`; }", name)
        settled(page)
        yield name
        for inner in opened(page, name) if page.viewport_size == WIDE else ():
            settled(page)
            yield f"{name}-{inner}"


def opened(page: Page, name: str) -> Iterator[str]:
    main = page.get_by_role("main")
    if name == "live":
        row = page.get_by_role("grid").get_by_role("row").filter(has_text="INVITE").first
        row.click()
        page.get_by_role("region", name="Message text").wait_for()
        yield "call"
        page.get_by_role("tab", name="What did sipx change").click()
        page.get_by_role("region", name="Differences").wait_for()
        yield "changes"
        page.get_by_role("tab", name="Why routed there").click()
        yield "why"
    elif name == "dialogs":
        main.get_by_role("row").filter(has_text=re.compile("established|ended")).first.click()
        yield "ladder"
    elif name == "interfaces":
        main.get_by_role("button", name="Add", exact=True).click()
        yield "add"
        page.keyboard.press("Escape")
    elif name == "wan":
        main.get_by_label("Use other public address").press("Space")
        main.get_by_label("Public IP address or name").fill("not an address")
        page.get_by_text("not valid").wait_for()
        yield "wrong"
        page.get_by_role("button", name="Discard").click()
    else:
        tabs = main.get_by_role("tab").all()
        for tab in tabs[1:]:
            tab.click()
            yield re.sub(r"\W+", "-", tab.inner_text().lower()).strip("-")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where all of them go")
    parser.add_argument("--docs", action="store_true", help="write those of docs/pictures")
    parser.add_argument("--narrow", action="store_true", help="a telephone's screen as well")
    wanted = parser.parse_args()
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder: Path = wanted.folder or temporary / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        site = temporary / "site"
        site.mkdir()
        people = stack.enter_context(People())
        proxy = Sipx(site, write_site(site, people, more=routes()))
        stack.callback(proxy.kill)
        proxy.start()
        people.through(proxy.place("office"))
        act(people)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*ARGUMENTS]
        )
        shown = list(dict.fromkeys(name.partition("-")[0] for name in DOCS))
        looks: list[tuple[str, dict[str, Any]]] = [
            ("light", {"color_scheme": "light", "viewport": WIDE}),
            ("dark", {"color_scheme": "dark", "viewport": WIDE}),
        ]
        if wanted.narrow:
            looks.append(("narrow", {"color_scheme": "light", "viewport": NARROW}))
        for look, options in looks:
            context = browser.new_context(
                locale="en-GB", timezone_id="UTC", reduced_motion="reduce", **options
            )
            context.set_default_timeout(20_000)
            page = context.new_page()
            page.goto(proxy.link())
            page.get_by_role("main").wait_for()
            for name in scenes(page, PAGES if wanted.folder else shown):
                page.screenshot(path=folder / f"{name}.{look}.png")
            context.close()
        if wanted.docs:
            keep(folder)


def keep(folder: Path) -> None:
    """With 128 colours each: nobody sees the difference, and they are a third as large."""
    from PIL import Image

    pictures = ROOT / "docs/pictures"
    pictures.mkdir(exist_ok=True)
    for name, look in DOCS.items():
        path = pictures / f"{name}.png"
        with Image.open(folder / f"{name}.{look}.png") as picture:
            picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size > LARGEST:
            sys.exit(f"{path.name} has more than {LARGEST} bytes")


if __name__ == "__main__":
    main()
