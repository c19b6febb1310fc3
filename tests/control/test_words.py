"""What is shown of messages and events: without what a terminal obeys, and without credentials."""

from dataclasses import dataclass

import pytest

from sipx.control.words import LONGEST, plain, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"sip:bob@example.com", "sip:bob@example.com"),
        (b"sip:bob:pw@example.com;x=1", "sip:bob:[masked]@example.com;x=1"),
        (b"\x1b[2Jx", "\\x1b[2Jx"),
        (b"\xff", "\\xff"),
        (b"x" * (LONGEST + 1), "x" * LONGEST + "..."),
    ],
)
def test_what_stands_in_a_message_is_harmless(value, text):
    assert shown(value) == text


@dataclass(frozen=True)
class Happened:
    uri: bytes
    text: str
    more: tuple[str, ...]


def test_an_event_is_harmless_in_all_its_fields():
    event = Happened(b"sip:bob:pw@example.com", "password=hunter2\n", ("nonce=abc",))
    assert plain(event) == {
        "uri": "sip:bob:[masked]@example.com",
        "text": "password=[masked]\\n",
        "more": ["nonce=[masked]"],
    }
