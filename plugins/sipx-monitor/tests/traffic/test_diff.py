"""What differs between two messages, and which rule asks for it."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sipx_monitor.traffic.diff import MOST_LINES, Change, diff
from sipx_monitor.traffic.reasons import changes, why

from sipx import ControlError


def changed(found):
    """All that is not the same."""
    return [(change.op, change.name) for change in found if change.op != "same"]


async def test_what_the_proxy_did_to_a_request_is_told_with_its_rules(ask):
    call = ask.recorder.call()
    for seq in (call[0].seq, call[2].seq):
        found = await ask("changes", seq=seq)
        assert (found.a.seq, found.b.seq) == (1, 3)
        told = {(line.op, line.name): line.why for line in found.lines if line.op != "same"}
        assert told["added", "Via"].endswith("RFC 3261 §16.6 step 8")
        assert told["changed", "Max-Forwards"].endswith("RFC 3261 §16.6 step 3")
        assert "RFC 3261 §16.6 step 4" in told["added", "Record-Route"]
        assert "RFC 3581 §4" in told["changed", "Via"]
        assert set(told) == {
            ("added", "Via"),
            ("changed", "Via"),
            ("changed", "Max-Forwards"),
            ("added", "Record-Route"),
        }
    assert {line.name for line in found.lines} >= {"(first line)", "(body)", "Call-ID"}


async def test_what_stayed_needs_no_rule_whichever_way_it_is_asked(ask):
    ask.recorder.call()
    for found in (await ask("changes", seq=1), await ask("diff", a=1, b=3)):
        assert not any(line.why for line in found.lines if line.op == "same")
        assert all(line.why for line in found.lines if line.op != "same")


async def test_what_it_did_to_a_response(ask, lines):
    add = ask.recorder.add
    add(lines.request("MESSAGE", branch="a1"))
    add(lines.request("MESSAGE", branch="p1", below="a1", by="sipx"), inwards=False)
    add(lines.response(503, "No", "MESSAGE", branch="p1", below="a1", by="sipx", to_tag="x"))
    add(lines.response(500, "No", "MESSAGE", branch="a1", to_tag="x"), inwards=False)
    found = await ask("changes", seq=4)
    told = {(line.op, line.name): line.why for line in found.lines if line.op != "same"}
    assert told == {
        ("changed", "(first line)"): told["changed", "(first line)"],
        ("removed", "Via"): "our Via is taken off: RFC 3261 §16.7 step 3",
    }
    assert "503 becomes 500" in told["changed", "(first line)"]


async def test_what_was_not_forwarded_has_no_other_side(ask):
    ask.recorder.call()
    with pytest.raises(ControlError, match="message 2 is on one side of sipx only: it is sipx's"):
        await ask("changes", seq=2)
    with pytest.raises(ControlError, match="message 99 is not kept; those from 1 to 9 are"):
        await ask("changes", seq=99)


async def test_two_messages_of_different_calls_have_no_rules(ask):
    ask.recorder.call(1)
    ask.recorder.call(2)
    found = await ask("diff", a=1, b=10)
    assert {line.why for line in found.lines} == {""}
    assert ("changed", "Call-ID") in changed(found.lines)


async def test_viewers_see_no_bodies_here_either(ask):
    ask.recorder.call()
    found = await ask("changes", role="viewer", seq=1)
    assert "(body)" not in {line.name for line in found.lines}
    assert found.a.body == "dropped"


def test_lines_that_stand_elsewhere_have_moved(recorder, lines):
    one = recorder.add(lines.request(headers=("X-A: 1", "X-B: 2", "X-C: 3")))
    two = recorder.add(lines.request(headers=("X-B: 2", "X-C: 3", "X-A: 1")))
    assert changed(diff(one, two)) == [("moved", "X-A")]


def test_compact_names_are_the_same_header(recorder, lines):
    one = recorder.add(lines.request(headers=("Subject: hi",)))
    two = recorder.add(lines.request(headers=("s: hi",)))
    assert changed(diff(one, two)) == [("changed", "s")]
    (change,) = [change for change in diff(one, two) if change.op == "changed"]
    assert "written otherwise" in why(change, response=False)


@pytest.mark.parametrize(
    ("op", "line", "rule"),
    [
        ("removed", "P-Asserted-Identity: <sip:a@b>", "RFC 3325 §5"),
        ("removed", "Proxy-Authorization: Digest x", "RFC 3261 §22.3"),
        ("removed", "Route: <sip:us;lr>", "RFC 3261 §16.4"),
        ("removed", "X-Sipx-Trust: 1", "do not cross the border"),
        ("added", "Path: <sip:us;lr>", "RFC 3327 §5.2"),
        ("added", "Content-Length: 0", "RFC 3261 §16.6 step 9"),
        ("added", "X-Mine: 1", "a plugin did it (hook forward_request)"),
    ],
)
def test_each_change_has_its_reason(op, line, rule):
    name = line.partition(":")[0]
    a, b = (line, "") if op == "removed" else ("", line)
    assert rule in why(Change(op, name, a, b), response=False)


def test_lines_said_again_and_again_are_compared_one_by_one(recorder, lines):
    """The best fit of these would take a minute, and SIP would stand still."""
    before = ["X: 1"] * 2000
    after = [line for i in range(1000) for line in ("X: 1", f"Y: {i}")]
    one, two = (
        recorder.add(lines.request(headers=one), body=b"v=0\r\n" + "\r\n".join(one).encode("ascii"))
        for one in (before, after)
    )
    began = process_time()
    found = diff(one, two)
    assert process_time() - began < 5
    assert [change.b for change in found if change.name == "Y"][:3] == ["Y: 0", "Y: 1", "Y: 2"]
    of_body = [(change.op, change.a, change.b) for change in found if change.name == "(body)"]
    assert of_body[:2] == [("same", "v=0", "v=0"), ("same", "X: 1", "X: 1")]
    assert of_body[2] == ("changed", "X: 1", "Y: 0")
    assert len(of_body) == MOST_LINES


header = st.sampled_from(("A: 1", "A: 2", "B: 1", "B: 2", "C: 1", "D: 9"))


@settings(deadline=None)
@given(st.lists(header, max_size=8), st.lists(header, max_size=8))
def test_nothing_is_lost_or_made_up(make_recorder, lines, before, after):
    recorder = make_recorder()
    one = recorder.add(lines.request(headers=before))
    two = recorder.add(lines.request(headers=after))
    found = [change for change, _ in changes(one, two)]
    ours = {"A", "B", "C", "D"}
    left = [change.b for change in found if change.name in ours and change.op != "removed"]
    assert left == after
    gone = [change.a for change in found if change.name in ours and change.op != "added"]
    assert sorted(gone) == sorted(before)
