"""The book of the demonstration: delivered is what arrived, at the right place, unchanged."""

import pytest
import trio

from sipx.demo.directory import Directory
from sipx.demo.ledger import Ledger, percentile
from sipx.demo.people import ALICE, CAROL, PEOPLE, STAND_INS
from sipx.testing.dialog import new_request


def a_ledger():
    """With a server for everybody but those of munich."""
    directory = Directory(PEOPLE, STAND_INS)
    directory.started("berlin", "berlin/1")
    directory.started("vienna", "vienna/1")
    return Ledger(directory)


VIENNA = "vienna/1"


def a_request(
    method=b"MESSAGE", *, cseq=1, tag=b"a", body=b"hello", to=b"dave@partner.example", to_tag=b""
):
    return new_request(
        method,
        b"sip:" + to,
        from_=b"<sip:alice@home.example>;tag=" + tag,
        to=b"<sip:" + to + b">" + to_tag,
        call_id=b"1",
        cseq=cseq,
        body=body,
    )


def counts(ledger, method="MESSAGE"):
    tally = ledger.tallies[method]
    return tally.sent, tally.delivered, tally.answered


async def test_what_arrives_and_is_answered_leaves_nothing_missing():
    ledger = a_ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(), VIENNA)
    ledger.answered(a_request(), 200, 0.002)
    assert counts(ledger) == (1, 1, 1)
    assert ledger.missing() == []
    with trio.fail_after(1):
        await ledger.settled()


def test_an_answer_does_not_count_as_delivery():
    ledger = a_ledger()
    ledger.sent(a_request())
    ledger.answered(a_request(), 200, 0.002)
    assert counts(ledger) == (1, 0, 1)
    assert ledger.missing() == [
        "MESSAGE from alice@home.example to dave@partner.example: was not delivered"
    ]


def test_a_request_that_arrives_with_another_body_is_not_delivered():
    ledger = a_ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(body=b"good bye"), VIENNA)
    assert counts(ledger) == (1, 0, 0)
    assert ledger.missing()[0].endswith("arrived with another body")


def test_a_request_at_the_wrong_server_is_not_delivered():
    ledger = a_ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(), "berlin/1")
    assert counts(ledger) == (1, 0, 0)
    assert ledger.missing()[0].endswith("arrived at berlin/1")


def test_a_request_that_arrives_twice_is_told():
    ledger = a_ledger()
    ledger.sent(a_request())
    ledger.delivered(a_request(), VIENNA)
    ledger.answered(a_request(), 200, 0.002)
    ledger.delivered(a_request(), VIENNA)
    assert counts(ledger) == (1, 1, 1)
    assert ledger.missing() == ["MESSAGE at vienna/1: nobody sent it, or it came twice"]


async def test_a_refusal_is_told_with_its_code_and_is_not_waited_for():
    ledger = a_ledger()
    ledger.sent(a_request())
    ledger.answered(a_request(), 403, 0.002)
    assert counts(ledger) == (1, 0, 0)
    assert ledger.missing()[0].endswith("was answered 403")
    with trio.fail_after(1):
        await ledger.settled()


async def test_an_ack_needs_no_answer_and_may_come_twice():
    ledger = a_ledger()
    ledger.sent(a_request(b"INVITE"))
    ledger.delivered(a_request(b"INVITE"), VIENNA)
    for _ in range(2):
        ledger.sent(a_request(b"ACK", to_tag=b";tag=b"))
    for _ in range(2):
        ledger.delivered(a_request(b"ACK", to_tag=b";tag=b"), VIENNA)
    assert counts(ledger, "ACK") == (1, 1, 0)
    assert ledger.missing() == [
        "INVITE from alice@home.example to dave@partner.example: was delivered, but not answered"
    ]


def test_both_sides_of_a_dialog_count_for_themselves():
    ledger = a_ledger()
    ledger.sent(a_request(tag=b"a"))
    ledger.sent(a_request(tag=b"b"))
    ledger.delivered(a_request(tag=b"b"), VIENNA)
    assert counts(ledger) == (2, 1, 0)
    assert len(ledger.missing()) == 2


def test_where_nobody_has_the_receiver_the_proxy_has_to_say_so():
    ledger = a_ledger()
    ledger.sent(a_request(to=b"carol@home.example"))
    ledger.answered(a_request(to=b"carol@home.example"), 480, 0.002)
    assert counts(ledger) == (1, 0, 1)
    assert ledger.tallies["MESSAGE"].by_proxy == 1
    assert ledger.missing() == []


@pytest.mark.parametrize("status", [200, 404, 503])
def test_any_other_answer_for_whom_nobody_has_is_a_failure(status):
    ledger = a_ledger()
    ledger.sent(a_request(to=b"carol@home.example"))
    ledger.answered(a_request(to=b"carol@home.example"), status, 0.002)
    assert ledger.missing()[0].endswith(f"was answered {status}, and 480 was due")


def test_480_for_somebody_who_has_a_server_is_a_failure():
    ledger = a_ledger()
    ledger.sent(a_request(to=b"bob@home.example"))
    ledger.answered(a_request(to=b"bob@home.example"), 480, 0.002)
    assert ledger.missing()[0].endswith("was answered 480")


def test_log_ons_are_answered_by_the_proxy():
    ledger = a_ledger()
    ledger.logged_on("REGISTER of alice", 200, 0.001)
    ledger.logged_on("REGISTER of bob", 403, 0.001)
    ledger.logged_on("REGISTER of carol", 0, 0.001)
    assert counts(ledger, "REGISTER") == (3, 0, 1)
    assert ledger.missing() == ["REGISTER of bob: was answered 403", "REGISTER of carol"]


def test_whoever_cannot_prove_who_he_is_has_to_be_refused():
    ledger = a_ledger()
    ledger.turned_away("MESSAGE from a stranger", 403, 0.001)
    ledger.turned_away("MESSAGE from a stranger", 200, 0.001)
    assert counts(ledger) == (2, 0, 1)
    assert ledger.tallies["MESSAGE"].by_proxy == 1
    assert ledger.missing() == ["MESSAGE from a stranger: was answered 200, and 403 was due"]


async def test_some_people_are_waited_for_alone(autojump_clock):
    ledger = a_ledger()
    ledger.sent(a_request())
    ledger.promise(str(CAROL))
    with trio.move_on_after(60) as scope:
        await ledger.settled([ALICE])
    assert scope.cancelled_caught
    ledger.delivered(a_request(), VIENNA)
    ledger.answered(a_request(), 200, 0.002)
    with trio.fail_after(1):
        await ledger.settled([ALICE])
    with trio.move_on_after(60) as scope:
        await ledger.settled([CAROL])
    assert scope.cancelled_caught


async def test_a_promise_is_waited_for(autojump_clock):
    ledger = a_ledger()
    ledger.promise("dave@partner.example")
    with trio.move_on_after(60) as scope:
        await ledger.settled()
    assert scope.cancelled_caught
    ledger.kept("dave@partner.example")
    with trio.fail_after(1):
        await ledger.settled()


def test_the_total_leaves_out_how_long_it_rang():
    ledger = a_ledger()
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
