"""Who guesses passwords, and what comes of it."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from sipx_lan import BanEnded, SourceBanned, bans
from sipx_lan.bans import BanLimits, Bans, source_of

from sipx.testing import NoAnswerError

LIMITS = BanLimits(ban_after=4, ban_time=60.0, window=600.0)
A, B = "192.0.2.1", "192.0.2.2"


def guess(table, address=A, *, times, user=b"bob", now=0.0):
    return [table.failed(address, user, now) for _ in range(times)]


def test_a_source_is_banned_after_so_many_wrong_attempts():
    table = Bans(LIMITS)
    found = guess(table, times=4)
    assert [failed.in_a_row for failed in found] == [1, 2, 3, 4]
    assert [failed.banned for failed in found] == [0.0, 0.0, 0.0, 60.0]
    assert table.banned(A, 59.0)
    assert not table.banned(A, 60.0)
    assert not table.banned(B, 1.0)


def test_attempts_with_several_user_names_count_together():
    table = Bans(LIMITS)
    found = [table.failed(A, b"user%d" % number, 0.0) for number in range(4)]
    assert [failed.in_a_row for failed in found] == [1, 1, 1, 1]
    assert table.banned(A, 1.0)


def test_attempts_from_several_sources_ban_none_of_them():
    table = Bans(LIMITS)
    for number in range(100):
        table.failed(f"192.0.2.{number}", b"bob", 0.0)
    assert table.current(1.0) == {}


def test_attempts_on_one_user_are_counted_over_all_sources():
    table = Bans(LIMITS)
    found = [table.failed(f"192.0.2.{n}", b"Bob" if n % 2 else b"bob", 0.0) for n in range(5)]
    assert [failed.everywhere for failed in found] == [1, 2, 3, 4, 5]
    assert table.failed(A, b"bob", 700.0).everywhere == 1


def test_old_attempts_do_not_count():
    table = Bans(LIMITS)
    guess(table, times=3, now=0.0)
    assert guess(table, times=1, now=601.0)[0] == bans.Failed(1, 0.0, 1, 1)


def test_each_ban_is_twice_as_long_up_to_a_day_and_forgotten_after_one():
    table = Bans(LIMITS)
    now, lengths = 0.0, []
    for _ in range(13):
        length = guess(table, times=4, now=now)[-1].banned
        lengths.append(length)
        now += length
    assert lengths[:4] == [60.0, 120.0, 240.0, 480.0]
    assert lengths[-1] == 86400.0
    assert guess(table, times=4, now=now + 86401.0)[-1].banned == 60.0


def test_a_right_password_forgives_its_own_user_only():
    table = Bans(LIMITS)
    guess(table, times=2, user=b"mallory")
    table.succeeded(A, b"Mallory")
    assert guess(table, times=1, user=b"mallory")[0].failures == 1
    guess(table, times=2, user=b"bob")
    table.succeeded(A, b"mallory")
    assert guess(table, times=2, user=b"bob")[-1].banned == 60.0


def test_an_ended_ban_is_told_once():
    table = Bans(LIMITS)
    guess(table, times=4)
    assert table.ended(59.0) == []
    assert table.ended(60.0) == [A]
    assert table.ended(61.0) == []
    assert table.ended(60.0 + bans.MEMORY) == []
    assert len(table) == 0


def test_a_ban_is_ended_by_hand_and_forgotten():
    table = Bans(LIMITS)
    guess(table, times=4)
    guess(table, B, times=4)
    assert table.unban(A, 1.0) == [A]
    assert table.unban(A, 1.0) == []
    assert guess(table, times=4, now=2.0)[-1].banned == 60.0
    assert table.unban("", 3.0) == [B, A]


def test_of_ipv6_the_64_counts():
    table = Bans(LIMITS)
    for number in range(4):
        table.failed(f"2001:db8:0:1::{number}", b"bob", 0.0)
    assert table.banned("2001:db8:0:1:ffff::1", 1.0)
    assert not table.banned("2001:db8:0:2::1", 1.0)
    assert list(table.current(1.0)) == ["2001:db8:0:1::/64"]
    assert table.unban("2001:db8:0:1::/64", 1.0) == ["2001:db8:0:1::/64"]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:DB8::1", "2001:db8::/64"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("unix", "unix"),
    ],
)
def test_what_one_source_is(address, source):
    assert source_of(address) == source


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.binary(max_size=3), st.floats(0, 100), st.booleans())
    )
)
def test_the_tables_stay_bounded(attempts):
    table = Bans(BanLimits(ban_after=3, ban_time=1.0, window=50.0))
    now = 0.0
    before, bans.SOURCES = bans.SOURCES, 8
    try:
        for number, user, step, right in attempts:
            now += step
            address = f"10.0.{number // 256}.{number % 256}"
            if right:
                table.succeeded(address, user)
            else:
                table.failed(address, user, now)
            assert len(table) <= 24
    finally:
        bans.SOURCES = before


# ---------------------------------------------------------------- on the wire


async def brute_force(site, client, *, times):
    """Wrong passwords until nobody answers; the statuses."""
    found = []
    for number in range(times):
        try:
            response = await client.message(password=f"guess {number}")
        except NoAnswerError:
            found.append(0)
        else:
            found.append(response.status)
    return found


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_brute_force_is_asked_refused_and_then_not_answered(
    start_site, autojump_clock, transport
):
    site = await start_site(protocol=transport, ban_after=5, ban_time="150s")
    attacker, owner = site.client(transport=transport), site.client(transport=transport)
    source = attacker.agent.place[0]
    found = await brute_force(site, attacker, times=7)
    assert found == [407, 407, 403, 403, 403, 0, 0]
    [event] = site.events(SourceBanned)
    assert (event.source, event.seconds, event.failures) == (source, 150.0, 5)
    counts = site.proxy.plugin("lan").status_sections()["logons"]
    assert (counts.wrong, counts.bans) == (5, 1)
    # Also with the right password, and as any user; others are not concerned.
    with pytest.raises(NoAnswerError):
        await attacker.message()
    assert (await owner.message()).status == 200
    if transport == "tcp":
        assert all(flow.address != source for flow in site.proxy.kernel.flows)
    await trio.sleep(160)  # by TCP nothing was waited for: the connection was closed
    with trio.fail_after(100_000):
        while not site.events(BanEnded):  # who tells of it may be waiting for a real disk
            await trio.sleep(10)
    assert [event.source for event in site.events(BanEnded)] == [source]
    assert (await attacker.message()).status == 200


async def test_a_registered_connection_of_a_banned_source_stays(start_site, autojump_clock):
    site = await start_site(protocol="udp", ban_after=3)
    server = site.client(transport="udp")
    assert (await server.register()).status == 200
    await brute_force(site, server, times=1)  # the registration answers for it, whatever it says
    from_elsewhere = site.proxy.peer("home.example", transport="udp", routed=False)
    assert from_elsewhere.place != server.agent.place
    for _ in range(3):
        site.judge.bans.failed(server.agent.place[0], b"somebody", site.proxy.kernel.clock())
    assert site.judge.bans.banned(server.agent.place[0], site.proxy.kernel.clock())
    assert (await server.message()).status == 200


async def test_who_shares_a_registered_connection_cannot_cut_it(
    start_site, autojump_clock, client_of
):
    accounts = {
        "berlin": {"password": "b", "users": ["anna"]},
        "munich": {"password": "m", "users": ["max"]},
    }
    site = await start_site(ban_after=3, server=accounts)
    server = site.client(user="berlin", password="b")
    assert (await server.register()).status == 200
    flow = site.flow_of(server)
    other = client_of(server.agent, "munich", "wrong")
    for _ in range(3):
        await other.message(sender="sip:max@home.example")
    with pytest.raises(NoAnswerError):
        await other.message(sender="sip:max@home.example")
    assert not flow.closed
    assert (await server.message(sender="sip:anna@home.example")).status == 200


async def test_wrong_credentials_that_answer_no_question_of_ours_count_for_nobody(
    start_site, autojump_clock
):
    """A datagram with a forged source cannot know what its owner was asked."""
    site = await start_site(protocol="udp", ban_after=2)
    client, other = site.client(transport="udp"), site.client(transport="udp")
    request = client.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    asked_there = await other.agent.send(request)
    for _ in range(5):
        forged = client.answer(request, asked_there, password="wrong")
        assert (await client.agent.send(forged)).status == 407
    assert site.judge.bans.current(site.proxy.kernel.clock()) == {}


async def test_the_wan_side_does_not_answer_a_banned_source_either(start_site, autojump_clock):
    site = await start_site(protocol="udp", ban_after=2)
    attacker = site.client(transport="udp")
    await brute_force(site, attacker, times=2)
    attacker.agent.proxy = site.proxy.place("udp")
    with pytest.raises(NoAnswerError):
        await attacker.message()


async def test_a_ban_is_one_clean_line_in_the_log(start_site, autojump_clock, caplog):
    caplog.set_level("INFO", "sipx")
    site = await start_site(ban_after=3, ban_time="90s")
    attacker = site.client(user="bob\tx")
    await brute_force(site, attacker, times=4)
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("banned")]
    assert lines == [f"banned {attacker.agent.place[0]} for 90 s after 3 wrong logons"]
    wrong = [r.getMessage() for r in caplog.records if r.getMessage().startswith("wrong")]
    source = attacker.agent.place[0]
    assert wrong == [
        rf"wrong credentials for 'bob\tx' from {source} ({number} in a row)" for number in (1, 2, 3)
    ]
    assert not any("guess" in record.getMessage() for record in caplog.records)
    assert "without an answer: the source is banned" in caplog.text


async def test_guessing_one_user_from_many_sources_is_told_and_locks_nobody_out(
    start_site, autojump_clock, caplog
):
    site = await start_site()
    for number in range(105):
        failed = site.judge.bans.failed(f"192.0.2.{number}", b"ucserver", 0.0)
        site.judge._observer.failed(b"ucserver", f"192.0.2.{number}", failed)
    lines = [r.getMessage() for r in caplog.records if "wrong logons" in r.getMessage()]
    assert lines == ["100 wrong logons as ucserver, from whatever sources"]
    assert (await site.client().message()).status == 200
