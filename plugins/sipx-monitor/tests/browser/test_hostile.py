"""What strangers write is shown as text: nothing in it runs, leads away, or spoils the page."""

from __future__ import annotations

import csv
import re
import socket
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from sipx.testing import Authority

from .console import saved, turn_to
from .proxy import PATIENCE, Sipx
from .site import write_site

IMAGE = "<img src=x onerror=window.__pwned=1>"
SCRIPT = '"><script>window.__pwned=1</script>'
FORMULA = "=cmd|' /C calc'!A0"
USER = "<b><script>ada"
QUOTED = SCRIPT.replace('"', '\\"')
LONG = "x" * 3000
REVERSED = "\u202egnp.exe\u2066"
HASH = "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M"
PASSWORD = "correct horse"

REQUEST = f"""\
MESSAGE sip:bob%3Cimg%20src=x@example.com;onerror=window.__pwned SIP/2.0
Via: SIP/2.0/UDP {{here}};branch=z9hG4bK{{number}};rport
From: "{QUOTED}{IMAGE}{{bidi}}" <sip:javascript%3Aalert@partner.example>;tag=a
To: <sip:bob@example.com>
Call-ID: {{number}}<svg/onload>"'{{number}}@{{here}}
CSeq: 1 MESSAGE
Max-Forwards: 70
Subject: {IMAGE} {SCRIPT} {{bidi}} {LONG}
User-Agent: {FORMULA}{IMAGE}
Reply-To: <javascript:window.__pwned=1>
Call-Info: <javascript:window.__pwned=1>;purpose=icon, <data:text/html,{SCRIPT}>;purpose=card
X-{LONG[:200]}: {SCRIPT}
Content-Type: text/html
Content-Length: {{length}}

{{body}}"""
BODY = f"<html><body onload='window.__pwned=1'>{IMAGE}{SCRIPT}</body></html>"
MALFORMED = (
    f"{IMAGE} javascript:window.__pwned=1 SIP/2.0\r\nCall-ID: {FORMULA}\r\n"
    f"From: <sip:a@b;{FORMULA}>\r\n{SCRIPT}\x1b[31m\x07\r\n\r\n"
)
REQUESTED = re.compile("MESSAGE")


class Strangers:
    """Two ends of a conversation that a person would not have."""

    def __init__(self) -> None:
        self.alice, self.bob = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        for one in (self.alice, self.bob):
            one.bind(("127.0.0.1", 0))
            one.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.alice.close()
        self.bob.close()

    def as_people(self):
        return SimpleNamespace(
            alice=SimpleNamespace(place=self.alice.getsockname()),
            bob=SimpleNamespace(place=self.bob.getsockname()),
        )

    def talk(self, proxy: tuple[str, int], number: int) -> None:
        """A MESSAGE there, an answer back, and something that is no message."""
        here = "{}:{}".format(*self.alice.getsockname())
        text = REQUEST.format(
            here=here, number=number, bidi=REVERSED, length=len(BODY), body=BODY
        ).replace("\n", "\r\n")
        self.alice.sendto(text.encode(), proxy)
        data, source = self.bob.recvfrom(65536)
        kept = [
            line
            for line in data.decode().partition("\r\n\r\n")[0].split("\r\n")[1:]
            if line.partition(":")[0].lower() in ("via", "from", "to", "call-id", "cseq")
        ]
        reason = FORMULA if number % 2 else IMAGE + REVERSED[:1]
        answer = [f"SIP/2.0 603 {reason}", *kept, f"Server: {SCRIPT}", "Content-Length: 0", "", ""]
        self.bob.sendto(
            "\r\n".join(answer)
            .replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b")
            .encode(),
            source,
        )
        while b"603" not in self.alice.recv(65536):
            pass
        self.alice.sendto(MALFORMED.encode(), proxy)


@pytest.fixture(scope="module")
def strangers():
    with Strangers() as both:
        yield both


@pytest.fixture(scope="module")
def sipx(browser, strangers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    more = f"auth = 'password'\n[monitor.user.'{USER}']\npassword_hash = '{HASH}'\nrole = 'admin'\n"
    text = write_site(folder, strangers.as_people(), more=more)
    text = text.replace('capture_bodies = "sdp"', 'capture_bodies = "all"')
    text = text.replace('"contract 4711"', f"'{IMAGE}{SCRIPT}'")
    Authority(SCRIPT).leaf(
        IMAGE + REVERSED,
        dns=("<b>.example.com", "x" * 200 + ".example"),
        uris=("javascript:window.__pwned=1", f"sip:{SCRIPT}"),
    ).write(folder / "tls", "other")
    proxy = Sipx(folder, text)
    with proxy.running():
        for number in (1, 2):
            strangers.talk(proxy.place("office"), number)
        yield proxy


WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""
FOUND = r"""() => ({
  pwned: window.__pwned ?? null,
  violations: window.__violations,
  links: [...document.querySelectorAll('a')].map((one) => one.href)
    .filter((href) => href && !/^(https?|blob):/.test(href)),
  elements: [...document.querySelectorAll(
    '#app :is(script, iframe, object, img, [onerror], [onload], [onclick])')]
    .map((one) => one.outerHTML),
  turned: /[\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText),
  wide: document.documentElement.scrollWidth - innerWidth > 1,
})"""
NOTHING = {
    "pwned": None,
    "violations": [],
    "links": [],
    "elements": [],
    "turned": False,
    "wide": False,
}


@pytest.fixture
def page(sipx, new_page):
    """The console of somebody with a strange name."""
    visitor = new_page()
    visitor.add_init_script(WATCH)
    visitor.goto(sipx.first_link.partition("#")[0])
    visitor.get_by_label("User", exact=True).fill(USER)
    visitor.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.get_by_role("button", name="Log on").click()
    expect(visitor.get_by_role("banner")).to_contain_text(USER)
    return visitor


def test_in_live(page):
    turn_to(page, "live")
    rows = page.get_by_role("grid", name="Messages").get_by_role("row")
    expect(rows.filter(has_text="malformed").first).to_be_visible()
    assert page.evaluate(FOUND) == NOTHING
    rows.filter(has_text=REQUESTED).first.click()
    text = page.get_by_role("region", name="Message text")
    for shown in (IMAGE, SCRIPT, FORMULA, "javascript:window.__pwned=1", "<html><body onload="):
        expect(text).to_contain_text(shown)
    ladder = page.get_by_role("region", name="Ladder")
    expect(ladder).to_contain_text("<svg/onload>")
    assert page.evaluate(FOUND) == NOTHING
    ladder.get_by_role("button", name="Table").click()
    expect(ladder.get_by_role("table")).to_contain_text(FORMULA)
    for tab, region in (
        ("What did sipx change", "Differences"),
        ("Why routed there", "Decision trace"),
    ):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("region", name=region)).to_contain_text("127.0.0.1")
        assert page.evaluate(FOUND) == NOTHING
    page.get_by_role("combobox", name="Filter").focus()


