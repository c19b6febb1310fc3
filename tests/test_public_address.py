"""Public addresses as they are written."""

import pytest

from sipx.public_address import AUTO, PublicAddress, public_address, public_host


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("198.51.100.7", "198.51.100.7", None),
        ("198.51.100.7:5061", "198.51.100.7", 5061),
        ("SIP.Example.COM:15061", "sip.example.com", 15061),
        ("sip.example.com", "sip.example.com", None),
        ("2001:DB8::7", "2001:db8::7", None),
        ("[2001:db8::7]", "2001:db8::7", None),
        ("[2001:db8::7]:5061", "2001:db8::7", 5061),
        ("::ffff:198.51.100.7", "198.51.100.7", None),
        ("127.0.0.2", "127.0.0.2", None),
        ("::1", "::1", None),
        ("auto", AUTO, None),
        ("auto:5061", AUTO, 5061),
    ],
)
def test_an_address_may_have_a_port(text, host, port):
    assert public_address(text) == PublicAddress(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":5061", "198.51.100.7:0", "198.51.100.7:65536", "198.51.100.7:x", "a b", "[1.2.3"),
        *("::", "0.0.0.0", "0.0.0.0:5061", "224.0.0.1", "ff02::1", "sip:x:5060", "x:5060:1", "*"),
        *("255.255.255.255", "240.0.0.1:5061", "0.0.0.1", "::ffff:0.0.0.1", "400::1"),
    ],
)
def test_what_peers_cannot_send_to_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        public_address(text)


def test_the_host_alone_has_no_port():
    assert public_host("Sip.Example.com") == "sip.example.com"
    with pytest.raises(ValueError, match=r"."):
        public_host("198.51.100.7:5061")
