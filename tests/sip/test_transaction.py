"""The four machines as transcripts, RFC 3261 §17 with RFC 6026 and RFC 4320 in virtual time.

Each function below plays one conversation; the last test asserts that together they use every
row of every table.
"""

import random

import pytest

from sipx.sip.timers import TICK, TimerSettings
from sipx.sip.transaction import (
    ACCEPTED,
    CALLING,
    COMPLETED,
    CONFIRMED,
    PROCEEDING,
    TERMINATED,
    TRYING,
    ClientTransaction,
    server_key,
)
from sipx.testing.transcript import Line, Pair, Transcript, all_rows
from sipx.testing.wire import a_request

# Gaps between sendings: T1 doubling without bound for A, up to T2 for E and G.
A_GAPS = (0.5, 1, 2, 4, 8, 16)
E_GAPS = (0.5, 1, 2, 4, 4, 4, 4, 4, 4, 4)


def client(method, rows, **options):
    return Transcript.client(method, rows=rows, **options).starts().sends(method)


def server(method, rows, **options):
    return Transcript.server(method, rows=rows, **options).receives(method).tells(method)


# ---------------------------------------------------------------- client, INVITE (Figure 5)


def invite_is_sent_again_by_timer_a_until_timer_b(rows):
    machine = client("INVITE", rows)
    for gap in A_GAPS:
        machine.after(gap).sends("INVITE").is_in(CALLING)
    machine.after(0.5).tells("timeout").is_in(TERMINATED).ends()


def invite_over_a_stream_is_sent_once_and_times_out_after_32_s(rows):
    client("INVITE", rows, reliable=True).after(32).tells("timeout").ends()


def invite_is_not_sent_again_after_a_provisional_response(rows):
    machine = client("INVITE", rows).after(0.5).sends("INVITE")
    machine.receives(100).tells(100).is_in(PROCEEDING)
    machine.after(60).receives(180).tells(180).after(60)
    machine.receives(200).tells(200).is_in(ACCEPTED).after(32).nothing().ends()


def x03_a_failure_is_acknowledged_on_the_same_way_with_the_same_branch(rows):
    machine = client("INVITE", rows).receives(486).sends("ACK").tells(486)
    ack = machine.last
    assert b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKours\r\n" in ack
    assert b"\r\nTo: <sip:bob@home.example>;tag=b\r\n" in ack
    assert b"\r\nCSeq: 1 ACK\r\n" in ack
    machine.is_in(COMPLETED).ends()


def timer_d_absorbs_failures_that_come_again_for_more_than_32_s(rows):
    machine = client("INVITE", rows).receives(180).tells(180)
    machine.receives(486).sends("ACK").tells(486)
    machine.after(32).receives(486).sends("ACK").is_in(COMPLETED)
    machine.after(0.5).is_in(TERMINATED).is_gone()


def over_a_stream_timer_d_is_zero(rows):
    machine = client("INVITE", rows, reliable=True).receives(486).sends("ACK").tells(486)
    machine.is_in(TERMINATED).is_gone()


def x04_a_second_2xx_passes_until_timer_m(rows):
    machine = client("INVITE", rows).receives(200).tells(200).is_in(ACCEPTED)
    machine.after(31.9).receives(200).tells(200).receives(486).receives(180)
    machine.after(0.1).is_gone().receives(200).nothing()
    assert machine.transactions.strays == 1


def invite_that_cannot_be_sent_is_an_error(rows):
    client("INVITE", rows).breaks().after(0.5).tells("error").ends()


def invite_is_told_when_its_connection_ends(rows):
    client("INVITE", rows, reliable=True).loses_its_flow().tells("error").ends()


def invite_is_told_when_its_connection_ends_after_180(rows):
    machine = client("INVITE", rows, reliable=True).receives(180).tells(180)
    machine.loses_its_flow().tells("error").ends()


def invite_that_cannot_even_leave_is_an_error(rows):
    machine = Transcript.client("INVITE", rows=rows).breaks().starts().tells("error")
    machine.is_gone().ends()


# ---------------------------------------------------------------- client, others (Figure 6)


def request_is_sent_again_by_timer_e_until_timer_f(rows):
    machine = client("MESSAGE", rows)
    for gap in E_GAPS:
        machine.after(gap).sends("MESSAGE").is_in(TRYING)
    machine.after(0.5).tells("timeout").ends()


def request_over_a_stream_is_sent_once_and_times_out_after_32_s(rows):
    client("MESSAGE", rows, reliable=True).after(32).tells("timeout").ends()


