"""When a request is sent again, and what counts as its answer: without sockets and clocks."""

from __future__ import annotations

import random

import pytest
from sipx_stun.codec import (
    CHANGE_IP,
    CHANGE_PORT,
    COOKIE,
    Attr,
    Kind,
    address_value,
    decode,
    encode,
    mapped_address,
)
from sipx_stun.transaction import (
    BRISK,
    MOST_REFUSALS,
    PATIENT,
    Ending,
    Schedule,
    Transaction,
    refusal_of,
)

SERVER = ("203.0.113.10", 3478)
OTHER = ("203.0.113.11", 3479)
PUBLIC = ("203.0.113.1", 40000)
BEGIN = 1000.0


def begun(schedule: Schedule = PATIENT, **more: object) -> Transaction:
    return Transaction(SERVER, schedule, BEGIN, random.Random(1), **more)


def answer_to(request: bytes, *attributes: tuple[int, bytes], kind: Kind = Kind.SUCCESS) -> bytes:
    transaction = decode(request).transaction
    return encode(kind, transaction, attributes or [mapped_address(transaction, PUBLIC)])


def silence(transaction: Transaction) -> list[float]:
    """Let all time pass that there is; the times of sending since the beginning."""
    sent = []
    while transaction.outcome is None:
        now = transaction.due
        if transaction.poll(now) is not None:
            sent.append(round(now - BEGIN, 6))
    return sent


# ---------------------------------------------------------------- times


def test_the_times_are_those_of_rfc_8489():
    transaction = begun()
    assert silence(transaction) == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert transaction.due == BEGIN + 39.5
    assert (transaction.outcome.ending, transaction.outcome.text) == (Ending.SILENT, "no answer")


def test_the_times_are_those_of_rfc_3489():
    transaction = begun(BRISK)
    assert silence(transaction) == [0, 0.1, 0.3, 0.7, 1.5, 3.1, 4.7, 6.3, 7.9]
    assert transaction.due == BEGIN + 9.5


@pytest.mark.parametrize(
    ("timeout", "sends"), [(3.5, 3), (3.6, 4), (0.001, 1), (39.5, 7), (600, 7)]
)
def test_a_timeout_cuts_them_off(timeout, sends):
    transaction = begun(PATIENT.within(timeout))
    assert len(silence(transaction)) == sends
    assert transaction.due == BEGIN + min(timeout, 39.5)


def test_between_the_times_nothing_is_sent():
    transaction = begun()
    assert transaction.poll(BEGIN) is not None
    assert transaction.poll(BEGIN) is None
    assert transaction.poll(BEGIN + 0.499) is None
    assert transaction.due == BEGIN + 0.5


def test_what_a_busy_machine_missed_is_sent_once():
    transaction = begun()
    assert transaction.poll(BEGIN + 5) is not None
    assert transaction.poll(BEGIN + 5) is None
    assert transaction.due == BEGIN + 7.5
    assert transaction.poll(BEGIN + 100) is None
    assert transaction.outcome.ending is Ending.SILENT


def test_all_requests_of_a_transaction_are_the_same_and_those_of_two_are_not():
    rng = random.Random(1)
    one, two = (Transaction(SERVER, PATIENT, BEGIN, rng) for _ in range(2))
    first = one.poll(BEGIN)
    assert one.poll(BEGIN + 0.5) == first
    assert two.poll(BEGIN) != first
    assert first[:8] == b"\0\1\0\0" + COOKIE
    assert len(first) == 20


# ---------------------------------------------------------------- answers


def test_an_answer_ends_it():
    transaction = begun()
    transaction.receive(answer_to(transaction.poll(BEGIN)), SERVER)
    assert (transaction.outcome.ending, transaction.outcome.mapped) == (Ending.ANSWERED, PUBLIC)
    assert transaction.poll(BEGIN + 1) is None


