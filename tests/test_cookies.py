"""Record-Route cookies: only what this proxy wrote for this dialog is believed (SEC-03)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx.cookies import AUTHENTICATED, LIFETIME, PREFIX, TRUSTED, Cookie, Cookies, peer_id

KEY = bytes(range(32))
NOW = 1_800_000_000.0


class Wall:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def cookies(*keys, wall=None):
    return Cookies(list(keys or (KEY,)), wall or Wall())


@pytest.mark.parametrize("flags", [0, AUTHENTICATED, TRUSTED, AUTHENTICATED | TRUSTED])
@pytest.mark.parametrize(
    ("near", "far"),
    [("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "192.0.2.1"), ("::1", "2001:db8::2")],
)
def test_a_cookie_says_what_was_put_into_it(near, far, flags):
    jar = cookies()
    found = jar.check(jar.make(b"call", near, far, flags), b"call")
    assert found is not None
    assert found.addresses == {near, far}
    assert found.flags == flags
    assert NOW + LIFETIME - 3600 <= found.expires <= NOW + LIFETIME


def test_a_dialog_within_one_host_has_one_address():
    jar = cookies()
    made = jar.make(b"call", "192.0.2.1", "192.0.2.1", 0, ("a.example", "b.example"))
    assert jar.check(made, b"call") == Cookie(
        frozenset({"192.0.2.1"}),
        0,
        int(NOW) // 3600 * 3600 + LIFETIME,
        (peer_id("a.example"), peer_id("b.example")),
    )


def test_a_cookie_says_at_which_ports_its_ends_are():
    jar = cookies()
    ports = (5070, 65535)
    made = jar.make(b"call", "192.0.2.1", "198.51.100.2", 0, ("a", "b"), (1, 2), ports)
    assert jar.check(made, b"call").ports == ports
    other = jar.make(b"call", "192.0.2.1", "198.51.100.2", 0, ("a", "b"), (1, 2), (5070, 5060))
    assert jar.check(other, b"call").ports == (5070, 5060)


def test_a_cookie_is_a_user_part_that_needs_no_escapes():
    made = cookies().make(b"call", "2001:db8::1", "2001:db8::2")
    assert made.startswith(PREFIX)
    assert len(made) <= 128
    allowed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    assert set(made) <= set(allowed)


@given(st.integers(0), st.integers(0, 7))
def test_sec03_no_bit_of_a_cookie_can_be_altered(position, bit):
    jar = cookies()
    made = jar.make(b"call", "192.0.2.1", "198.51.100.2", TRUSTED)
    text = made[len(PREFIX) :]
    raw = bytearray(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    raw[position % len(raw)] ^= 1 << bit
    altered = PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=")
    assert jar.check(altered, b"call") is None


@given(st.binary(max_size=160))
def test_sec03_garbage_is_no_cookie_and_raises_nothing(garbage):
    jar = cookies()
    assert jar.check(garbage, b"call") is None
    assert jar.check(PREFIX + garbage, b"call") is None


def test_sec03_a_cookie_is_worth_nothing_in_another_dialog():
    jar = cookies()
    assert jar.check(jar.make(b"call", "192.0.2.1", "192.0.2.2"), b"other") is None


@pytest.mark.parametrize("moved", range(1, 16))
def test_sec03_nothing_can_be_moved_between_the_payload_and_the_call_id(moved):
    jar = cookies()
    made = jar.make(b"\x04\x0a\x00\x00\x01call", "192.0.2.1", "192.0.2.2")
    text = made[len(PREFIX) :]
    raw = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    payload, mac = raw[:-10], raw[-10:]
    whole = payload + b"\x04\x0a\x00\x00\x01call"
    for cut in (len(payload) - moved, len(payload) + moved):
        altered = PREFIX + base64.urlsafe_b64encode(whole[:cut] + mac).rstrip(b"=")
        assert jar.check(altered, whole[cut:]) is None


def test_sec03_a_cookie_of_another_proxy_is_forged():
    assert cookies().check(cookies(b"k" * 32).make(b"c", "192.0.2.1", "192.0.2.2"), b"c") is None


def test_sec03_a_cookie_expires():
    wall = Wall()
    jar = cookies(wall=wall)
    made = jar.make(b"call", "192.0.2.1", "192.0.2.2")
    wall.now = NOW + LIFETIME - 3601
    assert jar.check(made, b"call") is not None
    wall.now = NOW + LIFETIME + 1
    assert jar.check(made, b"call") is None


def test_cookies_of_a_retired_key_are_accepted_and_made_no_more():
    old, new = cookies(b"o" * 32), cookies(KEY, b"o" * 32)
    made = old.make(b"call", "192.0.2.1", "192.0.2.2")
    assert new.check(made, b"call") is not None
    assert old.check(new.make(b"call", "192.0.2.1", "192.0.2.2"), b"call") is None


@pytest.mark.parametrize("user", [None, b"", b"alice", b"sipx", b"sipx-", b"SIPX-AAAA"])
def test_a_user_part_that_is_not_ours_is_no_cookie(user):
    assert cookies().check(user, b"call") is None


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b"short"]])
def test_short_keys_are_refused(keys):
    with pytest.raises(ValueError, match="16 bytes"):
        Cookies(keys, Wall())
