"""Over the network: by TLS and with a password, and what becomes of whoever has another one."""

from __future__ import annotations

import ipaddress
import re
import socket

import pytest
from playwright.sync_api import expect

from .console import draft_bar, turn, turn_to
from .proxy import Sipx
from .site import write_site

OLD, NEW = "correct horse battery", "another staple entirely"


def address_of_the_network() -> str:
    """One that others could reach; that of loopback where the machine has no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return "127.0.0.1"
        address: str = asking.getsockname()[0]
    return address


HERE = address_of_the_network()


@pytest.fixture(scope="module")
def sipx(browser, people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("secured")
    more = f'bind = "{HERE}"\ncertificate = "main"\nauth = "password"\n'
    with socket.create_server((HERE, 0)) as free:  # what is made anew keeps its place
        port = free.getsockname()[1]
    proxy = Sipx(folder, write_site(folder, people, more=more, console=port))
    proxy.command("console", "password", "ada", "--role", "admin", "--stdin", typed=f"{OLD}\n")
    with proxy.running():
        yield proxy


@pytest.fixture
def address(sipx):
    return sipx.first_link.partition("#")[0]


def log_on(page, password=OLD, user="ada"):
    page.get_by_label("User", exact=True).fill(user)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log on").click()


def entered(page):
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


def test_all_goes_over_tls_and_the_cookie_too(new_page, address):
    page = new_page()
    sockets = []
    page.on("websocket", lambda one: sockets.append(one.url))
    page.goto(f"{address}#/nat")
    log_on(page)
    expect(page.get_by_text("connected", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("NAT and STUN")
    assert page.url == f"{address}#/nat"
    assert sockets == [address.replace("https:", "wss:") + "ws"]
    [cookie] = page.context.cookies()
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")


@pytest.mark.skipif(
    ipaddress.ip_address(HERE).is_loopback, reason="this machine has no address but of loopback"
)
def test_it_listens_where_others_can_reach_it(address):
    assert address.startswith(f"https://{HERE}:")


def test_who_forgets_the_s_of_https_is_told(new_page, address):
    page = new_page()
    answer = page.goto(address.replace("https:", "http:"))
    assert answer.status == 400
    expect(page.locator("body")).to_contain_text(f"this port speaks TLS only: {address}")
    # The browser finds that a header for HTTPS came without it.
    assert all("Cross-Origin-Opener-Policy" in fault for fault in new_page.faults)
    new_page.faults.clear()


def test_a_wrong_password_is_told_beside_it_and_guessing_has_to_wait(sipx, new_page, address):
    page = new_page()
    page.goto(address)
    for _ in range(5):
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            log_on(page, "wrong")
    field = page.get_by_label("Password", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("The user or the password is wrong.")
    button = page.get_by_role("button", name="Log on")
    log_on(page)  # the right one does not help now
    expect(field).to_have_accessible_description(
        re.compile(r"^Too many attempts\. Try again in \d+ s\.$")
    )
    expect(button).to_be_disabled()
    german = new_page(locale="de-DE")
    german.goto(address)
    german.get_by_label("Benutzer", exact=True).fill("ada")
    german.get_by_label("Passwort", exact=True).fill("wrong")
    german.get_by_role("button", name="Anmelden").click()
    expect(german.get_by_role("alert")).to_have_text(
        re.compile(r"^Zu viele Versuche\. In \d+ s geht es wieder\.$")
    )
    page.reload()
    page.get_by_role("tab", name="Link or token").click()
    page.get_by_label("Token, or the whole link").fill(sipx.link())  # who has one need not wait
    page.get_by_role("button", name="Log on").click()
    entered(page)


def test_who_is_logged_off_elsewhere_comes_back_to_where_they_were(new_page, address):
    page = new_page()
    page.goto(f"{address}#/wan")
    log_on(page)
    other_address = turn_to(page, "wan").get_by_label("Use other public address")
    turn(other_address)
    expect(draft_bar(page)).to_be_visible()
    other = page.context.new_page()
    other.goto(address)
    other.get_by_role("button", name="You and this browser").click()
    other.get_by_role("button", name="Log out").click()
    expect(other.get_by_role("button", name="Log on")).to_be_visible()
    expect(other.get_by_text("The session has ended")).to_have_count(0)
    expect(page.get_by_text("The session has ended")).to_be_visible(timeout=3000)
    log_on(page)
    expect(other_address).to_be_checked()
    assert page.url == f"{address}#/wan"
    draft_bar(page).get_by_role("button", name="Discard").click()


def test_another_password_ends_what_the_old_one_began(sipx, new_page, address):
    page, colleague = new_page(), new_page()
    for one, link in ((page, f"{address}#/routes"), (colleague, sipx.link())):
        one.goto(link)
    log_on(page)
    for one in (page, colleague):
        expect(one.get_by_text("connected", exact=True)).to_be_visible()
    text = sipx.text
    sipx.command("console", "password", "ada", "--stdin", "--apply", typed=f"{NEW}\n")
    try:
        expect(page.get_by_role("button", name="Log on")).to_be_visible()
        log_on(page, OLD)
        expect(page.get_by_role("alert")).to_have_text("The user or the password is wrong.")
        log_on(page, NEW)
        expect(page.get_by_role("heading", level=1)).to_have_text("Static routes")
        expect(colleague.get_by_text("connected", exact=True)).to_be_visible()
    finally:
        sipx.file.write_text(text, encoding="utf-8")
        sipx.command("reload")


def test_without_tls_it_is_refused_with_key_line_and_remedy(sipx, tmp_path):
    text = sipx.text.replace('certificate = "main"\nauth', "auth")
    wrong = Sipx(tmp_path, text.replace(f'bind = "{HERE}"\nauth', 'bind = "192.0.2.10"\nauth'))
    line = wrong.text.splitlines().index('bind = "192.0.2.10"') + 1
    said = " ".join(wrong.refused("check", "config").split())
    assert f"sipx.toml:{line}:8: monitor.bind: '192.0.2.10' can be reached" in said
    assert "without certificate passwords would be readable on the way" in said
    assert 'certificate = "NAME" of a [certificate.NAME], or bind = "127.0.0.1"' in said