def after_a_provisional_response_timer_e_is_t2_and_timer_f_goes_on(rows):
    machine = client("MESSAGE", rows).receives(100).tells(100).is_in(PROCEEDING)
    machine.after(0.5).sends("MESSAGE").receives(100).tells(100)
    for _ in range(7):
        machine.after(4).sends("MESSAGE")
    machine.after(3.5).tells("timeout").ends()


def request_is_over_with_its_first_final_response(rows):
    for status in (200, 404):
        machine = client("MESSAGE", rows).receives(status).tells(status).is_gone()
        machine.receives(status).nothing().ends()
        machine = client("MESSAGE", rows).receives(100).tells(100)
        machine.receives(status).tells(status).is_gone().ends()


def request_that_cannot_be_sent_is_an_error(rows):
    client("MESSAGE", rows).breaks().after(0.5).tells("error").ends()
    machine = client("MESSAGE", rows).receives(100).tells(100)
    machine.breaks().after(0.5).tells("error").ends()


# ---------------------------------------------------------------- server, INVITE (Figure 7)


def invite_gets_100_after_200_ms(rows):
    server("INVITE", rows).after(0.2).sends(100).receives("INVITE").sends(100)


def invite_gets_no_100_when_the_user_was_faster(rows):
    machine = server("INVITE", rows).after(0.1).answers(180).sends(180)
    machine.after(5).receives("INVITE").sends(180).is_in(PROCEEDING)


def a_retransmitted_invite_before_any_response_gets_none(rows):
    server("INVITE", rows).receives("INVITE").nothing()


def timer_g_repeats_a_failure_until_timer_h(rows):
    machine = server("INVITE", rows).answers(486).sends(486).is_in(COMPLETED)
    for gap in E_GAPS:
        machine.after(gap).sends(486)
    machine.after(0.5).is_in(TERMINATED).ends()


def over_a_stream_a_failure_is_sent_once_and_timer_h_ends_it(rows):
    machine = server("INVITE", rows, reliable=True).answers(486).sends(486)
    machine.after(31.9).is_in(COMPLETED).after(0.1).is_gone().ends()


def a_failure_is_repeated_for_a_retransmitted_invite(rows):
    machine = server("INVITE", rows).answers(404).sends(404)
    machine.after(0.4).receives("INVITE").sends(404).after(0.1).sends(404)


def the_ack_ends_it_after_timer_i(rows):
    machine = server("INVITE", rows).answers(486).sends(486).after(0.3)
    machine.receives("ACK").is_in(CONFIRMED).receives("ACK").receives("INVITE")
    machine.after(4.9).is_in(CONFIRMED).after(0.1).is_gone().ends()


def over_a_stream_timer_i_is_zero(rows):
    machine = server("INVITE", rows, reliable=True).answers(486).sends(486)
    machine.receives("ACK").is_gone().ends()


def x04_a_retransmitted_invite_after_a_2xx_is_absorbed_until_timer_l(rows):
    machine = server("INVITE", rows).answers(200).sends(200).is_in(ACCEPTED)
    machine.receives("INVITE").nothing().after(31.9).receives("INVITE").nothing()
    machine.after(0.1).is_gone().ends()


def x04_a_2xx_of_another_branch_passes_after_the_first(rows):
    machine = server("INVITE", rows).answers(200).sends(200).answers(200).sends(200)
    machine.answers(486).answers(180).nothing()


def an_ack_for_a_2xx_goes_to_the_user(rows):
    server("INVITE", rows).answers(200).sends(200).receives("ACK").tells("ACK")


def the_second_of_two_failures_is_not_sent(rows):
    server("INVITE", rows).answers(486).sends(486).answers(603).answers(200).nothing()


# ---------------------------------------------------------------- server, others (Figure 8)


def x05_a_request_gets_no_100_before_timer_e_has_reached_t2(rows):
    for reliable in (False, True):
        machine = server("MESSAGE", rows, reliable=reliable)
        machine.after(3.4).nothing().after(0.2 - 0.1).sends(100).is_in(PROCEEDING)
        machine.receives("MESSAGE").sends(100).answers(200).sends(200)


def x05_a_request_gets_no_other_provisional_response(rows):
    machine = server("MESSAGE", rows).answers(180).answers(100).nothing().is_in(TRYING)
    machine.after(3.5).sends(100).answers(183).nothing().answers(404).sends(404)


