"""Values that tables of peers share."""

from __future__ import annotations

import base64
import hashlib

import pytest
from pydantic import TypeAdapter, ValidationError

from sipx.config.peers import Files, Pins, listed, one_or_more

DIGEST = hashlib.sha256(b"a key")
COLONS = ":".join(f"{octet:02X}" for octet in DIGEST.digest())
PINS = TypeAdapter(Pins)


@pytest.mark.parametrize(
    "pin",
    [
        DIGEST.hexdigest(),
        COLONS,
        "sha256/" + base64.b64encode(DIGEST.digest()).decode(),
    ],
)
def test_a_pin_is_one_value_however_it_is_written(pin: str) -> None:
    assert PINS.validate_python(pin) == (DIGEST.hexdigest(),)
    assert PINS.validate_python([pin, pin]) == (DIGEST.hexdigest(),) * 2


@pytest.mark.parametrize("pin", ["", "sha256/%%%", DIGEST.hexdigest()[2:], "key", 5, {"a": 1}])
def test_what_is_no_pin_is_said_in_words(pin: object) -> None:
    with pytest.raises(
        ValidationError, match=r"SHA-256 hash(es)? of (a )?public key|no pin is given"
    ):
        PINS.validate_python(pin)


def test_one_or_a_list_of_them() -> None:
    assert listed("a", "wrong", "right") == ("a",)
    assert listed(["a", 1], "wrong", "right") == ("a", 1)
    with pytest.raises(Exception, match="wrong"):
        listed(1, "wrong", "right")
    schema = TypeAdapter(Files).json_schema()
    item = {"type": "string", "minLength": 1}
    assert schema == {"anyOf": [item, {"type": "array", "items": item, "minItems": 0}]}
    assert one_or_more(item, 1).json_schema["anyOf"][1]["minItems"] == 1
