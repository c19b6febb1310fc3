"""What the proxy counts and what it tells observers."""

import logging

import pytest
import trio

from sipx.events import Direction, ProxyDecision
from sipx.hooks import Hooks
from sipx.journal import Journal
from sipx.logs import TRACE
from sipx.plugin import hookimpl
from sipx.reasons import Drop, Refusal
from sipx.sip.parser import parse_datagram


class Observer:
    def __init__(self):
        self.records = []
        self.traced = []
        self.flows = []

    @hookimpl
    def transaction_ended(self, record):
        self.records.append(record)

    @hookimpl
    def message_traced(self, message, flow, direction):
        self.traced.append((direction, message.encode(), flow.address))

    @hookimpl
    def flow_opened(self, flow):
        self.flows.append(("opened", flow.name))

    @hookimpl
    def flow_closed(self, flow, reason):
        self.flows.append(("closed", reason))


AWAY = object()
"""A flow: nobody asks it anything."""
REQUEST = (
    b"MESSAGE sip:bob@away.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
    b"From: <sip:a@home.example>;tag=a\r\nTo: <sip:bob@away.example>\r\nCall-ID: %b\r\n"
    b"CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class Tracer:
    """Notes in which order it is told."""

    def __init__(self, told):
        self.told = told

    @hookimpl
    def message_traced(self, message, direction):
        self.told.append(f"{direction.value} {message.call_id.decode()}")

    @hookimpl
    def bytes_traced(self, data):
        self.told.append(f"bytes {data.decode()}")

    @hookimpl
    def decision_made(self, decision):
        self.told.append(decision.step)


async def observed(scene):
    stage = await scene()
    observer = Observer()
    stage.plug("observer", observer)
    return stage, stage.raw("home.example"), stage.raw("away.example"), observer


async def test_a_forwarded_request_leaves_one_record(scene, autojump_clock):
    _, home, away, observer = await observed(scene)
    home.ask("MESSAGE", "sip:bob@away.example", call_id="one", cseq=5)
    await trio.sleep(1)
    request = await away.next("MESSAGE")
    away.answer(request, 202)
    answer = await home.next(202)
    (record,) = observer.records
    assert record.client_transaction == request.branch
    assert record.server_transaction == answer.branch
    assert (record.method, record.uri, record.status) == (b"MESSAGE", b"sip:bob@away.example", 202)
    assert (record.from_uri, record.from_tag) == (b"sip:user@home.example", b"near")
    assert (record.to_uri, record.to_tag) == (b"sip:bob@away.example", b"far")
    assert (record.call_id, record.cseq) == (b"one", b"5")
    assert (record.server, record.client) == ("udp:127.0.2.1:5060", "udp:127.0.2.2:5060")
    assert (record.sender, record.interface, record.branches) == ("home.example", "udp", 1)
    assert record.ended - record.started == pytest.approx(1, abs=0.1)


async def test_a_refused_request_leaves_one_record_without_a_client(scene, autojump_clock):
    _, home, _, observer = await observed(scene)
    home.ask("MESSAGE", "sip:bob@nowhere.example")
    await home.next(403)
    (record,) = observer.records
    assert (record.status, record.client, record.branches) == (403, "", 0)
    assert record.client_transaction == b""
    assert record.server_transaction.startswith(b"z9hG4bK")


async def test_x06_an_unanswered_message_leaves_a_record_with_status_0(scene, autojump_clock):
    stage, home, _, observer = await observed(scene)
    home.ask("MESSAGE", "sip:bob@away.example")
    await trio.sleep(33)
    (record,) = observer.records
    assert record.status == 0
    assert stage.kernel.journal.statistics().answers == {("MESSAGE", 0): 1}


async def test_every_message_is_traced_as_it_stands_on_the_wire(scene, autojump_clock):
    _, home, away, observer = await observed(scene)
    home.ask("MESSAGE", "sip:bob@away.example", body="hello")
    request = await away.next("MESSAGE")
    away.answer(request, 200)
    answer = await home.next(200)
    directions = [direction for direction, _, _ in observer.traced]
    assert directions == [Direction.IN, Direction.OUT, Direction.IN, Direction.OUT]
    assert observer.traced[3] == (Direction.OUT, answer.encode(), "127.0.2.1")
    assert observer.traced[2][2] == "127.0.2.2"


async def test_a_forwarded_request_is_traced_with_our_own_via(scene, autojump_clock):
    _, home, away, observer = await observed(scene)
    home.ask("MESSAGE", "sip:bob@away.example", body="hello")
    request = await away.next("MESSAGE")
    assert observer.traced[1][1] == request.encode()


def test_what_leaves_is_told_behind_what_is_sent_and_before_what_comes_next():
    told = []
    hooks = Hooks()
    hooks.register("observer", Tracer(told))
    journal = Journal(hooks, lambda: 0.0)
    first, second = (parse_datagram(REQUEST % number) for number in (b"one", b"two"))
    journal.trace_in(first, AWAY)
    journal.decided(first, AWAY, ProxyDecision("sender", lambda: ("", {})))
    journal.trace_sent(REQUEST % b"three", AWAY)
    journal.trace_out(first.reply(200), AWAY)
    assert told == ["in one"]
    journal.trace_in(second, AWAY)
    assert told == ["in one", "sender", "out three", "out one", "in two"]
    journal.trace_sent(b"a plugin wrote this", AWAY)
    journal.trace_bytes(b"once more", AWAY, Direction.OUT)
    assert told[5:] == ["bytes a plugin wrote this", "bytes once more"]
    journal.trace_out(second, AWAY)
    journal.tell_waiting()
    journal.tell_waiting()
    assert told[7:] == ["out two"]


async def test_flows_are_told_once_when_they_open_and_once_when_they_end(scene, autojump_clock):
    stage, home, _, observer = await observed(scene)
    for _ in range(2):
        home.ask("MESSAGE", "sip:bob@nowhere.example")
        await home.next(403)
    (flow,) = stage.kernel.flows
    flow.close("the test is over")
    assert observer.flows == [("opened", "udp:127.0.2.1:5060"), ("closed", "the test is over")]


async def test_answers_refusals_and_drops_are_counted(scene, autojump_clock):
    stage, home, away, _ = await observed(scene)
    home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    for _ in range(2):
        home.ask("MESSAGE", "sip:bob@nowhere.example")
    home.send(b"nonsense\r\n\r\n")
    await trio.sleep(1)
    counts = stage.kernel.journal.statistics()
    assert counts.answers == {("MESSAGE", 200): 1, ("MESSAGE", 403): 2}
    assert counts.by_status() == {200: 1, 403: 2}
    assert counts.refused == {"federation off: no static route leads there": 2}
    assert counts.refusals == {Refusal.NO_ROUTE: 2}
    assert sum(counts.dropped.values()) == 1
    assert counts.drops == {Drop.MALFORMED: 1}
    counts.answers.clear()
    assert stage.kernel.journal.statistics().by_status() == {200: 1, 403: 2}


async def test_requests_are_counted_by_method_and_what_no_rfc_knows_together(scene, autojump_clock):
    stage, home, away, _ = await observed(scene)
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 486)
    await home.next(486)
    for number in range(50):
        home.ask(f"INVENTED{number}", "sip:bob@nowhere.example")
        await home.next(403)
    counts = stage.kernel.journal.statistics()
    assert {method: n for method, n in counts.requests.items() if n} == {"INVITE": 1, "other": 50}
    assert counts.answers == {("INVITE", 486): 1, ("other", 403): 50}


