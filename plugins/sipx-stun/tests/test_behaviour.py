"""What the tests of RFC 5780 ask, and what is made of their outcomes: against models of NATs."""

from __future__ import annotations

import itertools
import random

import pytest
from sipx_stun.behaviour import (
    MEANING,
    Filtering,
    Mapping,
    NatType,
    Request,
    filtering_found,
    filtering_test,
    filtering_tests,
    mapping_tests,
    nat_type,
    other_address,
)
from sipx_stun.codec import (
    CHANGE_IP,
    CHANGE_PORT,
    COOKIE,
    Attr,
    Kind,
    StunMessage,
    address_value,
    decode,
    encode,
    mapped_address,
)
from sipx_stun.transaction import Ending, Outcome

SERVER = ("203.0.113.10", 3478)
OTHER = ("203.0.113.11", 3479)
LOCAL = ("10.99.1.2", 40000)
TRANSACTION = COOKIE + bytes(12)


def answered(mapped, other=OTHER) -> Outcome:
    offered = [] if other is None else [(Attr.OTHER_ADDRESS, address_value(other))]
    data = encode(Kind.SUCCESS, TRANSACTION, [mapped_address(TRANSACTION, mapped), *offered])
    return Outcome(Ending.ANSWERED, "", decode(data), mapped)


SILENT = Outcome(Ending.SILENT, "no answer")
REFUSED = Outcome(Ending.REFUSED, "error 420 Unknown Attribute")
USELESS = Outcome(Ending.USELESS, "the answer came from 203.0.113.10 port 3478")


def walk(tests, answers):
    """Make the tests, with an outcome for each destination; what was asked, and what was found."""
    asked = []
    try:
        request = next(tests)
        while True:
            asked.append(request)
            request = tests.send(answers(request))
    except StopIteration as done:
        return asked, done.value


# ---------------------------------------------------------------- the words


def test_every_pair_has_its_word():
    words = {
        (mapping, filtering): nat_type(mapping, filtering, answered=True)
        for mapping, filtering in itertools.product(Mapping, Filtering)
    }
    for filtering in Filtering:
        assert words[Mapping.UNKNOWN, filtering] is NatType.UNKNOWN
        assert words[Mapping.ADDRESS_DEPENDENT, filtering] is NatType.SYMMETRIC_NAT
        assert words[Mapping.ADDRESS_AND_PORT_DEPENDENT, filtering] is NatType.SYMMETRIC_NAT
    assert {f: words[Mapping.NO_NAT, f] for f in Filtering} == {
        Filtering.ENDPOINT_INDEPENDENT: NatType.OPEN_INTERNET,
        Filtering.ADDRESS_DEPENDENT: NatType.SYMMETRIC_UDP_FIREWALL,
        Filtering.ADDRESS_AND_PORT_DEPENDENT: NatType.SYMMETRIC_UDP_FIREWALL,
        Filtering.UNKNOWN: NatType.UNKNOWN,
    }
    assert {f: words[Mapping.ENDPOINT_INDEPENDENT, f] for f in Filtering} == {
        Filtering.ENDPOINT_INDEPENDENT: NatType.FULL_CONE,
        Filtering.ADDRESS_DEPENDENT: NatType.RESTRICTED_CONE,
        Filtering.ADDRESS_AND_PORT_DEPENDENT: NatType.PORT_RESTRICTED_CONE,
        Filtering.UNKNOWN: NatType.UNKNOWN,
    }


def test_without_any_answer_udp_is_blocked():
    for mapping, filtering in itertools.product(Mapping, Filtering):
        word = nat_type(mapping, filtering, answered=False)
        assert word is NatType.FIREWALL_BLOCKING_UDP


def test_every_word_has_one_sentence_that_speaks_of_tcp():
    assert MEANING.keys() == set(NatType)
    for sentence in MEANING.values():
        assert sentence.endswith(".")
        assert sentence.count(".") == 1
        assert "TCP 5061" in sentence


# ---------------------------------------------------------------- mapping


PORTS = {
    # By what a NAT chooses the public port: the same always, one for an address, one for both.
    Mapping.ENDPOINT_INDEPENDENT: lambda to: 1,
    Mapping.ADDRESS_DEPENDENT: lambda to: 1 + (to[0] == OTHER[0]),
    Mapping.ADDRESS_AND_PORT_DEPENDENT: lambda to: 1 + (to[0] == OTHER[0]) + (to[1] == OTHER[1]),
}


@pytest.mark.parametrize("kind", PORTS)
def test_each_mapping_is_named_by_the_ports_it_gives(kind):
    asked, found = walk(
        mapping_tests(SERVER, LOCAL),
        lambda request: answered(("203.0.113.1", PORTS[kind](request.to))),
    )
    assert (found.mapping, found.other, found.why) == (kind, OTHER, "")
    # RFC 5780 §4.3: primary; "the alternate address, but primary port"; "the alternate address
    # and port", which is not needed where the second test has told it.
    places = [SERVER, (OTHER[0], SERVER[1]), OTHER]
    expected = places[:2] if kind is Mapping.ENDPOINT_INDEPENDENT else places
    assert asked == [Request(to) for to in expected]


def test_a_nat_that_keeps_the_port_is_one_all_the_same():
    _, found = walk(
        mapping_tests(SERVER, LOCAL), lambda request: answered(("203.0.113.1", LOCAL[1]))
    )
    assert found.mapping is Mapping.ENDPOINT_INDEPENDENT