def x02_a_retransmission_before_the_answer_is_absorbed(rows):
    server("MESSAGE", rows).receives("MESSAGE").nothing().is_in(TRYING)


def x02_timer_j_answers_retransmissions_for_32_s(rows):
    for status in (200, 404):
        machine = server("MESSAGE", rows).after(1).answers(status).sends(status)
        machine.receives("MESSAGE").sends(status)
        machine.after(31.9).receives("MESSAGE").sends(status)
        machine.after(1).is_gone().ends()


def over_a_stream_timer_j_is_zero(rows):
    server("MESSAGE", rows, reliable=True).answers(200).sends(200).is_gone().ends()


TRANSCRIPTS = [
    invite_is_sent_again_by_timer_a_until_timer_b,
    invite_over_a_stream_is_sent_once_and_times_out_after_32_s,
    invite_is_not_sent_again_after_a_provisional_response,
    x03_a_failure_is_acknowledged_on_the_same_way_with_the_same_branch,
    timer_d_absorbs_failures_that_come_again_for_more_than_32_s,
    over_a_stream_timer_d_is_zero,
    x04_a_second_2xx_passes_until_timer_m,
    invite_that_cannot_be_sent_is_an_error,
    invite_is_told_when_its_connection_ends,
    invite_is_told_when_its_connection_ends_after_180,
    invite_that_cannot_even_leave_is_an_error,
    request_is_sent_again_by_timer_e_until_timer_f,
    request_over_a_stream_is_sent_once_and_times_out_after_32_s,
    after_a_provisional_response_timer_e_is_t2_and_timer_f_goes_on,
    request_is_over_with_its_first_final_response,
    request_that_cannot_be_sent_is_an_error,
    invite_gets_100_after_200_ms,
    invite_gets_no_100_when_the_user_was_faster,
    a_retransmitted_invite_before_any_response_gets_none,
    timer_g_repeats_a_failure_until_timer_h,
    over_a_stream_a_failure_is_sent_once_and_timer_h_ends_it,
    a_failure_is_repeated_for_a_retransmitted_invite,
    the_ack_ends_it_after_timer_i,
    over_a_stream_timer_i_is_zero,
    x04_a_retransmitted_invite_after_a_2xx_is_absorbed_until_timer_l,
    x04_a_2xx_of_another_branch_passes_after_the_first,
    an_ack_for_a_2xx_goes_to_the_user,
    the_second_of_two_failures_is_not_sent,
    x05_a_request_gets_no_100_before_timer_e_has_reached_t2,
    x05_a_request_gets_no_other_provisional_response,
    x02_a_retransmission_before_the_answer_is_absorbed,
    x02_timer_j_answers_retransmissions_for_32_s,
    over_a_stream_timer_j_is_zero,
]


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda function: function.__name__)
def test_transcript(transcript):
    transcript(set())


def test_the_transcripts_use_every_row_of_every_table():
    rows = set()
    for transcript in TRANSCRIPTS:
        transcript(rows)
    assert rows == all_rows()


def test_other_settings_move_all_timers():
    settings = TimerSettings(t1=0.1, t2=0.4, t4=0.5, d=1.0)
    machine = Transcript.client("MESSAGE", settings=settings).starts().sends("MESSAGE")
    for gap in (0.1, 0.2, *([0.4] * 15), 0.1):
        machine.after(gap)
        if machine.line.sent:
            machine.sends("MESSAGE")
    machine.tells("timeout")


class Silent(ClientTransaction):
    __slots__ = ()

    def on_response(self, response):
        raise AssertionError

    def on_timeout(self):
        pass

    def on_error(self):
        raise AssertionError

    def ack(self, response):
        raise AssertionError


def test_the_time_that_is_left_makes_no_timer_queue_of_its_own():
    """Clocks are never exact, and a queue is kept for ever."""
    machine = Transcript.client("INVITE")
    timers, rng = machine.timers, random.Random(3)
    begun = 0
    while timers.now < 120:
        timers.tick(timers.now + TICK + rng.random() / 100)
        if begun < 400:
            method = rng.choice((b"INVITE", b"MESSAGE"))
            Silent().begin(machine.transactions, b"%d" % begun, method, b"", Line(reliable=False))
            begun += 1
    assert not machine.transactions.clients
    assert len(timers._queues) < 100


# ---------------------------------------------------------------- matching (§17.2.3)


def test_x01_another_sent_by_with_the_same_branch_is_another_transaction():
    one = a_request(sent_by=b"192.0.2.1:5060")
    other = a_request(sent_by=b"192.0.2.2:5060")
    assert server_key(one) != server_key(other)
    assert server_key(one) == server_key(a_request())


