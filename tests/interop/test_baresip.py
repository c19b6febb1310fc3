"""Two baresips, each an account of its own, exchange presence and messages through sipx."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .baresip import Baresip
from .programs import program, wait_until
from .site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

# baresip's digest knows MD5 only, and gives up where anything else is offered.
TABLES = """
[lan]

[lan.server.ada]
kind = "user"
password = "Analytical"
allow_md5 = "only"

[lan.server.bob]
kind = "user"
password = "Bricks"
allow_md5 = "only"

[registrar]
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Site, Baresip, Baresip]]:
    program("baresip")
    site = Site(tmp_path, TABLES)
    tcp = site.lan["tcp"]
    ada = Baresip(
        tmp_path, "ada", address="127.0.0.20", password="Analytical", buddy="bob", sipx=tcp
    )
    bob = Baresip(tmp_path, "bob", address="127.0.0.21", password="Bricks", buddy="ada", sipx=tcp)
    ada.wait_registered()
    bob.wait_registered()
    yield site, ada, bob
    for one in (bob, ada, site):
        one.end()


def test_a_pair_exchanges_presence_and_messages(pair: tuple[Site, Baresip, Baresip]) -> None:
    site, ada, bob = pair
    assert {row["user"].partition("@")[0] for row in site.registrations()} == {"ada", "bob"}
    ada.watch()
    bob.watch()
    # baresip asks again after 30 s where the first SUBSCRIBE was too early for its buddy.
    for one in (ada, bob):
        wait_until(lambda one=one: one.presence_of_buddy() == "Online", "the presence", 90)  # type: ignore[misc]
    ada.say("good morning, bob")
    bob.wait_heard("good morning, bob")
    bob.say("and to you, ada")
    ada.wait_heard("and to you, ada")
    for watched, watcher in ((ada, bob), (bob, ada)):
        watched.command("presence_offline")
        wait_until(lambda one=watcher: one.presence_of_buddy() == "Offline", "the change")  # type: ignore[misc]
        watched.command("presence_online")
        wait_until(lambda one=watcher: one.presence_of_buddy() == "Online", "the change back")  # type: ignore[misc]


def test_one_with_a_wrong_password_is_not_registered(tmp_path: Path) -> None:
    program("baresip")
    site = Site(tmp_path, TABLES)
    tcp = site.lan["tcp"]
    ada = Baresip(tmp_path, "ada", address="127.0.0.20", password="wrong", buddy="bob", sipx=tcp)
    site.wait_logged("REGISTER", "refused")
    assert "OK" not in ada.command("reginfo")
    assert not site.registrations()
    ada.end()
    site.end()