def test_a_nat_of_another_public_address_for_each_destination_is_seen():
    _, found = walk(
        mapping_tests(SERVER, LOCAL),
        lambda request: answered(("203.0.113." + str(1 + (request.to[0] == OTHER[0])), 7)),
    )
    assert found.mapping is Mapping.ADDRESS_DEPENDENT


@pytest.mark.parametrize("other", [OTHER, None])
def test_who_is_seen_where_it_is_has_no_nat(other):
    asked, found = walk(mapping_tests(SERVER, LOCAL), lambda request: answered(LOCAL, other))
    assert (found.mapping, found.other) == (Mapping.NO_NAT, other)
    assert len(asked) == 1
    assert bool(found.why) is (other is None)


def test_without_a_second_address_nothing_is_known():
    asked, found = walk(
        mapping_tests(SERVER, LOCAL), lambda request: answered(("203.0.113.1", 7), None)
    )
    assert (found.mapping, found.other) == (Mapping.UNKNOWN, None)
    assert found.why.startswith("203.0.113.10 port 3478 has no second address")
    assert len(asked) == 1


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("outcome", [SILENT, REFUSED, USELESS])
def test_a_test_without_an_answer_says_which_and_why(at, outcome):
    outcomes = [answered(("203.0.113.1", n)) for n in range(7, 7 + at - 1)] + [outcome]
    _, found = walk(mapping_tests(SERVER, LOCAL), lambda request: outcomes.pop(0))
    assert found.mapping is Mapping.UNKNOWN
    assert found.why.endswith(outcome.text)
    assert (OTHER[0] in found.why) is (at > 1)


# ---------------------------------------------------------------- a server's second address


def saying(other) -> StunMessage:
    return StunMessage(Kind.SUCCESS, TRANSACTION, other=other)


@pytest.mark.parametrize(
    ("server", "other", "says"),
    [
        (SERVER, OTHER, ""),
        (("10.0.0.1", 3478), ("10.0.0.2", 3479), ""),
        (("127.0.0.1", 3478), ("127.0.0.2", 3479), ""),
        (("2001:db8::1", 3478), ("2001:db8::2", 3479), ""),
        (SERVER, None, "no second address"),
        (SERVER, (SERVER[0], 3479), "no second address"),
        (SERVER, (OTHER[0], SERVER[1]), "no second port"),
        (SERVER, ("0.0.0.0", 3479), "is nowhere"),
        (SERVER, (OTHER[0], 0), "is nowhere"),
        (SERVER, ("224.0.0.1", 3479), "is nowhere"),
        (SERVER, ("127.0.0.1", 3479), "is a loopback address"),
        (SERVER, ("10.0.0.2", 3479), "is a private address"),
        (SERVER, ("169.254.169.254", 80), "is a private address"),
        (SERVER, ("2001:db8::2", 3479), "is no IPv4 address"),
        (("2001:db8::1", 3478), ("fd00::1", 3479), "is a private address"),
    ],
)
def test_a_server_leads_nowhere_it_could_not_send_itself(server, other, says):
    found, why = other_address(server, saying(other))
    assert found == (None if says else other)
    assert says in why


# ---------------------------------------------------------------- filtering


def test_the_filtering_tests_are_those_of_rfc_5780():
    assert filtering_tests(SERVER, OTHER) == (
        Request(SERVER, CHANGE_IP | CHANGE_PORT, OTHER),
        Request(SERVER, CHANGE_PORT, (SERVER[0], OTHER[1])),
    )


def test_nat_1_a_filtering_test_speaks_to_the_primary_address_only():
    for request in filtering_tests(SERVER, OTHER):
        asked, found = walk(filtering_test(request), lambda request: answered(LOCAL))
        assert asked == [Request(SERVER), request]
        assert found.ending is Ending.ANSWERED
        assert {each.to for each in asked} == {SERVER}


def test_a_server_that_answers_no_longer_is_no_filter():
    request, _ = filtering_tests(SERVER, OTHER)
    asked, found = walk(filtering_test(request), lambda request: SILENT)
    assert len(asked) == 1
    assert found.ending is Ending.USELESS
    assert found.text == "203.0.113.10 port 3478 answers no longer: no answer"


HEARD = answered(LOCAL)


@pytest.mark.parametrize(
    ("second", "third", "filtering"),
    [
        (HEARD, HEARD, Filtering.ENDPOINT_INDEPENDENT),
        (HEARD, SILENT, Filtering.ENDPOINT_INDEPENDENT),
        (SILENT, HEARD, Filtering.ADDRESS_DEPENDENT),
        (SILENT, SILENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
        (REFUSED, HEARD, Filtering.UNKNOWN),
        (SILENT, REFUSED, Filtering.UNKNOWN),
        (USELESS, SILENT, Filtering.UNKNOWN),
        (SILENT, USELESS, Filtering.UNKNOWN),
        (Outcome(Ending.UNREACHABLE, "refused"), SILENT, Filtering.UNKNOWN),
    ],
)
def test_silence_says_something_and_oddities_do_not(second, third, filtering):
    found = filtering_found(second, third)
    assert found.filtering is filtering
    assert bool(found.why) is (filtering is Filtering.UNKNOWN)


def test_mapping_tests_survive_outcomes_in_any_order():
    rng = random.Random(5)
    pool = [SILENT, REFUSED, USELESS, answered(LOCAL), answered(("203.0.113.1", 9)),
            answered(("203.0.113.1", 9), None), answered(("203.0.113.2", 1))]  # fmt: skip
    for _ in range(500):
        _, found = walk(mapping_tests(SERVER, LOCAL), lambda request: rng.choice(pool))
        assert found.mapping in Mapping
        assert (found.mapping is Mapping.UNKNOWN) <= bool(found.why)