async def test_what_is_answered_400_was_refused_and_not_dropped(scene, autojump_clock):
    stage, home, _, _ = await observed(scene)
    whole = home.ask("MESSAGE", "sip:bob@nowhere.example", body="hello")
    await home.next(403)
    home.send(whole[:-1].replace(b"branch=z9hG4bK", b"branch=z9hG4bKshort"))
    await home.next(400)
    counts = stage.kernel.journal.statistics()
    assert (counts.refusals[Refusal.MALFORMED], counts.drops) == (1, {})
    assert counts.by_status() == {403: 1, 400: 1}


async def test_a_call_counts_as_one_answer_although_its_200_comes_three_times(
    scene, autojump_clock
):
    stage, home, away, observer = await observed(scene)
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    for _ in range(3):
        away.answer(invite, 200)
        await home.next(200)
    assert stage.kernel.journal.statistics().answers == {("INVITE", 200): 1}
    assert len(observer.records) == 1


async def test_sec18_refusals_for_ever_new_reasons_do_not_grow_the_counters(scene, autojump_clock):
    stage, home, _, _ = await observed(scene)
    journal = stage.kernel.journal
    home.ask("MESSAGE", "sip:bob@nowhere.example")
    await home.next(403)
    (flow,) = stage.kernel.flows
    request = type("R", (), {"method": b"MESSAGE", "call_id": b"one"})()
    for number in range(5000):
        journal.refused(request, flow, 403, f"reason {number}")
        journal.dropped(flow, f"nonsense {number}")
    assert len(journal.refusals) <= 513
    assert len(journal.drops) <= 513
    # What is counted by a fixed word never begins anew.
    counts = journal.statistics()
    assert counts.refusals == {Refusal.NO_ROUTE: 1, Refusal.OTHER: 5000}
    assert counts.drops == {Drop.OTHER: 5000}


