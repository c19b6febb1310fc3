"""The ladder of a call, and of messages of several."""

from __future__ import annotations

import pytest
from sipx_monitor.traffic.ladder import ladder_of

from sipx import ControlError


async def test_a_call_is_shown_on_both_sides_of_the_proxy(ask):
    call = ask.recorder.call()
    ladder = await ask("ladder", dialog=call[0].dialog.id)
    assert [(one.label, one.kind) for one in ladder.participants] == [
        ("192.0.2.7:5060", "peer"),
        ("sipx", "sipx"),
        ("far.example", "peer"),
    ]
    assert [(step.label, step.source, step.target, step.cls) for step in ladder.steps] == [
        ("INVITE", 0, 1, "request"),
        ("100 Trying", 1, 0, "1xx"),
        ("INVITE", 1, 2, "request"),
        ("180 Ringing", 2, 1, "1xx"),
        ("180 Ringing", 1, 0, "1xx"),
        ("200 OK", 2, 1, "2xx"),
        ("200 OK", 1, 0, "2xx"),
        ("ACK", 0, 1, "request"),
        ("ACK", 1, 2, "request"),
    ]
    assert [step.sdp for step in ladder.steps[:3]] == [True, False, True]
    assert ladder.steps[8].offset == pytest.approx(0.08)
    assert ladder.steps[8].gap == pytest.approx(0.01)
    assert ladder.title == "INVITE sip:alice@home.example → sip:bob@far.example"
    assert ladder == await ask("ladder", call_id="call-1")


async def test_messages_of_several_calls_stand_in_one_ladder(ask):
    ask.recorder.call(1)
    ask.recorder.call(2)
    ladder = await ask("ladder", seqs=[1, 3, 10, 12])
    assert (ladder.call_id, ladder.title) == ("", "4 messages")
    assert len(ladder.participants) == 3  # the same neighbours


async def test_what_is_asked_for_has_to_be_one_thing(ask):
    with pytest.raises(ControlError, match="give one of dialog, call_id and seqs"):
        await ask("ladder")
    with pytest.raises(ControlError, match="no message of the dialog 'x' is kept"):
        await ask("ladder", call_id="x")


def test_where_nobody_knows_the_proxy_each_address_has_a_column(recorder):
    ladder = ladder_of(recorder.call(), directed=False)
    assert [one.kind for one in ladder.participants] == ["peer"] * 4
    assert [one.label for one in ladder.participants] == [
        "192.0.2.7:5060", "10.0.0.1:5060", "10.0.0.1:5061", "198.51.100.9:5061",
    ]  # fmt: skip


def test_an_empty_ladder():
    assert ladder_of([]).steps == ()
