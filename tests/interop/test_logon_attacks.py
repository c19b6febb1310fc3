"""What is refused at the logon: hijacked registrations, replayed digests, guessed passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .raw_client import NothingHeardError, RawClient
from .site import DOMAIN, Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

OWNER, THIEF, OTHER = "127.0.0.20", "127.0.0.21", "127.0.0.22"
AOR = f"sip:{DOMAIN}"
TABLES = """
[lan]
max_failures = 3
ban_after = 6
ban_time = "10m"

[lan.server.berlin]
password = "Spree and Havel"
users = ["ada", "anna"]

[lan.server.munich]
password = "Isar, and Wuerm"
users = ["bob"]

[lan.server.carl]
kind = "user"
password = "alone"

[lan.server.dora]
kind = "user"
password = "also alone"

[registrar]
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    running = Site(tmp_path, TABLES)
    yield running
    running.end()


def bound(site: Site) -> dict[str, str]:
    """Where each user is registered."""
    return {row["user"].partition("@")[0]: row["contact"] for row in site.registrations()}


def client(site: Site, address: str, protocol: str = "tcp") -> RawClient:
    return RawClient(site.lan[protocol], protocol=protocol, address=address)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_binding_is_not_taken_over_without_the_owners_credentials(
    site: Site, protocol: str
) -> None:
    with client(site, OWNER, protocol) as owner, client(site, THIEF, protocol) as thief:
        assert owner.register_with("ada", "berlin", "Spree and Havel").status == 200
        before = bound(site)
        # Without credentials, and with those of another account that are right.
        challenged = thief.ask(thief.register("ada"))
        assert challenged.status == 401
        assert thief.register_with("ada", "munich", "Isar, and Wuerm").status == 403
        # A flow that has logged on may not bind more than its account may.
        assert thief.register_with("bob", "munich", "Isar, and Wuerm").status == 200
        assert thief.ask(thief.register("ada")).status == 401
        assert thief.register_with("ada", "munich", "Isar, and Wuerm").status == 403
        assert thief.register_with("ada", "munich", "Isar, and Wuerm", expires=0).status == 403
        third = thief.register("ada", sender=f"sip:bob@{DOMAIN}")
        assert thief.ask(third).status == 403
        assert bound(site) == {**before, "bob": bound(site)["bob"]}
        site.wait_logged("403", "munich")


def test_all_bindings_of_another_are_not_removed_by_a_star(site: Site) -> None:
    with client(site, OWNER) as owner, client(site, THIEF) as thief:
        assert owner.register_with("ada", "berlin", "Spree and Havel").status == 200
        assert thief.register_with("bob", "munich", "Isar, and Wuerm").status == 200

        def star(*headers: str) -> str:
            everything = ["Contact: *", "Expires: 0", *headers]
            return thief.request("REGISTER", AOR, to=f"sip:ada@{DOMAIN}", headers=everything)

        assert thief.prove(star, "munich", "Isar, and Wuerm").status == 403
        assert "ada" in bound(site)


def test_a_user_registers_and_speaks_for_nobody_else(site: Site) -> None:
    with client(site, OWNER) as carl, client(site, OTHER) as dora:
        assert carl.register_with("carl", "carl", "alone").status == 200
        assert dora.register_with("dora", "dora", "also alone").status == 200
        assert carl.register_with("dora", "carl", "alone").status == 403
        # Third-party: From says who registers, To whom.
        third = carl.register("dora", sender=f"sip:carl@{DOMAIN}")
        assert carl.ask(third).status == 403

        def message(*headers: str) -> str:
            return carl.message("carl", "dora", *headers)

        assert carl.ask(message()).status == 407
        assert carl.prove(message, "carl", "alone").status == 403
        assert str(dora.port) in bound(site)["dora"]


def test_a_replayed_digest_is_stale_and_changes_nothing(site: Site) -> None:
    with client(site, OWNER) as owner, client(site, THIEF) as thief:
        challenge = owner.challenges(owner.ask(owner.register("ada")))[0]
        value = challenge.answer("berlin", "Spree and Havel", "REGISTER", AOR)
        assert owner.ask(owner.register("ada", f"Authorization: {value}")).status == 200
        before = bound(site)
        # What was seen on the wire, from another place and from the same one.
        with client(site, OWNER) as same:
            for again in (thief, same):
                response = again.ask(again.register("ada", f"Authorization: {value}"))
                assert response.status == 401
                assert again.challenges(response)[0].parameters["stale"].lower() == "true"
        assert bound(site) == before
        # For another method, or another URI, it is not even a right answer.
        with client(site, OTHER) as other:
            text = other.message("bob", "ada", f"Proxy-Authorization: {value}")
            response = other.ask(text)
            assert response.status == 407


def test_a_nonce_of_another_source_is_of_no_use(site: Site) -> None:
    with client(site, OWNER) as owner, client(site, THIEF) as thief:
        challenge = owner.challenges(owner.ask(owner.register("ada")))[0]
        forged = challenge.answer("berlin", "Spree and Havel", "REGISTER", AOR)
        header = f"Authorization: {forged}".replace(
            challenge.parameters["nonce"], challenge.parameters["nonce"][::-1]
        )
        assert thief.ask(thief.register("ada", header)).status == 401
        assert not bound(site)


def test_unknown_users_and_wrong_passwords_get_the_same_answer(site: Site) -> None:
    shapes = []
    for address, account in ((THIEF, "berlin"), (OTHER, "nobody")):
        with client(site, address) as one:
            response = one.register_with("ada", account, "a guess")
            names = [line.partition(b":")[0] for line in response.lines]
            parameters = [sorted(c.parameters) for c in one.challenges(response)]
            shapes.append((response.status, response.start, names, parameters))
    assert shapes[0] == shapes[1]
    assert shapes[0][0] == 401


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_guessing_ends_in_403_and_then_in_silence(site: Site, protocol: str) -> None:
    seen: list[int] = []
    try:
        for number in range(40):
            with client(site, THIEF, protocol) as thief:
                challenge = None
                response = thief.ask(thief.register("ada"), 3)
                if response.status == 401:
                    challenge = thief.challenges(response)[0]
                    value = challenge.answer("berlin", f"xyzzy {number}", "REGISTER", AOR)
                    response = thief.ask(thief.register("ada", f"Authorization: {value}"), 3)
                seen.append(response.status)
    except (NothingHeardError, ConnectionError):
        seen.append(0)
    assert seen[:2] == [401, 401], seen
    assert 403 in seen, seen
    assert seen[-1] == 0, seen
    assert 200 not in seen
    site.wait_logged("ban", THIEF)
    assert "xyzzy" not in site.log()
    # It is the source that is banned, and not whoever is at another one.
    with client(site, OWNER, protocol) as owner:
        assert owner.register_with("ada", "berlin", "Spree and Havel").status == 200
    with client(site, OTHER, protocol) as other:
        assert other.register_with("bob", "munich", "Isar, and Wuerm").status == 200
