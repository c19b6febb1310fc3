"""Dialogs: what kind, what state, over which neighbours."""

from __future__ import annotations

import pytest

FAR = {"remote": "198.51.100.9:5061", "transport": "tls", "interface": "federation"}


def only(recorder):
    """The one dialog there is."""
    (dialog,) = recorder.store.dialogs.newest()
    return dialog


def test_a_call_has_two_legs_and_all_its_states(recorder, lines):
    states = []
    original = recorder.add

    def add(*args, **more):
        message = original(*args, **more)
        states.append(message.dialog.state)
        return message

    recorder.add = add
    recorder.call()
    dialog = only(recorder)
    assert states == [
        "trying", "trying", "trying", "trying", "ringing", "ringing", *["established"] * 3,
    ]  # fmt: skip
    assert [
        (leg.way.transport, leg.way.remote, leg.peer, leg.direction) for leg in dialog.legs
    ] == [
        ("udp", "192.0.2.7:5060", "", "in"),
        ("tls", "198.51.100.9:5061", "far.example", "out"),
    ]
    assert (dialog.kind, dialog.status, dialog.messages, dialog.ended) == ("call", 200, 9, None)
    recorder.add(lines.request("BYE", branch="b1", to_tag="t1", cseq=2))
    assert dialog.state == "ended"
    assert dialog.duration == pytest.approx(0.03)  # from the answer at leg 0
    recorder.add(lines.response(481, "Gone", "BYE", branch="b1", cseq=2), inwards=False)
    assert dialog.state == "ended"


@pytest.mark.parametrize(
    ("method", "status", "kind", "state"),
    [
        ("MESSAGE", 202, "chat", "answered"),
        ("MESSAGE", 404, "chat", "failed"),
        ("INVITE", 486, "call", "failed"),
        ("SUBSCRIBE", 200, "presence", "established"),
        ("SUBSCRIBE", 489, "presence", "failed"),
        ("PUBLISH", 200, "presence", "answered"),
        ("REGISTER", 200, "registration", "answered"),
        ("REGISTER", 401, "registration", "trying"),
        ("OPTIONS", 200, "options", "answered"),
        ("FOO", 501, "other", "failed"),
    ],
)
def test_what_an_answer_makes_of_it(recorder, lines, method, status, kind, state):
    recorder.add(lines.request(method))
    recorder.add(lines.response(status, "x", method), inwards=False)
    dialog = only(recorder)
    assert (dialog.kind, dialog.state, dialog.status) == (kind, state, status)


def test_only_what_reaches_the_caller_counts(recorder, lines):
    recorder.add(lines.request(branch="a1"))
    for name in ("p1", "p2"):
        recorder.add(lines.request(branch=name, below="a1"), inwards=False, **FAR)
    recorder.add(lines.response(486, "Busy", branch="p1", to_tag="x"), **FAR)
    assert only(recorder).state == "trying"


def test_credentials_are_asked_for_and_then_it_goes_on(recorder, lines):
    recorder.add(lines.request("REGISTER"))
    recorder.add(lines.response(401, "Unauthorized", "REGISTER"), inwards=False)
    recorder.add(lines.request("REGISTER", branch="a2", cseq=2))
    recorder.add(lines.response(200, "OK", "REGISTER", branch="a2", cseq=2), inwards=False)
    assert only(recorder).state == "answered"


def test_a_failed_reinvite_does_not_end_a_call(recorder, lines):
    recorder.call()
    recorder.add(lines.request(branch="r1", to_tag="t1", cseq=2))
    recorder.add(lines.response(488, "No", branch="r1", cseq=2), inwards=False)
    assert only(recorder).state == "established"


def test_a_subscription_ends_with_its_last_notify(recorder, lines):
    recorder.add(lines.request("SUBSCRIBE"))
    recorder.add(lines.response(200, "OK", "SUBSCRIBE"), inwards=False)
    headers = ("Subscription-State: terminated;reason=noresource",)
    recorder.add(lines.request("NOTIFY", branch="n1", headers=headers), inwards=False)
    assert only(recorder).state == "ended"


def test_a_recording_that_begins_within_a_call_says_so(recorder, lines):
    recorder.add(lines.request("INFO", to_tag="t1"))
    assert (only(recorder).kind, only(recorder).state) == ("call", "established")


def test_a_new_connection_of_a_neighbour_is_the_same_leg(recorder, lines):
    recorder.add(lines.request(), transport="tcp", remote="192.0.2.7:40001")
    recorder.add(
        lines.request("BYE", branch="b", to_tag="t1", cseq=2),
        transport="tcp",
        remote="192.0.2.7:40002",
    )
    assert len(only(recorder).legs) == 1


def test_retransmissions_are_counted(recorder, lines):
    for _ in range(3):
        recorder.add(lines.request("MESSAGE"))
    assert only(recorder).retransmissions == 2


def test_a_dialog_lives_as_long_as_one_of_its_messages(recorder, lines):
    recorder.store.most_messages = 3
    recorder.add(lines.request("MESSAGE", call="old"))
    for number in range(3):
        recorder.add(lines.request("MESSAGE", call=f"new{number}"))
    assert recorder.store.dialogs.of_call("old") is None
    assert len(recorder.store.dialogs) == 3


async def test_dialogs_are_listed_the_newest_first_and_filtered(ask, lines):
    ask.recorder.call(1)
    ask.recorder.add(lines.request("MESSAGE", call="chat", branch="m"))
    found = await ask("dialogs")
    assert [dialog.kind for dialog in found.dialogs] == ["chat", "call"]
    assert [d.call_id for d in (await ask("dialogs", filter="iface:federation")).dialogs] == [
        "call-1"
    ]
    assert [d.kind for d in (await ask("dialogs", kind="chat")).dialogs] == ["chat"]
    (leg, other) = found.dialogs[1].legs
    assert (leg.leg, other.leg, other.peer) == (0, 1, "far.example")
