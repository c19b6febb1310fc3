"""Sources that are never banned, and the user names that are refused there."""

from __future__ import annotations

import pytest
import trio
from sipx_lan import SourceBanned, spared
from sipx_lan.bans import BanLimits, Bans

from sipx.testing import NoAnswerError

EDGE, SITE, OTHER = "192.0.2.1", "2001:db8::5", "198.51.100.1"
LIMITS = BanLimits(4, 60.0, 600.0, max_failures=3, never=("192.0.2.0/30", f"{SITE}/128"))


def guess(table, address=EDGE, *, times, user=b"bob", now=0.0):
    return [table.failed(address, user, now) for _ in range(times)]


def test_a_source_of_the_list_is_never_banned_but_a_user_name_is_refused():
    table = Bans(LIMITS)
    found = guess(table, times=3) + [table.failed(EDGE, b"user%d" % n, 0.0) for n in range(20)]
    assert [failed.banned for failed in found] == [0.0] * 23
    assert [failed.denied for failed in found] == [0.0, 0.0, 600.0] + [0.0] * 20
    assert not table.banned(EDGE, 1.0)
    assert table.denied(EDGE, b"Bob", 599.0)
    assert not table.denied(EDGE, b"bob", 600.0)
    assert not table.denied(EDGE, b"user1", 1.0)
    assert not table.denied("192.0.2.2", b"bob", 1.0)
    assert guess(table, OTHER, times=4)[-1].banned == 60.0


def test_when_the_window_has_passed_the_row_begins_anew():
    table = Bans(LIMITS)
    guess(table, times=3)
    assert [failed.in_a_row for failed in guess(table, times=3, now=600.0)] == [1, 2, 3]
    assert table.denied(EDGE, b"bob", 601.0)


def test_the_right_password_ends_a_row():
    table = Bans(LIMITS)
    guess(table, times=2)
    table.succeeded(EDGE, b"BOB")
    assert len(table) == 1  # the count over all sources
    assert guess(table, times=2)[-1].denied == 0.0


def test_one_address_of_the_list_does_not_spare_its_whole_64():
    table = Bans(LIMITS)
    guess(table, SITE, times=4)
    assert table.denied(SITE, b"bob", 1.0)
    assert not table.denied("2001:db8::6", b"bob", 1.0)
    guess(table, "2001:db8::6", times=4)
    assert table.banned("2001:db8::7", 1.0)
    assert not table.banned(SITE, 1.0)


def test_a_user_name_is_let_in_again_by_hand():
    table = Bans(LIMITS)
    guess(table, times=3)
    guess(table, times=1, user=b"max")
    guess(table, "192.0.2.2", times=3)
    assert table.unban(EDGE, 1.0) == [EDGE]
    assert not table.denied(EDGE, b"bob", 1.0)
    assert table.unban("", 1.0) == ["192.0.2.2"]
    assert not table.denied("192.0.2.2", b"bob", 1.0)


def test_a_list_that_a_reload_brings_ends_the_bans_of_its_sources():
    old = Bans(BanLimits(4, 60.0, 600.0))
    for address in (EDGE, SITE, "2001:db8:1::1", OTHER):
        guess(old, address, times=4)
    never = (*LIMITS.never, "2001:db8:1::/48")
    table = Bans(BanLimits(4, 60.0, 600.0, never=never))
    table.take_over(old)
    # Of SITE a single address is listed, and its /64 is what was banned.
    assert list(table.current(1.0)) == ["2001:db8::/64", OTHER]
    assert table.ended(1.0) == [EDGE, "2001:db8:1::/64"]
    guess(table, times=3)
    again = Bans(LIMITS)
    again.take_over(table)
    assert again.denied(EDGE, b"bob", 1.0)
    without = Bans(BanLimits(4, 60.0, 600.0))
    without.take_over(again)
    assert not without.denied(EDGE, b"bob", 1.0)


def test_the_table_is_bounded_and_forgets(monkeypatch):
    monkeypatch.setattr(spared, "ROWS", 8)
    table = spared.Spared([EDGE], 3, 50.0)
    for number in range(100):
        table.failed(EDGE, b"%d" % number, float(number))
    assert len(table) == 8
    table.sweep(145.0)
    assert len(table) == 4
    table.sweep(149.0)
    assert not table


# ---------------------------------------------------------------- on the wire


async def tried(client, *, times, password="wrong", **more):
    return [(await client.message(password=password, **more)).status for _ in range(times)]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_guessing_one_account_behind_an_edge_is_slowed_and_silences_nobody(
    start_site, autojump_clock, caplog, transport
):
    caplog.set_level("INFO", "sipx")
    accounts = {"munich": {"password": "m"}}
    site = await start_site(
        protocol=transport, ban_after=4, never_ban="127.0.0.0/8", server=accounts
    )
    attacker = site.client(transport=transport)
    assert await tried(attacker, times=6) == [407, 407, 403, 403, 403, 403]
    # The right password is not looked at, and an unknown user gets the same answers.
    assert (await attacker.message()).status == 403
    nobody = {"user": "nobody", "sender": "sip:nobody@home.example"}
    assert await tried(attacker, times=4, **nobody) == [407, 407, 403, 403]
    assert (await attacker.message(user="munich", password="m")).status == 200
    assert site.events(SourceBanned) == []
    totals = site.proxy.plugin("lan").status_sections()["logons"]
    assert (totals.wrong, totals.bans) == (6, 0)
    source = attacker.agent.place[0]
    lines = [r.getMessage() for r in caplog.records if " is refused from " in r.getMessage()]
    assert lines == [
        f"'{user}' is refused from {source} for 600 s after 3 wrong logons in a row"
        for user in ("ucserver", "nobody")
    ]
    await trio.sleep(600)
    assert (await attacker.message()).status == 200


async def test_who_is_not_on_the_list_is_banned_as_ever(start_site, autojump_clock):
    site = await start_site(ban_after=2, never_ban=["10.0.0.0/8"])
    attacker = site.client()
    assert await tried(attacker, times=2) == [407, 407]
    with pytest.raises(NoAnswerError):
        await attacker.message()


async def test_forged_credentials_of_a_refused_user_name_are_asked_like_any(
    start_site, autojump_clock
):
    """Only who has received a question learns that a user name is refused."""
    site = await start_site(protocol="udp", never_ban="127.0.0.0/8")
    client, other = site.client(transport="udp"), site.client(transport="udp")
    await tried(client, times=3)
    request = client.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    asked_there = await other.agent.send(request)
    forged = client.answer(request, asked_there)
    assert (await client.agent.send(forged)).status == 407
