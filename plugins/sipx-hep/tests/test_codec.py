"""Packets of HEP3."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sipx_hep.codec import LARGEST, LONGEST_CORRELATION, Place, endpoints, identity, packet

from .conftest import decoded

FOUR = endpoints(Place("192.0.2.1", 5060), Place("198.51.100.2", 5062), datagrams=True)
SIX = endpoints(Place("2001:db8::1", 5061), Place("2001:db8::2", 40000), datagrams=False)
WHO = identity(7, b"", b"")


def test_every_chunk_is_where_a_collector_looks_for_it():
    found = decoded(
        packet(1_800_000_000.25, (FOUR, identity(2001, b"key", b"berlin")), b"abc@a", b"OPTIONS")
    )
    assert (found.family, found.protocol, found.kind) == (2, 17, 1)
    assert found.source == ("192.0.2.1", 5060)
    assert found.destination == ("198.51.100.2", 5062)
    assert found.time == 1_800_000_000.25
    assert (found.capture_id, found.key, found.node) == (2001, b"key", b"berlin")
    assert (found.correlation, found.payload) == (b"abc@a", b"OPTIONS")


def test_the_bytes_are_those_of_the_specification():
    made = packet(1.5, (FOUR, WHO), b"i", b"X")
    assert made.hex(" ") == (
        "48 45 50 33 00 6b "
        "00 00 00 01 00 07 02 00 00 00 02 00 07 11 "
        "00 00 00 03 00 0a c0 00 02 01 00 00 00 04 00 0a c6 33 64 02 "
        "00 00 00 07 00 08 13 c4 00 00 00 08 00 08 13 c6 "
        "00 00 00 0b 00 07 01 00 00 00 0c 00 0a 00 00 00 07 "
        "00 00 00 09 00 0a 00 00 00 01 00 00 00 0a 00 0a 00 07 a1 20 "
        "00 00 00 11 00 07 69 00 00 00 0f 00 07 58"
    )


def test_ipv6_and_connections():
    found = decoded(packet(0, (SIX, WHO), b"", b""))
    assert (found.family, found.protocol) == (10, 6)
    assert (found.source, found.destination) == (("2001:db8::1", 5061), ("2001:db8::2", 40000))
    assert found.key is found.node is None


def test_a_time_that_rounds_up_to_a_second():
    assert decoded(packet(1.9999999, (FOUR, WHO), b"", b"")).time == 2


@given(st.binary(max_size=70_000), st.binary(max_size=200))
def test_a_packet_fits_a_datagram_and_begins_with_the_message(payload, correlation):
    made = packet(3, (SIX, WHO), correlation, payload)
    found = decoded(made)
    assert len(made) <= LARGEST
    assert payload.startswith(found.payload)
    assert found.payload == payload or len(made) == LARGEST


def test_a_call_id_as_long_as_a_message_leaves_it_room():
    call_id = b"i" * 65_400
    made = packet(3, (SIX, WHO), call_id, b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: " + call_id)
    found = decoded(made)
    assert len(made) == LARGEST
    assert found.correlation == call_id[:LONGEST_CORRELATION]
    assert found.payload.startswith(b"OPTIONS ")