def test_the_difference_of_two(page):
    turn_to(page, "live")
    rows = page.get_by_role("grid", name="Messages").get_by_role("row").filter(has_text="603")
    for number in (0, 2):
        rows.nth(number).click()
        page.keyboard.press("Space")
    page.keyboard.press("d")
    expect(page.get_by_role("region", name="Differences")).to_contain_text(FORMULA)
    assert page.evaluate(FOUND) == NOTHING


def test_on_the_other_pages(page, sipx):
    places = {
        "dialogs": "javascript%3Aalert@partner.example",
        "transactions": "Transactions",
        "routes": "partner.example",
        "logs": USER,
        "overview": "example.com",
    }
    for name, shown in places.items():
        expect(turn_to(page, name)).to_contain_text(shown)
        assert page.evaluate(FOUND) == NOTHING, name
    page.evaluate("() => { location.hash = '#/config?tab=settings'; }")
    page.get_by_role("searchbox", name="Filter").fill("__pwned")
    expect(page.get_by_role("main")).to_contain_text(SCRIPT)
    assert page.evaluate(FOUND) == NOTHING
    main = turn_to(page, "dialogs")
    main.get_by_role("row").filter(has_text="Chat").first.click()
    expect(page.get_by_role("region", name="Ladder")).to_contain_text("<svg/onload>")
    assert page.evaluate(FOUND) == NOTHING
    page.evaluate("text => { location.hash = `#/help?find=${encodeURIComponent(text)}`; }", IMAGE)
    expect(page.get_by_role("main")).to_contain_text(IMAGE)
    page.evaluate("text => { location.hash = `#/help?topic=${encodeURIComponent(text)}`; }", SCRIPT)
    expect(page.get_by_role("main")).to_contain_text(SCRIPT)
    page.evaluate("text => { location.hash = `#/${encodeURIComponent(text)}`; }", IMAGE)
    expect(page.get_by_role("main")).to_contain_text(IMAGE)
    assert page.evaluate(FOUND) == NOTHING


def test_in_certificates(page):
    main = turn_to(page, "certificates")
    row = main.get_by_role("row").filter(has_text="other").first
    expect(row).to_contain_text(r"CN=\<img src=x onerror=window.__pwned=1\>\x202egnp.exe")
    assert page.evaluate(FOUND) == NOTHING
    row.click()
    for shown in (r"\<script\>window.__pwned=1", "<b>.example.com", "javascript:window.__pwned=1"):
        expect(page.get_by_role("main")).to_contain_text(shown)
    assert page.evaluate(FOUND) == NOTHING
    turn_to(page, "wan")
    assert page.evaluate(FOUND) == NOTHING


def test_exports_are_harmless_where_they_are_opened(page, new_page, tmp_path):
    turn_to(page, "live")
    rows = page.get_by_role("grid", name="Messages").get_by_role("row")
    rows.filter(has_text=REQUESTED).first.click()
    picture = saved(page, "SVG", tmp_path)
    alone = new_page()  # without the policy that the console comes with
    alone.goto(picture.as_uri())
    assert "<svg/onload>" in alone.evaluate("document.documentElement.textContent")
    assert alone.evaluate("window.__pwned") is None
    assert (
        alone.evaluate(
            "[...document.querySelectorAll('*')].filter((one) => one.attributes.length"
            " && [...one.attributes].some(({name}) => /^on|href/.test(name))"
            " || /script|foreignObject|image/i.test(one.tagName)).length"
        )
        == 0
    )
    rows.filter(has_text="malformed").first.click()
    page.keyboard.press("Escape")
    table = saved(page, "CSV", tmp_path).read_text(encoding="utf-8")
    assert FORMULA in table
    for delimiter in (",", ";"):
        cells = [
            cell for row in csv.reader(table.splitlines(), delimiter=delimiter) for cell in row
        ]
        assert [cell for cell in cells if cell.strip('"').startswith(("=", "+", "@"))] == []
