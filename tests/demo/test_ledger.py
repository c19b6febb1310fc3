"""The book of the demonstration: delivered is what arrived, at the right place, unchanged."""

import pytest
import trio

from sipx.demo.ledger import Ledger, percentile
from sipx.testing.dialog import new_request


def a_request(method=b"MESSAGE", *, cseq=1, tag=b"a", body=b"hello", host=b"partner.example"):
    return new_request(
        method,
        b"sip:dave@" + host,
        from_=b"<sip:alice@home.example>;tag=" + tag,
        to=b"<sip:dave@" + host + b">",
        call_id=b"1",
        cseq=cseq,
        body=body,
    )


def counts(ledger, method="MESSAGE"):
    tally = ledger.tallies[method]
    return tally.sent, tally.delivered, tally.answered


async def test_what_arrives_and_is_answered_leaves_nothing_missing():
    ledger = Ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(), "partner.example")
    ledger.answered(a_request(), 200, 0.002)
    assert counts(ledger) == (1, 1, 1)
    assert ledger.missing() == []
    with trio.fail_after(1):
        await ledger.settled()


def test_an_answer_does_not_count_as_delivery():
    ledger = Ledger()
    ledger.sent(a_request())
    ledger.answered(a_request(), 200, 0.002)
    assert counts(ledger) == (1, 0, 1)
    assert ledger.missing() == [
        "MESSAGE from alice@home.example to dave@partner.example: was not delivered"
    ]


def test_a_request_that_arrives_with_another_body_is_not_delivered():
    ledger = Ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(body=b"good bye"), "partner.example")
    assert counts(ledger) == (1, 0, 0)
    assert ledger.missing()[0].endswith("arrived with another body")


def test_a_request_at_the_wrong_server_is_not_delivered():
    ledger = Ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(), "home.example")
    assert counts(ledger) == (1, 0, 0)
    assert ledger.missing()[0].endswith("arrived at home.example")


def test_a_request_that_arrives_twice_is_told():
    ledger = Ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(), "partner.example")
    ledger.answered(a_request(), 200, 0.002)
    ledger.delivered(a_request(), "partner.example")
    assert counts(ledger) == (1, 1, 1)
    assert ledger.missing() == ["MESSAGE at partner.example: nobody sent it, or it came twice"]


async def test_a_refusal_is_told_with_its_code_and_is_not_waited_for():
    ledger = Ledger()
    ledger.sent(a_request())
    ledger.answered(a_request(), 403, 0.002)
    assert counts(ledger) == (1, 0, 0)
    assert ledger.missing()[0].endswith("was answered 403")
    with trio.fail_after(1):
        await ledger.settled()


async def test_an_ack_needs_no_answer_and_may_come_twice():
    ledger = Ledger()
    for _ in range(2):
        ledger.sent(a_request(b"ACK"))
    for _ in range(2):
        ledger.delivered(a_request(b"ACK"), "partner.example")
    assert counts(ledger, "ACK") == (1, 1, 0)
    assert ledger.missing() == []


def test_both_sides_of_a_dialog_count_for_themselves():
    ledger = Ledger()
    ledger.sent(a_request(tag=b"a"))
    ledger.sent(a_request(tag=b"b"))
    ledger.delivered(a_request(tag=b"b"), "partner.example")
    assert counts(ledger) == (2, 1, 0)
    assert len(ledger.missing()) == 2


async def test_a_promise_is_waited_for(autojump_clock):
    ledger = Ledger()
    ledger.promise()
    with trio.move_on_after(60) as scope:
        await ledger.settled()
    assert scope.cancelled_caught
    ledger.kept()
    with trio.fail_after(1):
        await ledger.settled()


def test_the_total_leaves_out_how_long_it_rang():
    ledger = Ledger()
    for method, seconds in ((b"MESSAGE", 0.001), (b"INVITE", 5.0)):
        ledger.sent(a_request(method))
        ledger.answered(a_request(method), 200, seconds)
    total = ledger.total()
    assert (total.sent, total.answered) == (2, 2)
    assert list(total.round_trips) == [0.001]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([7.0], 95, 7.0), ([3.0, 1.0, 2.0], 50, 2.0), (range(1, 101), 95, 95)],
)
def test_percentiles_are_by_nearest_rank(values, percent, expected):
    assert percentile(values, percent) == expected
