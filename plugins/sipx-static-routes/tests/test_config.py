"""What the table may say, each refusal by its text."""

from __future__ import annotations

import pytest

from sipx import ConfigError
from sipx.testing import read_configuration

HEAD = """\
config_version = 1
domains = ["home.example"]
plugins = ["udp", "tcp", "static-routes"]
[interface.lan]
bind = "{bind}"
port = 5060
protocol = "udp"
[static-routes.route."{domain}"]
"""


def routes(tmp_path, text, *, domain="a.example", bind="127.0.0.1"):
    """The routes of a configuration file with this one. Raises ConfigError."""
    settings = read_configuration(HEAD.format(bind=bind, domain=domain) + text, tmp_path)
    return settings.plugins["static-routes"].route


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", 'route."a.example".server: is missing'),
        ('server = ""', "9:10: .*'' is no server; allowed: an IP address or a host name"),
        ('server = "sip:uc.a.example"', "'sip:uc.a.example' is no server"),
        ('server = "uc.a.example:5060"', "'uc.a.example:5060' is no server"),
        ('server = ["10.0.0.1", "a b"]', "'a b' is no server"),
        ('server = "999.0.0.1"', "'999.0.0.1' is no server"),
        ("server = []", "no server is named"),
        ("server = 5", "no server is named"),
        ('server = ["a b", "c d"]', "'a b' is no server.*'c d' is no server"),
        ('server = "10.0.0.1"\nprotocol = "mtls"\nca = 5', "no file is named; allowed: a path, or"),
        ('server = "10.0.0.1"\nprotocol = "mtls"\nca = ["a", 5]', "11:12: .*5 is not a path"),
        ('server = "10.0.0.1"\nport = 0', "10:8: .*port: 0 is less than 1"),
        ('server = "10.0.0.1"\nport = 65536', "65536 is more than 65535"),
        ('server = "10.0.0.1"\nprotocol = "sctp"', "'sctp' is not known here; allowed: udp, tcp"),
        ('server = "10.0.0.1"\nbind = "eth0"', "10:8: .*bind: 'eth0' is not an IP address"),
        ('server = "10.0.0.1"\ntrust = true', "unknown key 'trust'; .*did you mean 'trusted'"),
        ('server = "8.8.8.8"\ntrusted = true', "10:11: .*server 8.8.8.8 is not in a private net"),
        (
            'server = ["10.0.0.1", "8.8.8.8"]\ntrusted = true',
            "trusted by its address alone, and the server 8.8.8.8",
        ),
        ('server = "8.8.8.8"\ntrusted = true\ninsecure_trust = "yes"', "11:18: .*insecure_trust"),
    ],
)
def test_a_route_that_cannot_be_is_refused_with_words(tmp_path, text, wrong):
    with pytest.raises(ConfigError, match=f"(?s){wrong}"):
        routes(tmp_path, text)


@pytest.mark.parametrize(
    ("domain", "wrong"),
    [
        ("a example", "'a example' is not a domain name"),
        ("a.*", "'a.\\*' has a star in the wrong place"),
        ("*.*.example", "is not a domain name"),
        ("sip:a.example", "write the domain alone, without 'sip:'"),
        ("", "is not a domain name"),
    ],
)
def test_a_key_that_is_no_domain_is_refused(tmp_path, domain, wrong):
    with pytest.raises(ConfigError, match=f"(?s)8:2: .*{wrong}"):
        routes(tmp_path, 'server = "10.0.0.1"', domain=domain)


def test_a_domain_stands_once_however_it_is_spelled(tmp_path):
    again = 'server = "10.0.0.1"\n[static-routes.route."A.Example."]\nserver = "10.0.0.2"'
    with pytest.raises(ConfigError, match="are the same domain"):
        routes(tmp_path, again)


def test_trust_by_address_wants_a_private_interface(tmp_path):
    trusted = 'server = "10.0.0.1"\ntrusted = true'
    with pytest.raises(ConfigError, match="trusted by its address alone"):
        routes(tmp_path, trusted, bind="8.8.4.4")
    assert routes(tmp_path, trusted, bind="10.0.0.9")["a.example"].trusted


@pytest.mark.parametrize(
    "text",
    [
        'server = "8.8.8.8"',
        'server = "8.8.8.8"\ntrusted = true\ninsecure_trust = "yes, a leased line"',
        'server = "8.8.8.8"\ntrusted = true\nenabled = false',
        'server = "8.8.8.8"\ntrusted = true\nprotocol = "mtls"',
        'server = "10.0.0.1"\ntrusted = true',
        'server = ["uc1.a.example", "2001:db8::1"]\ncomment = "contract 4711"',
    ],
)
def test_what_is_allowed_is_taken(tmp_path, text):
    assert list(routes(tmp_path, text)) == ["a.example"]


def test_a_route_that_says_little_means_udp_port_5060_and_no_trust(tmp_path):
    route = routes(tmp_path, 'server = "uc.a.example"', domain="bücher.example")[
        "xn--bcher-kva.example"
    ]
    assert (route.server, route.peer_port, route.protocol) == (("uc.a.example",), 5060, "udp")
    assert (route.trusted, route.enabled, route.bind) == (False, True, None)
