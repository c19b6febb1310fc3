"""Transactions as they are shown: found, bounded, harmless, and never a stall."""

from __future__ import annotations

import pytest
import trio

from sipx.control.errors import ControlError
from sipx.control.transactions import (
    SLICE,
    TransactionMethods,
    TransactionParams,
    TransactionsParams,
    short_id,
)
from sipx.sip import Request


@pytest.fixture
async def stage(scene):
    return await scene()


def listing(stage, **params):
    return TransactionMethods(stage.kernel).list(TransactionsParams(**params))


def show(stage, id_):
    return TransactionMethods(stage.kernel).show(TransactionParams(id=id_))


async def test_running_transactions_are_listed_the_newest_first(stage, autojump_clock):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    for name in ("ann", "bob"):
        home.ask("MESSAGE", f"sip:{name}@away.example")
        await away.next("MESSAGE")
    found = await listing(stage)
    assert (found.total, found.finished) == (2, 0)
    assert [one.uri for one in found.transactions] == [
        "sip:bob@away.example",
        "sip:ann@away.example",
    ]
    first = found.transactions[0]
    assert (first.kind, first.method, first.state, first.branches) == (
        "server",
        "MESSAGE",
        "Trying",
        1,
    )
    assert first.flow == "udp:127.0.2.1:5060"
    assert first.call_id.startswith("z9hG4bK")


async def test_finished_ones_are_counted_and_shown_when_asked_for(stage, autojump_clock):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)
    found = await listing(stage)
    assert (found.transactions, found.total, found.finished) == ((), 0, 1)
    [one] = (await listing(stage, finished=True)).transactions
    assert (one.method, one.state, one.uri) == ("MESSAGE", "Completed", "")
    state = await show(stage, one.id)
    assert [timer.name for timer in state.timers] == ["J"]


async def test_a_list_is_as_long_as_was_asked_for_and_tells_the_total(stage, autojump_clock):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    for _ in range(5):
        home.ask("MESSAGE", "sip:bob@away.example")
        await away.next("MESSAGE")
    found = await listing(stage, limit=2)
    assert (len(found.transactions), found.total) == (2, 5)


async def test_one_is_shown_with_its_branches_timers_and_parties(stage, autojump_clock):
    home, near, far, last = (stage.raw(f"{n}.example") for n in ("home", "near", "far", "last"))
    stage.fork("away.example", [near, far], [last])
    home.ask("INVITE", "sip:bob@away.example", call_id="call-7")
    near.answer(await near.next("INVITE"), 180)
    await far.next("INVITE")
    await home.next(180)
    [listed] = (await listing(stage)).transactions
    one = await show(stage, listed.id)
    assert (one.method, one.state, one.call_id) == ("INVITE", "Proceeding", "call-7")
    assert (one.from_uri, one.to_uri) == ("sip:user@home.example", "sip:bob@away.example")
    assert (one.sender, one.interface, one.waiting_targets) == ("home.example", "udp", 1)
    timer_c = {timer.name: timer.left for timer in one.timers}
    assert timer_c["C"] == pytest.approx(185, abs=1)
    by_hop = {branch.hop: branch for branch in one.tried}
    ringing, calling = by_hop["udp:127.0.2.2:5060"], by_hop["udp:127.0.2.3:5060"]
    assert (ringing.state, ringing.timers) == ("Proceeding", ())
    assert calling.state == "Calling"
    assert [timer.name for timer in calling.timers] == ["A", "B"]
    assert calling.timers[1].left == pytest.approx(32, abs=1)
    assert calling.branch.startswith("z9hG4bK")
    assert (calling.target, calling.answer, calling.hops_left) == ("lab", None, 0)


@pytest.mark.parametrize(
    ("status", "state", "timers"), [(200, "Accepted", ["L"]), (486, "Completed", ["G", "H"])]
)
async def test_an_answered_invite_shows_what_it_waits_for(
    stage, autojump_clock, status, state, timers
):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), status)
    await home.next(status)
    [listed] = (await listing(stage, finished=True)).transactions
    one = await show(stage, listed.id)
    assert (one.state, [timer.name for timer in one.timers]) == (state, timers)
    assert one.method == "INVITE"


