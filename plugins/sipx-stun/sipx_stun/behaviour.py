"""Which kind of NAT there is: the tests of RFC 5780 §4, and what their outcomes mean.

Mapping and filtering are measured separately and named by RFC 4787; the eight words of RFC 3489
follow from the pair. RFC 5780 §1 warns that all this is a hint: NATs change their behaviour with
load and with what went through them before, and UDP says nothing of TCP.

Tests are told to whoever has sockets: a generator yields a `Request` and is sent its outcome.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx import is_private
from sipx_stun.codec import CHANGE_IP, CHANGE_PORT, Address, StunMessage
from sipx_stun.transaction import Ending, Outcome, place, refusal_of

if TYPE_CHECKING:
    import collections.abc
    from collections.abc import Generator


class Mapping(StrEnum):
    """RFC 4787 §4.1: when a NAT gives one port of ours the same public port again."""

    NO_NAT = "no NAT"
    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    UNKNOWN = "unknown"


class Filtering(StrEnum):
    """RFC 4787 §5: who may send to a port of ours that has sent to somebody."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    UNKNOWN = "unknown"


class NatType(StrEnum):
    """The words of RFC 3489 §5 and §10.1."""

    FULL_CONE = "Full Cone"
    RESTRICTED_CONE = "Restricted Cone"
    PORT_RESTRICTED_CONE = "Port Restricted Cone"
    SYMMETRIC_NAT = "Symmetric NAT"
    OPEN_INTERNET = "Open Internet"
    FIREWALL_BLOCKING_UDP = "Firewall blocking UDP"
    SYMMETRIC_UDP_FIREWALL = "Symmetric UDP Firewall"
    UNKNOWN = "Unknown"


MEANING: Final[collections.abc.Mapping[NatType, str]] = {
    NatType.OPEN_INTERNET: (
        "No NAT, and UDP arrives unasked; partners reach TCP 5061 here unless a firewall treats "
        "TCP otherwise."
    ),
    NatType.SYMMETRIC_UDP_FIREWALL: (
        "No NAT, but a firewall lets in nothing but answers to our UDP, and probably to our TCP; "
        "TCP 5061 has to be opened in it."
    ),
    NatType.FULL_CONE: (
        "A NAT that lets UDP of anybody in to a port that has been used; TCP 5061 still has to be "
        "forwarded to this machine."
    ),
    NatType.RESTRICTED_CONE: (
        "A NAT that lets UDP in only from addresses that were sent to; TCP 5061 has to be "
        "forwarded to this machine."
    ),
    NatType.PORT_RESTRICTED_CONE: (
        "A NAT that lets UDP in only from addresses and ports that were sent to, as most routers "
        "do; TCP 5061 has to be forwarded to this machine."
    ),
    NatType.SYMMETRIC_NAT: (
        "A NAT with another public port for each destination, so only the address found holds for "
        "others; TCP 5061 has to be forwarded to this machine, and this address has to be the one "
        "that it is forwarded at."
    ),
    NatType.FIREWALL_BLOCKING_UDP: (
        "No UDP comes back, which says nothing of TCP 5061; the public address has to be written "
        "down by hand."
    ),
    NatType.UNKNOWN: (
        "The kind of NAT could not be measured; a public address that was found is right all the "
        "same, and TCP 5061 has to be reachable there."
    ),
}
"""What each means for SIP over TCP 5061, in a sentence.

None says that TCP 5061 is reachable: only somebody outside can tell.
"""

_CONES: Final = {
    Filtering.ENDPOINT_INDEPENDENT: NatType.FULL_CONE,
    Filtering.ADDRESS_DEPENDENT: NatType.RESTRICTED_CONE,
    Filtering.ADDRESS_AND_PORT_DEPENDENT: NatType.PORT_RESTRICTED_CONE,
    Filtering.UNKNOWN: NatType.UNKNOWN,
}
_WITHOUT_NAT: Final = {
    Filtering.ENDPOINT_INDEPENDENT: NatType.OPEN_INTERNET,
    Filtering.ADDRESS_DEPENDENT: NatType.SYMMETRIC_UDP_FIREWALL,
    Filtering.ADDRESS_AND_PORT_DEPENDENT: NatType.SYMMETRIC_UDP_FIREWALL,
    Filtering.UNKNOWN: NatType.UNKNOWN,
}


def nat_type(mapping: Mapping, filtering: Filtering, *, answered: bool) -> NatType:
    """The word for a pair; ``answered`` tells whether any server answered at all."""
    if not answered:
        return NatType.FIREWALL_BLOCKING_UDP
    match mapping:
        case Mapping.UNKNOWN:
            return NatType.UNKNOWN
        case Mapping.NO_NAT:
            return _WITHOUT_NAT[filtering]
        case Mapping.ENDPOINT_INDEPENDENT:
            return _CONES[filtering]
    return NatType.SYMMETRIC_NAT


