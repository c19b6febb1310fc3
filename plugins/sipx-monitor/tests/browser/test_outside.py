"""What the world sees of us: Detect IP with a STUN server, and the record in the DNS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from .console import changed, draft_bar, save, turn_to
from .proxy import PATIENCE, Sipx
from .site import write_site

HERE, FIRST, SECOND = "127.0.0.1", "127.0.0.2", "127.0.0.3"
ZONE = """\
_sipfederationtls._tcp.example.com. 60 IN SRV 0 0 {port} sip.example.com.
sip.example.com. 60 IN A 127.0.0.1
"""


def free_port(host, kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def stun_port():
    return free_port(FIRST, socket.SOCK_DGRAM)


@pytest.fixture(scope="module")
def federation_port():
    return free_port(HERE, socket.SOCK_STREAM)


@pytest.fixture(scope="module")
def sipx(browser, people, stun_port, federation_port, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    people.dns.load(ZONE.format(port=federation_port))
    text = write_site(folder, people)
    for before, after in (
        ("servers = []  # nobody is asked", f'servers = ["{FIRST}:{stun_port}"]\ntimeout = "2s"'),
        ('servers = ["127.0.0.1:9"]', f'servers = ["{people.dns.server}"]'),
        (
            'enabled = false\nbind = "127.0.0.1"\nport = 0\n\n[stun]',
            f'enabled = true\nbind = "127.0.0.1"\nport = {federation_port}\n\n[stun]',
        ),
    ):
        assert before in text
        text = text.replace(before, after)
    proxy = Sipx(folder, text)
    with proxy.running():
        yield proxy


@pytest.fixture
def silence(stun_port):
    """Something that is asked and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((FIRST, stun_port))
        yield silent


@pytest.fixture
def start_stun(stun_port):
    """Start a STUN server: Debian's stund where it is installed, else our own for tests."""
    running = []

    def start():
        other = free_port(FIRST, socket.SOCK_DGRAM)
        if stund := shutil.which("stund", path="/usr/bin:/usr/sbin"):
            command = [stund, "-h", FIRST, "-a", SECOND, "-p", f"{stun_port}", "-o", f"{other}"]
        else:
            command = [sys.executable, "-m", "sipx_stun.testing", FIRST, SECOND]
            command += [f"{stun_port}", f"{other}"]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    yield start
    for server in running:
        server.terminate()
        server.wait(PATIENCE)


def test_detect_ip_with_nobody_who_answers_and_with_a_server(
    page, sipx, original, silence, start_stun, stun_port
):
    main = turn_to(page, "wan")
    detect = main.get_by_role("button", name="Detect IP")
    detect.click()
    expect(main.get_by_role("progressbar", name="Detecting the public address")).to_be_visible()
    expect(main).to_contain_text(f"Asking {FIRST}:{stun_port}")
    expect(main.get_by_role("alert")).to_contain_text("answer")
    expect(draft_bar(page)).to_have_count(0)
    silence.close()
    start_stun()
    detect.click()
    expect(main.get_by_text(f"says {FIRST}:{stun_port}")).to_be_visible()
    expect(main).to_contain_text("It is the address of this machine: there is no NAT")
    expect(main.get_by_role("alert")).to_have_count(0)
    expect(main.get_by_label("Public IP address or name")).to_have_value(HERE)
    save(page)
    assert changed(original, sipx.text) == [
        '-public_address = "192.0.2.1"  # from the provider\'s letter',
        '+public_address = "127.0.0.1"  # from the provider\'s letter',
    ]
    nat = turn_to(page, "nat")
    expect(nat).to_contain_text("Open Internet")
    expect(nat).to_contain_text("The world sees the address of this machine.")
    facts = nat.get_by_role("region", name="NAT type")
    expect(facts.get_by_text(HERE).first).to_be_visible()
    nat.get_by_role("button", name="Detect now").click()
    expect(page.get_by_role("status").filter(has_text=f"Found: {HERE}")).to_be_visible()
    addresses = nat.get_by_role("table", name="Public addresses so far")
    expect(addresses.get_by_role("row").filter(has_text=HERE)).to_have_count(1)
    interface = turn_to(page, "federation").get_by_role("region", name="Interface", exact=True)
    expect(interface).to_contain_text("Open Internet")


def test_the_record_that_leads_to_us(page, sipx, original, people, federation_port):
    main = turn_to(page, "federation")
    expect(main).to_contain_text("Partners get through: the record leads to sip.example.com")
    card = main.get_by_role("region", name="Certificate", exact=True)
    for words in (HERE, f"{federation_port}", "ms-suffix"):
        expect(card.get_by_role("definition").filter(has_text=words)).to_be_visible()
    people.dns.load("")
    main.get_by_role("button", name="Look again").click()
    expect(main).to_contain_text("No record is published yet")  # not what was known before
    expect(main).to_contain_text("Partners do not get through")
    people.dns.load(ZONE.format(port=federation_port))