def test_only_the_first_answer_counts():
    transaction = begun()
    request = transaction.poll(BEGIN)
    transaction.receive(answer_to(request), SERVER)
    later = answer_to(request, mapped_address(decode(request).transaction, ("192.0.2.1", 1)))
    transaction.receive(later, SERVER)
    transaction.unsendable("no route")
    assert transaction.outcome.mapped == PUBLIC


def test_nat_2_an_answer_with_another_id_is_none_however_right_its_source():
    transaction = begun()
    request = bytearray(transaction.poll(BEGIN))
    for place in range(4, 20):
        guessed = bytearray(request)
        guessed[place] ^= 1
        transaction.receive(answer_to(bytes(guessed)), SERVER)
    assert transaction.outcome is None
    silence(transaction)
    assert transaction.outcome.ending is Ending.SILENT


@pytest.mark.parametrize("source", [(SERVER[0], 3479), (OTHER[0], 3478), ("10.0.0.1", 3478)])
def test_nat_2_an_answer_from_elsewhere_is_none_however_right_its_id(source):
    transaction = begun()
    request = transaction.poll(BEGIN)
    transaction.receive(answer_to(request), source)
    assert transaction.outcome is None
    transaction.receive(answer_to(request), SERVER)
    assert transaction.outcome.ending is Ending.ANSWERED


def test_an_answer_from_elsewhere_is_told_where_nothing_better_comes():
    transaction = begun()
    transaction.receive(answer_to(transaction.poll(BEGIN)), OTHER)
    silence(transaction)
    assert transaction.outcome.ending is Ending.USELESS
    assert transaction.outcome.text == "the answer came from 203.0.113.11 port 3479"


def test_with_a_change_request_the_answer_comes_from_there_and_not_from_here():
    transaction = begun(change=CHANGE_IP | CHANGE_PORT, answers_from=OTHER)
    request = transaction.poll(BEGIN)
    assert decode(request).change == CHANGE_IP | CHANGE_PORT
    transaction.receive(answer_to(request), SERVER)
    assert transaction.outcome is None
    transaction.receive(answer_to(request), OTHER)
    assert transaction.outcome.ending is Ending.ANSWERED


RIGHT = (-1, b"")
"""Stands for the right XOR-MAPPED-ADDRESS, which only the request tells how to write."""
ROOM = 548 - 20 - 12 - 4
"""Bytes that an answer has left for the value of one more attribute."""


def answer_with(request: bytes, *attributes: tuple[int, bytes]) -> bytes:
    right = mapped_address(decode(request).transaction, PUBLIC)
    return answer_to(request, *(right if each == RIGHT else each for each in attributes))


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ([RIGHT, (0x7FFF, b"")], "the answer has an unknown attribute 0x7fff"),
        ([RIGHT, (Attr.SOFTWARE, bytes(ROOM + 4))], "an answer of 552 bytes"),
        ([(Attr.SOFTWARE, b"x")], "the answer tells no address"),
        (
            [(Attr.MAPPED_ADDRESS, address_value(("0.0.0.0", 5)))],
            "the answer tells an address that cannot be: 0.0.0.0 port 5 is nowhere",
        ),
        ([(Attr.MAPPED_ADDRESS, address_value(("192.0.2.1", 0)))], "192.0.2.1 port 0 is nowhere"),
        ([(Attr.MAPPED_ADDRESS, address_value(("239.1.2.3", 5)))], "239.1.2.3 port 5 is nowhere"),
        ([(Attr.MAPPED_ADDRESS, address_value(("127.0.0.1", 5)))], "is a loopback address"),
        ([(Attr.MAPPED_ADDRESS, address_value(("2001:db8::1", 5)))], "is no IPv4 address"),
        ([RIGHT, (Attr.MAPPED_ADDRESS, b"\0\1")], "a malformed answer: an address is neither"),
    ],
)
def test_nat_7_an_answer_that_cannot_be_right_is_ignored_and_told(attributes, says):
    transaction = begun()
    transaction.receive(answer_with(transaction.poll(BEGIN), *attributes), SERVER)
    assert transaction.outcome is None
    silence(transaction)
    assert transaction.outcome.ending is Ending.USELESS
    assert says in transaction.outcome.text


