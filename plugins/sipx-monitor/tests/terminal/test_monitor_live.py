"""The live view: what keys do, and what is then seen."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import trio
from rich.console import Console
from rich.live import Live
from rich.text import Text
from sipx_monitor.terminal.monitor_live import Screen
from sipx_monitor.terminal.monitor_texts import KEYS, TextView
from sipx_monitor.terminal.monitor_views import KEPT, Scrolled
from sipx_monitor.terminal.monitor_watching import Linked
from sipx_monitor.traffic.comparing import Diff
from sipx_monitor.traffic.deciding import DecisionTrace
from sipx_monitor.traffic.exporting import ExportedFile
from sipx_monitor.traffic.ladder import Ladder
from sipx_monitor.traffic.models import Batch, DialogList, DialogSummary, MessageList, MessageText

from sipx import Done

from .conftest import NOON, summary


def kept(*messages):
    last = messages[-1].seq if messages else 0
    return MessageList(messages=messages, first=1, last=last, matched=len(messages), complete=True)


def batch(*messages, dropped=0):
    return Batch(batch=messages, seq=messages[-1].seq, dropped=dropped, gap=False)


def lines(screen, width=140, height=20):
    return [line.plain for line in screen.picture(width, height)]


def shown(screen):
    return "\n".join(lines(screen))


LADDER = Ladder.model_validate(
    {
        "title": "INVITE alice → bob",
        "call_id": "c1",
        "participants": [
            {"id": "a", "label": "alice", "address": "udp a", "kind": "peer"},
            {"id": "sipx", "label": "sipx", "address": "", "kind": "sipx"},
        ],
        "steps": [
            {"seq": n, "time": NOON, "offset": 0, "gap": 0, "source": 0, "target": 1,
             "label": f"STEP{n}", "note": "", "cls": "request", "retransmission": False,
             "sdp": False, "transport": "udp", "leg": 0, "marked": "", "twin": None}
            for n in (1, 2, 3)
        ],
    }
)  # fmt: skip
TEXT = MessageText.model_validate(
    {
        "message": summary(2),
        "head": [
            {"name": "", "value": "", "text": "INVITE sip:bob SIP/2.0", "part": "start"},
            {"name": "Via", "value": "x", "text": "Via: x", "part": "header"},
        ],
        "text": "", "body": "v=0\no=-", "body_note": "", "twin": None,
    }
)  # fmt: skip
DIFF = Diff.model_validate(
    {
        "a": summary(1), "b": summary(2),
        "lines": [
            {"op": "changed", "name": "Max-Forwards", "a": "Max-Forwards: 70",
             "b": "Max-Forwards: 69", "why": "one hop less"},
            {"op": "same", "name": "To", "a": "To: b", "b": "To: b"},
        ],
    }
)  # fmt: skip


@pytest.fixture
async def screen(answers, nursery):
    """A screen with three messages, whose tasks run; keys are pressed by the test."""
    answers.say("monitor.messages", kept(*(summary(n) for n in (1, 2, 3))))
    answers.say("monitor.dialogs", DialogList(dialogs=()))
    answers.say("monitor.ladder", LADDER)
    answers.say("monitor.message", TEXT)
    answers.say("monitor.diff", DIFF)
    answers.say("monitor.changes", DIFF)
    made = Screen(answers, "", 200, dialogs=False)
    nursery.start_soon(made._follow)
    await trio.testing.wait_all_tasks_blocked()
    return made


async def press(screen, *keys):
    for key in keys:
        await screen.key(key)
    await trio.testing.wait_all_tasks_blocked()


async def test_messages_are_followed(screen, answers):
    answers.tell(batch(summary(4, method="MESSAGE"), dropped=2))
    await trio.testing.wait_all_tasks_blocked()
    assert "MESSAGE" in lines(screen)[5]
    assert "4 messages · 2 lost · following · no filter" in shown(screen)
    assert answers.asked[1][1].since == 3


async def test_the_picture_has_the_height_of_the_screen(screen):
    for height in (5, 10, 40):
        assert len(lines(screen, 80, height)) == height
        assert max(map(len, lines(screen, 80, height))) <= 80


async def test_the_one_address_of_a_narrow_screen_is_the_neighbours(screen, answers):
    answers.tell(batch(summary(4, direction="out", remote="10.0.0.9:1", target="10.0.0.9:1")))
    await trio.testing.wait_all_tasks_blocked()
    head, *_, last = [line for line in lines(screen, 120)[1:6] if line]
    assert "neighbour" in head
    assert "10.0.0.9:1" in last
    assert "10.0.0.1:5060" not in "".join(lines(screen, 120))


async def test_the_cursor_leaves_the_end_and_comes_back(screen, answers):
    await press(screen, "up")
    assert "following" not in shown(screen)
    answers.tell(batch(summary(4)))
    await trio.testing.wait_all_tasks_blocked()
    assert screen.messages.scrolled.current.seq == 2
    await press(screen, "G")
    assert screen.messages.scrolled.current.seq == 4
    assert "following" in shown(screen)


async def test_held_it_stands_still_and_counts(screen, answers):
    await press(screen, "p")
    answers.tell(batch(summary(4), summary(5)))
    await trio.testing.wait_all_tasks_blocked()
    assert "held, 2 more wait" in shown(screen)
    assert len(screen.messages.scrolled.rows) == 3
    await press(screen, "p")
    assert len(screen.messages.scrolled.rows) == 5


async def test_from_the_list_to_the_ladder_to_the_text_and_back(screen, answers):
    await press(screen, "enter")
    assert answers.asked[-1][1].call_id == "c1"
    assert "STEP3" in shown(screen)
    await press(screen, "down", "enter")
    assert answers.asked[-1][1].seq == 2
    assert "INVITE sip:bob SIP/2.0" in shown(screen)
    assert "o=-" in shown(screen)
    await press(screen, "esc", "esc", "esc")
    assert "· messages" in lines(screen)[0]


async def test_two_messages_are_compared(screen, answers):
    await press(screen, "d")
    assert "pick two messages" in shown(screen)
    await press(screen, "g", "space", "down", "space", "d")
    assert (answers.asked[-1][1].a, answers.asked[-1][1].b) == (1, 2)
    assert "+ Max-Forwards: 69" in shown(screen)
    await press(screen, "esc", "space")
    assert screen.messages.picked == [1]


async def test_what_sipx_changed(screen):
    await press(screen, "c")
    assert "» one hop less" in shown(screen)
    assert "what sipx changed" in shown(screen)


async def test_why_a_request_went_there(screen, answers):
    step = {"time": NOON, "step": "targets", "text": "a route leads there", "data": {"row": 3}}
    trace = {"transaction": "t1", "method": "INVITE", "steps": [step], "complete": False}
    answers.say("monitor.decision", DecisionTrace.model_validate(trace))
    await press(screen, "w")
    assert "targets   a route leads there" in shown(screen)
    assert "row: 3" in shown(screen)
    assert "it has no final answer yet" in shown(screen)


async def test_marks_go_through_their_colours(screen, answers):
    answers.say("monitor.mark", Done())
    for colour in ("yellow", "red", "green", "blue", ""):
        await press(screen, "m")
        assert screen.messages.scrolled.rows[-1].marked == colour
        assert answers.asked[-1][1].colour == colour
    assert answers.asked[-1][1].seqs == (3,)


async def test_what_is_seen_is_saved(screen, answers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = {
        "filename": "../sipx-1.pcapng",
        "content_type": "",
        "messages": 3,
        "data_base64": "aGk=",
    }
    answers.say("monitor.export", ExportedFile.model_validate(file))
    await press(screen, "e")
    assert "3 messages in -sipx-1.pcapng" in shown(screen)
    assert (tmp_path / "-sipx-1.pcapng").read_bytes() == b"hi"
    await press(screen, "enter", "e")
    assert answers.asked[-1][1].call_id == "c1"
    (tmp_path / "-sipx-1.pcapng").unlink()
    (tmp_path / "-sipx-1.pcapng").mkdir()
    await press(screen, "e")
    assert "-sipx-1.pcapng cannot be written: Is a directory" in shown(screen)


async def test_another_filter_begins_anew(screen, answers):
    await press(screen, "/", *"code:4xx", "enter")
    assert screen.filter == "code:4xx"
    assert answers.asked[-1][1].filter == "code:4xx"
    assert "filter: code:4xx" in shown(screen)


async def test_a_filter_that_is_wrong_can_be_corrected(screen):
    await press(screen, "/", "(", "enter")
    assert lines(screen)[-2:] == [
        "filter: (▏",
        "         ^ something is missing at the end (at character 2)",
    ]
    await press(screen, "erase", "a", "b", "backspace", "space", "enter")
    assert screen.filter == "a"
    await press(screen, "/", "x", "esc")
    assert screen.filter == "a"


async def test_what_the_service_refuses_is_said(screen, answers):
    answers.say("monitor.ladder", click.ClickException("the running sipx: it is gone"))
    await press(screen, "enter")
    assert "the running sipx: it is gone" in shown(screen)
    await press(screen, "up")
    assert "it is gone" not in shown(screen)


async def test_keys_are_listed(screen):
    await press(screen, "?")
    assert "the ladder of the dialog" in shown(screen)


async def test_data_of_a_decision_is_no_json(screen, answers):
    data = {"groups": [[{"name": "a", "row": 8, "partner": ""}, {"name": "b"}]], "own": False}
    step = {"time": NOON, "step": "targets", "text": "two", "data": data}
    trace = {"transaction": "t1", "method": "INVITE", "steps": [step], "complete": True}
    answers.say("monitor.decision", DecisionTrace.model_validate(trace))
    await press(screen, "w")
    assert "groups: name a, row 8" in shown(screen)
    assert "groups: name b" in shown(screen)
    assert "own: false" in shown(screen)


async def test_the_list_is_emptied(screen):
    await press(screen, "x")
    assert "nothing yet" in shown(screen)
    assert "0 messages" not in lines(screen)[0]


async def test_dialogs_are_looked_at_again_and_again(answers, nursery, autojump_clock):
    def one(number):
        return DialogSummary.model_validate(
            {"id": f"d{number}", "kind": "call", "state": "ringing", "method": "INVITE",
             "from_uri": "sip:a@b", "to_uri": "sip:c@d", "call_id": f"c{number}", "started": NOON,
             "ended": None, "duration": 1.0, "messages": 3, "status": 0, "legs": [],
             "first_seq": 1, "last_seq": 3, "retransmissions": 0}
        )  # fmt: skip

    answers.say("monitor.dialogs", DialogList(dialogs=(one(1),)))
    answers.say("monitor.ladder", LADDER)
    screen = Screen(answers, "", 200, dialogs=True)
    nursery.start_soon(screen._look_at_dialogs)
    await trio.sleep(0.5)
    assert "ringing" in shown(screen)
    answers.say("monitor.dialogs", DialogList(dialogs=(one(3), one(2), one(1))))
    await press(screen, "down")
    await trio.sleep(1)
    await press(screen, "end")
    answers.say("monitor.dialogs", DialogList(dialogs=(one(4), one(3), one(2), one(1))))
    await trio.sleep(1)
    assert screen.dialogs.scrolled.current.id == "d1"
    await press(screen, "enter")
    assert answers.asked[-1][0] == "monitor.ladder"


async def test_it_ends_where_it_is_refused(answers):
    answers.say("monitor.messages", kept())
    screen = Screen(answers, "", 200, dialogs=False)
    error = click.ClickException("too many follow this")
    answers.tell(error)
    with Path("/dev/null").open("w") as nowhere:
        live = Live(console=Console(file=nowhere), auto_refresh=False)
        with trio.fail_after(10):
            await screen.run(live, None)
    assert screen.error is error


@pytest.fixture
def end_of_link(answers):
    """The link is lost when it is told."""
    error = click.ClickException("nobody listens on " + "/a/long/path" * 20)
    error.exit_code = 4
    return error


async def test_a_lost_link_is_said_in_one_line(screen, answers, end_of_link):
    answers.say("monitor.state", end_of_link)
    answers.tell(end_of_link)
    await trio.testing.wait_all_tasks_blocked()
    assert lines(screen, 80)[0].startswith(
        " no link, trying again in 0.5 s: nobody listens on /a/long"
    )
    assert len(lines(screen, 80)[0]) == 80
    assert len(lines(screen, 80)) == 20
    assert screen.error is None


async def test_what_is_not_kept_any_more_is_a_row(screen, answers):
    answers.tell(Batch(batch=(summary(9),), seq=9, dropped=0, gap=True))
    await trio.testing.wait_all_tasks_blocked()
    assert "messages before these are not kept any more" in lines(screen)[5]
    await press(screen, "up", "up", "down", "t", "c", "w", "m", "enter", "space", "Y")
    assert screen.views == [screen.messages]
    assert screen.messages.picked == []


async def test_nothing_is_asked_about_messages_of_another_process(screen, answers):
    await press(screen, "enter", "enter")
    screen._linked(Linked(anew=True, unrecorded=False))
    asked = len(answers.asked)
    for view in ("text", "ladder", "messages"):
        for key in ("c", "w", "t"):
            await press(screen, key)
            assert "started anew" in shown(screen), view
        await press(screen, "esc")
    await press(screen, "space", "m", "y")
    assert len(answers.asked) == asked
    assert screen.messages.picked == []


async def test_a_filter_that_sipx_refuses_leaves_the_one_before(screen, answers):
    answers.say("monitor.messages", click.ClickException("filter: viewers see no bodies"))
    screen.filter = "body:x"
    await screen._follow_one("body:x")
    assert "viewers see no bodies" in shown(screen)
    assert screen.filter == ""


async def test_texts_and_call_ids_are_copied(screen, answers):
    copied = []
    screen.clipboard = copied.append
    whole = TEXT.model_copy(update={"text": "INVITE sip:bob SIP/2.0"})
    answers.say("monitor.message", whole)
    await press(screen, "y", "Y", "enter", "y", "Y", "enter", "y", "Y")
    assert copied == ["INVITE sip:bob SIP/2.0", "c1"] * 3
    assert "copied: the Call-ID" in shown(screen)
    answers.say("monitor.message", whole.model_copy(update={"text": "x" * 60_000}))
    await press(screen, "y")
    assert "too long for the clipboard" in shown(screen)
    assert len(copied) == 6


async def test_hints_say_how_to_get_out_and_to_the_rest_on_any_screen(screen):
    for width in (40, 80, 200):
        hints = lines(screen, width)[-1]
        assert hints.endswith("q end  ? keys")
        assert len(hints) <= width
    await press(screen, "?")
    found = lines(screen, 80, 24)
    assert found[-1] == "Esc back  q end"
    assert all(f"\n{keys} " in "\n".join(found) for keys, _ in KEYS)
    await press(screen, "?")
    assert screen.views == [screen.messages]


async def test_what_is_said_has_two_lines_where_it_needs_them(screen):
    screen.said = "word " * 30
    assert [len(line) < 80 for line in lines(screen, 80)[-2:]] == [True, True]
    assert len(lines(screen, 80)) == 20


# ---------------------------------------------------------------- parts


def test_sentences_are_folded_between_words_below_their_column():
    text = TextView("why", [Text(f"12:00:00.000  sender    {'word ' * 20}".rstrip())], prose=True)
    first, *rest = [line.plain for line in text.lines(60, 10)]
    assert first.startswith("12:00:00.000  sender    word")
    assert first.endswith("word")
    assert all(line.startswith(" " * 24 + "word") and len(line) <= 60 for line in rest)
    wall = TextView("x", [Text("y" * 130)], prose=True)
    assert [len(line) for line in wall.lines(60, 10)] == [60, 60, 10]


def test_a_long_list_is_cut_at_its_beginning(answers):
    screen = Screen(answers, "", 200, dialogs=False)
    screen.messages.add([summary(n) for n in range(1, KEPT + 3)])
    assert screen.messages.scrolled.rows[0].seq == 3
    screen.messages.hold()
    screen.messages.add([summary(n) for n in range(KEPT)])
    assert len(screen.messages.held) == KEPT


def test_a_page_of_rows():
    rows = Scrolled(range(100))
    rows.move("end")
    assert list(rows.visible(10)[1]) == list(range(90, 100))
    rows.move("pgup")
    assert rows.current == 90
    rows.move("home")
    assert list(rows.visible(10)[1]) == list(range(10))
    assert not rows.move("x")


def test_rows_that_go_take_the_cursor_along():
    rows = Scrolled(range(100))
    rows.move("end")
    rows.dropped(10)
    assert rows.current == 99
    rows.move("home")
    rows.dropped(10)
    assert rows.current == 20


def test_no_rows_at_all():
    rows = Scrolled()
    assert rows.current is None
    for key in ("up", "down", "pgup", "pgdn", "home", "end"):
        rows.move(key)
    assert rows.current is None
    assert list(rows.visible(5)[1]) == []