# ---------------------------------------------------------------- the tests


class Request(NamedTuple):
    """A Binding request of a test: where to, with which flags, and where its answer comes from."""

    to: Address
    change: int = 0
    answers_from: Address | None = None


class MappingFound(NamedTuple):
    """What the mapping tests found; ``why`` is said where something remains unknown.

    ``other`` is the server's other address and port, None where it has none to be used.
    """

    mapping: Mapping
    other: Address | None
    why: str


class FilteringFound(NamedTuple):
    """What the filtering tests found; ``why`` is said where it is unknown."""

    filtering: Filtering
    why: str


def mapping_tests(server: Address, local: Address) -> Generator[Request, Outcome, MappingFound]:
    """RFC 5780 §4.3, all from one socket, which is bound to ``local``."""
    first = yield Request(server)
    if first.message is None:
        return MappingFound(Mapping.UNKNOWN, None, f"{place(server)}: {first.text}")
    other, why = other_address(server, first.message)
    # "If this address and port are the same as the local IP address and port of the socket used
    # to send the request, the client knows that it is not NATed"
    if first.mapped == local:
        return MappingFound(Mapping.NO_NAT, other, why)
    if other is None:
        return MappingFound(Mapping.UNKNOWN, None, why)
    # "In test II, the client sends a Binding Request to the alternate address, but primary port."
    second = yield Request((other[0], server[1]))
    if second.message is None:
        why = f"its second address, {place((other[0], server[1]))}: {second.text}"
        return MappingFound(Mapping.UNKNOWN, other, why)
    if second.mapped == first.mapped:
        return MappingFound(Mapping.ENDPOINT_INDEPENDENT, other, "")
    # "test III is performed: the client sends a Binding Request to the alternate address and port"
    third = yield Request(other)
    if third.message is None:
        why = f"its second address, {place(other)}: {third.text}"
        return MappingFound(Mapping.UNKNOWN, other, why)
    if third.mapped == second.mapped:
        return MappingFound(Mapping.ADDRESS_DEPENDENT, other, "")
    return MappingFound(Mapping.ADDRESS_AND_PORT_DEPENDENT, other, "")


def other_address(server: Address, answer: StunMessage) -> tuple[Address | None, str]:
    """The second address that a server offers for tests, else why there is none to be used.

    Datagrams are sent there, so a server must not lead us where it could not send itself: out of
    the internet into a network of ours.
    """
    other = answer.other
    if other is None or other[0] == server[0]:
        return None, f"{place(server)} has no second address, which the kind of NAT is found by"
    if other[1] == server[1]:
        return None, f"{place(server)} has no second port, which the kind of NAT is found by"
    wrong = refusal_of(other, server)
    if not wrong and is_private(other[0]) and not is_private(server[0]):
        wrong = f"{other[0]} is a private address"
    if wrong:
        return None, f"{place(server)} names a second address that cannot be: {wrong}"
    return other, ""


def filtering_tests(server: Address, other: Address) -> tuple[Request, Request]:
    """Tests II and III of RFC 5780 §4.4.

    Each is made from a socket that has spoken to nobody but ``server``, and has just been
    answered by it (test I): "These tests are sensitive to prior state on the NAT."
    """
    return (
        Request(server, CHANGE_IP | CHANGE_PORT, other),
        Request(server, CHANGE_PORT, (server[0], other[1])),
    )


def filtering_test(request: Request) -> Generator[Request, Outcome, Outcome]:
    """Test I and one of the others, from a socket of their own."""
    plain = yield Request(request.to)
    if plain.message is None:
        return Outcome(Ending.USELESS, f"{place(request.to)} answers no longer: {plain.text}")
    return (yield request)


def filtering_found(second: Outcome, third: Outcome) -> FilteringFound:
    """What the outcomes of tests II and III say. Silence counts, errors and oddities do not."""
    if second.message is not None:
        return FilteringFound(Filtering.ENDPOINT_INDEPENDENT, "")
    if second.ending is not Ending.SILENT:
        return FilteringFound(Filtering.UNKNOWN, f"asked to change its address: {second.text}")
    if third.message is not None:
        return FilteringFound(Filtering.ADDRESS_DEPENDENT, "")
    if third.ending is not Ending.SILENT:
        return FilteringFound(Filtering.UNKNOWN, f"asked to change its port: {third.text}")
    return FilteringFound(Filtering.ADDRESS_AND_PORT_DEPENDENT, "")