async def test_an_id_may_be_cut_or_be_the_branch_as_long_as_it_names_one(stage, autojump_clock):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    for number in range(2):
        home.ask("MESSAGE", "sip:bob@away.example", branch=f"z9hG4bK-{number}")
        await away.next("MESSAGE")
    listed = (await listing(stage)).transactions
    for one in listed:
        assert (await show(stage, one.id[:6])).id == one.id
        assert (await show(stage, one.id.upper())).id == one.id
    assert (await show(stage, "z9hG4bK-1")).id == listed[0].id
    with pytest.raises(ControlError, match="there is no transaction 'ffffff', or it has ended"):
        await show(stage, "ffffff")


async def test_an_id_that_names_several_is_told_which(stage, autojump_clock, monkeypatch):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    for method in ("MESSAGE", "OPTIONS"):
        home.ask(method, "sip:bob@away.example", branch="z9hG4bK-same")
        await away.next(method)
    with pytest.raises(ControlError, match="'z9hG4bK-same' is the beginning of several: "):
        await show(stage, "z9hG4bK-same")


async def test_a_request_of_rfc_2543_is_shown_too(stage, autojump_clock):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example", branch="old")
    await away.next("MESSAGE")
    [one] = (await listing(stage)).transactions
    assert one.method == "MESSAGE"
    assert (await show(stage, one.id)).branch == ""


async def test_requests_of_the_proxy_itself_are_shown_as_clients(stage, nursery, autojump_clock):
    away = stage.raw("away.example")
    request = Request.build(
        b"OPTIONS",
        b"sip:away.example",
        [(b"From", b"<sip:p@home.example>;tag=p"), (b"To", b"<sip:away.example>")],
    )
    held = stage.kernel.handle("lab")
    nursery.start_soon(held.send_request, request, stage.target(away))
    asked = await away.next("OPTIONS")
    [one] = (await listing(stage)).transactions
    assert (one.kind, one.method, one.state, one.flow) == (
        "client",
        "OPTIONS",
        "Trying",
        "udp:127.0.2.1:5060",
    )
    shown = await show(stage, one.id)
    assert [timer.name for timer in shown.timers] == ["E", "F"]
    assert shown.branch == asked.branch.decode()
    away.answer(asked, 200)


async def test_what_a_peer_wrote_reaches_no_terminal(stage, autojump_clock):
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example", call_id="a\u009b31mé")
    await away.next("MESSAGE")
    [one] = (await listing(stage)).transactions
    assert one.call_id.isprintable()
    assert one.call_id == "a\\x9b31mé"


async def test_others_run_again_and_again_while_a_large_table_is_looked_through(stage):
    servers = stage.kernel.transactions.servers
    servers.update({b"z9hG4bK%d 127.0.0.1:5060 MESSAGE" % n: b"" for n in range(200_000)})
    turns = 0
    done = False

    async def others():
        nonlocal turns
        while not done:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        found = await listing(stage, limit=10, finished=True)
        done = True
    assert (len(found.transactions), found.total) == (10, 200_000)
    assert turns >= 200_000 / SLICE - 1  # the other one may have had the first turn
    last = found.transactions[-1]
    assert (await show(stage, last.id)).id == last.id
    servers.clear()


async def test_a_table_that_changes_meanwhile_is_no_trouble(stage):
    servers = stage.kernel.transactions.servers
    servers.update({b"z9hG4bK%d 127.0.0.1:5060 MESSAGE" % n: b"" for n in range(5000)})

    async def change():
        for n in range(5000):
            servers.pop(b"z9hG4bK%d 127.0.0.1:5060 MESSAGE" % n, None)
            servers[b"z9hG4bKx%d 127.0.0.1:5060 MESSAGE" % n] = b""
            if n % 100 == 0:
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change)
        found = await listing(stage, limit=1000, finished=True)
    servers.clear()
    assert 0 < found.total <= 5000


def test_ids_are_short_and_differ():
    ids = {short_id(b"key %d" % n) for n in range(1000)}
    assert len(ids) == 1000
    assert {len(one) for one in ids} == {10}