def test_x01_sent_by_is_compared_by_its_meaning():
    one = a_request(sent_by=b"Proxy.Example:5060")
    assert server_key(one) == server_key(a_request(sent_by=b"proxy.example:5060"))


def test_x01_an_ack_belongs_to_its_invite_and_a_cancel_to_itself():
    invite, ack, cancel = (a_request(method) for method in ("INVITE", "ACK", "CANCEL"))
    assert server_key(invite) == server_key(ack)
    assert server_key(invite) != server_key(cancel)


OLD = b"Via: SIP/2.0/UDP 192.0.2.1:5060"


def test_without_the_magic_cookie_the_old_rules_match():
    """RFC 3261 §17.2.3: "if the branch parameter is not present, or does not contain"."""
    invite = a_request("INVITE", via=(OLD,))
    assert server_key(invite) == server_key(a_request("INVITE", via=(OLD,)))
    assert server_key(invite) == server_key(a_request("ACK", via=(OLD,), to_tag=b"b"))


@pytest.mark.parametrize(
    "other",
    [
        {"uri": "sip:carol@home.example"},
        {"from_tag": b"x"},
        {"call_id": b"other@example"},
        {"cseq": 2},
        {"via": (OLD + b";branch=1",)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_without_the_magic_cookie_every_part_counts(other):
    invite = a_request("INVITE", via=(OLD,))
    assert server_key(invite) != server_key(a_request("INVITE", **{"via": (OLD,), **other}))


# ---------------------------------------------------------------- client and server, joined

LOSSES = [
    # what is lost                      when the client hears, how often each side sends
    ("", 0.06, 1, 1),
    ("c0", 0.56, 2, 1),
    ("c0 c1", 1.56, 3, 1),
    ("s0", 0.52, 2, 2),
    ("c0 s0", 1.52, 3, 2),
    ("s0 s1", 1.52, 3, 3),
    ("s0 s1 s2", 3.52, 4, 4),
]


@pytest.mark.parametrize(("lost", "heard", "from_client", "from_server"), LOSSES)
def test_a_request_survives_losses_and_reaches_the_user_once(lost, heard, from_client, from_server):
    pair = Pair("MESSAGE", ((0.03, 200),), lost=frozenset(lost.split())).run(70)
    assert pair.requests == 1
    assert [what for _, what in pair.told] == [200]
    assert pair.told[0][0] == pytest.approx(heard, abs=0.03)
    assert pair.sent == {"c": from_client, "s": from_server}
    pair.client.is_gone()
    pair.server.is_gone()


INVITE_LOSSES = [
    # what is lost      answer  when the client hears the answer, how often each side sends
    ("", 486, 0.06, 2, 1),
    ("c0", 486, 0.56, 3, 1),
    ("s0", 486, 0.52, 3, 2),
    ("c1", 486, 0.06, 3, 2),
    ("c1 c2", 486, 0.06, 4, 3),
    ("s0 c2", 486, 0.52, 4, 3),
    ("", 200, 0.06, 1, 1),
    ("c0", 200, 0.56, 2, 1),
]


@pytest.mark.parametrize(("lost", "status", "heard", "from_client", "from_server"), INVITE_LOSSES)
def test_an_invite_survives_losses_and_reaches_the_user_once(
    lost, status, heard, from_client, from_server
):
    pair = Pair("INVITE", ((0.03, status),), lost=frozenset(lost.split())).run(70)
    assert pair.requests == 1
    assert [what for _, what in pair.told] == [status]
    assert pair.told[0][0] == pytest.approx(heard, abs=0.03)
    assert pair.sent == {"c": from_client, "s": from_server}
    pair.client.is_gone()
    pair.server.is_gone()


def test_everything_lost_ends_on_both_sides():
    lost = frozenset(f"s{number}" for number in range(40))
    pair = Pair("INVITE", ((0.03, 486),), lost=lost).run(70)
    assert pair.requests == 1
    assert [what for _, what in pair.told] == ["timeout"]
    pair.client.is_gone()
    pair.server.is_gone()


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_over_a_stream_nothing_is_sent_twice(method):
    pair = Pair(method, ((0.03, 404),), reliable=True).run(40)
    assert [what for _, what in pair.told] == [404]
    assert pair.sent == {"c": 2 if method == "INVITE" else 1, "s": 1}
    pair.client.is_gone()
    pair.server.is_gone()