def test_nat_7_the_largest_answer_has_548_bytes():
    transaction = begun()
    data = answer_with(transaction.poll(BEGIN), RIGHT, (Attr.SOFTWARE, bytes(ROOM)))
    assert len(data) == 548
    transaction.receive(data, SERVER)
    assert transaction.outcome.ending is Ending.ANSWERED


def test_noise_of_others_is_not_even_told():
    transaction = begun()
    request = transaction.poll(BEGIN)
    for data in (b"", b"\xff" * 600, request, b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"):
        transaction.receive(data, OTHER)
    transaction.receive(request, SERVER)  # it was only sent back
    silence(transaction)
    assert transaction.outcome.ending is Ending.SILENT


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ([(Attr.ERROR_CODE, b"\0\0\4\x14Unknown Attribute")], "error 420 Unknown Attribute"),
        ([(Attr.ERROR_CODE, b"\0\0\5\0")], "error 500"),
        ([(Attr.SOFTWARE, b"")], "error without a code"),
    ],
)
def test_an_error_of_the_server_is_the_end(attributes, says):
    transaction = begun()
    transaction.receive(answer_to(transaction.poll(BEGIN), *attributes, kind=Kind.ERROR), SERVER)
    assert (transaction.outcome.ending, transaction.outcome.text) == (Ending.REFUSED, says)


# ---------------------------------------------------------------- ICMP


def test_icmp_is_not_the_end_where_an_answer_comes_after_it():
    transaction = begun()
    request = transaction.poll(BEGIN)
    transaction.unreachable("connection refused (ICMP)")
    assert transaction.outcome is None
    transaction.receive(answer_to(request), SERVER)
    assert transaction.outcome.ending is Ending.ANSWERED


def test_icmp_is_told_where_nothing_else_comes():
    transaction = begun()
    transaction.poll(BEGIN)
    transaction.unreachable("connection refused (ICMP)")
    assert len(silence(transaction)) == 6
    assert transaction.outcome.ending is Ending.UNREACHABLE
    assert transaction.outcome.text == "connection refused (ICMP)"


def test_icmp_is_believed_when_it_answers_several_requests():
    transaction = begun()
    sent = 0
    while transaction.outcome is None:
        assert transaction.poll(transaction.due) is not None
        sent += 1
        for _ in range(5):  # five for one request are no more than one
            transaction.unreachable("connection refused (ICMP)")
    assert sent == MOST_REFUSALS
    assert transaction.outcome.ending is Ending.UNREACHABLE


def test_what_this_machine_does_not_send_fails_at_once():
    transaction = begun()
    transaction.poll(BEGIN)
    transaction.unsendable("network is unreachable")
    assert transaction.outcome.ending is Ending.UNREACHABLE


# ---------------------------------------------------------------- addresses


def test_nobody_is_seen_at_port_0():
    for mapped in ("203.0.113.1", "127.0.0.1"):
        assert refusal_of((mapped, 0), (mapped, 3478)) == f"{mapped} port 0 is nowhere"


@pytest.mark.parametrize(
    ("mapped", "server", "right"),
    [
        ("203.0.113.1", "203.0.113.10", True),
        ("10.0.0.5", "203.0.113.10", True),  # a NAT behind a NAT, which may be what is wanted
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "203.0.113.10", False),
        ("2001:db8::5", "2001:db8::1", True),
        ("203.0.113.1", "2001:db8::1", False),
        ("::", "2001:db8::1", False),
        ("::1", "2001:db8::1", False),
        ("ff02::1", "2001:db8::1", False),
        ("255.255.255.255", "203.0.113.10", False),
        ("240.0.0.1", "203.0.113.10", False),
        ("0.0.0.1", "203.0.113.10", False),
        ("::ffff:7f00:1", "2001:db8::1", False),
        ("::ffff:cb00:7101", "2001:db8::1", False),
    ],
)
def test_what_a_server_can_see_us_at(mapped, server, right):
    assert (refusal_of((mapped, 1), (server, 3478)) == "") is right
