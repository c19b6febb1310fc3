"""Ladders in characters."""

from __future__ import annotations

import pytest
from sipx_monitor.terminal.monitor_ladder import drawn
from sipx_monitor.traffic.ladder import Ladder, LadderStep, Participant


def step(seq, source, target, label, **more):
    facts = {
        "seq": seq, "time": 0.0, "offset": 0.0, "gap": 0.0, "source": source, "target": target,
        "label": label, "note": "", "cls": "request", "retransmission": False, "sdp": False,
        "transport": "udp", "leg": 0, "marked": "", "twin": None,
    }  # fmt: skip
    return LadderStep.model_validate(facts | more)


def ladder(*steps, others=("bob",)):
    people = [
        Participant(id="a", label="alice", address="udp 10.0.0.2:5060", kind="peer"),
        Participant(id="sipx", label="sipx", address="", kind="sipx"),
        *(Participant(id=n, label=n, address=f"tls {n}:1", kind="peer") for n in others),
    ]
    return Ladder(title="t", call_id="c", participants=tuple(people), steps=steps)


def picture(found, width=80):
    return [rung.text.plain for rung in drawn(found, width)]


def test_a_call():
    lines = picture(
        ladder(
            step(1, 0, 1, "INVITE", sdp=True),
            step(2, 1, 2, "INVITE", sdp=True, offset=0.001),
            step(3, 2, 1, "180 Ringing", cls="1xx", offset=1.5, gap=1.499),
        )
    )
    assert [line.split() for line in lines[:2]] == [
        ["alice", "sipx", "bob"],
        ["udp", "10.0.0.2:5060", "tls", "bob:1"],
    ]
    assert "│─── INVITE (SDP) ───▶│" in lines[3].replace("─" * 4, "───")
    assert lines[4].startswith("    0.001")
    assert lines[5].split()[0:2] == ["+1.5", "s"]
    assert "◀" in lines[6]


def test_arrows_end_on_the_lines_of_life():
    found = ladder(step(1, 0, 1, "A"), step(2, 1, 2, "B"), step(3, 2, 1, "C"), step(4, 0, 2, "D"))
    lines = picture(found)
    places = [n for n, char in enumerate(lines[2]) if char == "│"]
    assert len(places) == 3
    for line in lines[3:6]:
        assert [n for n, char in enumerate(line) if char == "│"] == places
    assert [n for n, char in enumerate(lines[6]) if char == "│"] == [places[0], places[2]]


def test_a_retransmission_is_dashed_and_a_mark_is_seen():
    lines = picture(ladder(step(1, 0, 1, "INVITE", retransmission=True, marked="red", note="why")))
    assert "╌" in lines[3]
    assert lines[3].endswith("● why")


@pytest.mark.parametrize("width", [10, 60, 80, 300])
def test_what_is_too_long_is_cut(width):
    others = tuple("bcdef")
    lines = picture(
        ladder(step(1, 0, 5, "x" * 400), step(2, 0, 1, "y" * 400), others=others), width
    )
    assert len({len(line.rstrip()) for line in lines[3:5]}) == 1
    assert "…" in lines[4]


def test_rungs_know_their_steps():
    found = ladder(step(1, 0, 1, "A"), step(2, 1, 2, "B", gap=5.0))
    assert [rung.step for rung in drawn(found, 80)] == [-1, -1, -1, 0, -1, 1, -1]


def test_an_empty_one():
    assert picture(Ladder(title="", call_id="", participants=(), steps=()))