async def test_sec18_a_method_with_control_bytes_cannot_break_the_log(
    scene, autojump_clock, caplog
):
    _, home, _, _ = await observed(scene)
    with caplog.at_level(logging.INFO):
        home.ask("MESSAGE", "sip:bob@nowhere.example", sender="sip:x%0a@home.example")
        await home.next(403)
    assert all("\n" not in record.getMessage() for record in caplog.records)


async def test_a_refusal_is_logged_with_the_fields_of_its_request(scene, autojump_clock, caplog):
    _, home, _, _ = await observed(scene)
    with caplog.at_level(logging.INFO, "sipx"):
        home.ask("MESSAGE", "sip:bob@nowhere.example", call_id="one")
        await home.next(403)
    [record] = [record for record in caplog.records if "refused" in record.getMessage()]
    assert (record.call_id, record.interface, record.peer) == ("one", "udp", "udp:127.0.2.1:5060")
    assert record.transaction.startswith("z9hG4bK")


# ---------------------------------------------------------------- the trace


async def test_each_message_is_a_line_while_trace_is_on_and_has_no_body(
    scene, autojump_clock, caplog
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    with caplog.at_level(TRACE, "sipx.trace"):
        stage.kernel.journal.levels_changed()
        home.ask("MESSAGE", "sip:bob@away.example", call_id="one", cseq=5, body="s3cr3t")
        away.answer(await away.next("MESSAGE"), 200)
        await home.next(200)
    traced = [record for record in caplog.records if record.name == "sipx.trace"]
    assert [record.getMessage() for record in traced] == [
        "in MESSAGE sip:bob@away.example SIP/2.0",
        "out MESSAGE sip:bob@away.example SIP/2.0",
        "in SIP/2.0 200 OK",
        "out SIP/2.0 200 OK",
    ]
    assert {record.call_id for record in traced} == {"one"}
    assert {record.cseq for record in traced} == {"5 MESSAGE"}
    near_in, far_out, far_in, near_out = (record.transaction for record in traced)
    assert (near_in, far_out) == (near_out, far_in)
    assert near_in != far_out
    assert [record.peer for record in traced] == [
        "udp:127.0.2.1:5060",
        "udp:127.0.2.2:5060",
        "udp:127.0.2.2:5060",
        "udp:127.0.2.1:5060",
    ]
    assert "s3cr3t" not in repr([vars(record) for record in traced])


async def test_while_trace_is_off_no_message_is_looked_at(scene, autojump_clock, caplog):
    stage = await scene()
    hooks, journal = stage.kernel.hooks, stage.kernel.journal
    assert hooks.message_traced == ()
    with caplog.at_level(TRACE, "sipx.trace"):
        journal.levels_changed()
        assert len(hooks.message_traced) == 1
        assert hooks.owner(hooks.message_traced[0]) == "sipx"
        journal.levels_changed()
        assert len(hooks.message_traced) == 1
        stage.plug("observer", Observer())
        assert len(hooks.message_traced) == 2
    journal.levels_changed()
    assert len(hooks.message_traced) == 1
