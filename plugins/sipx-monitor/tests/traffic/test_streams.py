"""SIP out of TCP segments: in any order, cut anywhere, with holes and with what is no SIP."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from sipx_monitor.traffic.captures.packets import Carried
from sipx_monitor.traffic.captures.streams import MOST_WAITING, Streams
from sipx_monitor.traffic.export.frames import end_of

A, B = end_of("192.0.2.7:40000"), end_of("10.0.0.1:5060")


def message(number, size=0):
    """A message with a body of some size."""
    body = b"x" * size
    return b"MESSAGE sip:%d@b SIP/2.0\r\nCall-ID: %d\r\nContent-Length: %d\r\n\r\n%b" % (
        number,
        number,
        len(body),
        body,
    )


def feed(streams, pieces):
    """What comes of segments ``(number, data)``."""
    return [
        found
        for number, data in pieces
        for found in streams.messages(Carried(A, B, data, number % 2**32))
    ]


def cut(data, places, begin=0):
    """A stream in segments with their numbers."""
    ends = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [(begin + a, data[a:b]) for a, b in itertools.pairwise(ends)]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=6),
    st.sets(st.integers(1, 900), max_size=12),
    st.integers(0, 2**32 - 1),
    st.randoms(use_true_random=False),
)
def test_whatever_the_order_the_messages_come_out_whole(sizes, places, begin, random):
    messages = [message(number, size) for number, size in enumerate(sizes)]
    pieces = cut(b"".join(messages), places, begin)
    first, *rest = pieces
    rest += random.sample(pieces, len(pieces) // 2)  # some are sent again
    random.shuffle(rest)
    assert feed(Streams(), [first, *rest]) == messages


def test_keepalives_and_other_talk_are_skipped():
    data = b"\r\n\r\n" + message(1) + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + message(2)
    assert feed(Streams(), [(0, data)]) == [message(1), message(2)]


def test_a_capture_that_begins_within_a_message_goes_on_with_the_next():
    data = b"tail of a body\r\n" + message(2)
    assert feed(Streams(), [(77, data)]) == [message(2)]


def test_what_was_never_captured_is_given_up_in_the_end():
    streams = Streams()
    first = message(1, 50)
    assert feed(streams, [(0, first[:60])]) == []
    gap = 10_000
    later = []
    for number in range(MOST_WAITING + 2):
        data = message(number)
        later += feed(streams, [(gap, data)])
        gap += len(data)
    assert len(later) == MOST_WAITING + 2
    assert streams.rest() == 0


def test_a_new_connection_on_the_same_ports_begins_anew():
    streams = Streams()
    feed(streams, [(1, message(1)[:20])])
    (found,) = streams.messages(Carried(A, B, message(2), 5000, begins=True))
    assert found == message(2)


def test_a_message_that_has_not_ended_is_counted():
    streams = Streams()
    feed(streams, [(0, message(1, 50)[:-5])])
    assert streams.rest() == 1


def test_a_stream_that_is_no_sip_does_not_grow():
    streams = Streams()
    feed(streams, cut(b"\0" * 1_000_000, range(1000, 1_000_000, 1000)))
    (stream,) = streams._streams.values()
    assert len(stream._buffer) <= 5096
