"""What a tls or mtls route may say, and what is made of it: the partner to be proven."""

from __future__ import annotations

import base64

import pytest
from sipx_static_routes.table import RouteTable

from sipx import ConfigError, EkuPolicy
from sipx.testing import read_configuration

HEAD = """\
config_version = 1
domains = ["home.example"]
plugins = ["tls", "static-routes"]
[interface.far]
bind = "127.0.0.1"
port = 5061
protocol = "mtls"
certificate = "main"
[certificate.main]
cert_file = "main.crt"
key_file = "main.key"
[static-routes.route."{domain}"]
"""
PIN = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
COLONS = ":".join(PIN[i : i + 2] for i in range(0, 64, 2)).upper()
BASE64 = "sha256/" + base64.b64encode(bytes.fromhex(PIN)).decode()


def partner(tmp_path, text, domain="away.example"):
    """The partner of the one route. Raises ConfigError."""
    settings = read_configuration(HEAD.format(domain=domain) + text, tmp_path)
    config = settings.plugins["static-routes"]
    [row] = RouteTable(config.route, frozenset({b"home.example"})).rows
    return row.partner


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f'protocol = "tcp"\npins = ["{PIN}"]', "pins says nothing for the protocol tcp"),
        ('protocol = "udp"\nca = "ca.crt"', "ca says nothing for the protocol udp"),
        ('protocol = "udp"\nsni = "a.example"', "sni says nothing for the protocol udp"),
        ('protocol = "tcp"\nverify = "off"', "verify says nothing for the protocol tcp"),
        ('protocol = "mtls"\nverify = "off"', "would open mtls to anybody"),
        ('protocol = "tls"\nverify = "off"', "on a way that is not private"),
        ('protocol = "mtls"\npins = ["abcd"]', "'abcd' is no SHA-256 hash of a public key"),
        ('protocol = "mtls"\npins = [5]', "5 is no SHA-256 hash"),
        ('protocol = "mtls"\npins = ["sha256/%%"]', "is no SHA-256 hash"),
        ('protocol = "mtls"\npins = ["abcd"]', r'as "sipx cert show" prints them in pins = '),
        (
            f'protocol = "mtls"\npins = ["ab", "{PIN}", "cd"]',
            r"(?s)15:9: .*'ab' is no SHA-256 hash.*15:\d+: .*'cd' is no SHA-256 hash",
        ),
        ('protocol = "mtls"\neku_policy = "lax"', "'lax' is not known here"),
        (
            'protocol = "mtls"\ncertificate = "mian"',
            r"there is no \[certificate.mian\]; known: main",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_words(tmp_path, text, wrong):
    with pytest.raises(ConfigError, match=wrong):
        partner(tmp_path, 'server = "203.0.113.9"\n' + text)


@pytest.mark.parametrize("server", ["10.0.0.1", "127.0.0.1"])
def test_verify_off_is_for_private_servers_of_the_protocol_tls(tmp_path, server):
    found = partner(tmp_path, f'server = "{server}"\nprotocol = "tls"\nverify = "off"')
    assert (found.verify, found.mutual) == (False, False)


@pytest.mark.parametrize("pin", [PIN, PIN.upper(), COLONS, BASE64])
def test_pins_have_one_form_inside(tmp_path, pin):
    found = partner(tmp_path, f'server = "10.0.0.1"\nprotocol = "mtls"\npins = ["{pin}"]')
    assert found.pins == {PIN}


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('"tls/root.crt"', ["tls/root.crt"]),
        ('["tls/root.crt"]', ["tls/root.crt"]),
        ('["a.crt", "b"]', ["a.crt", "b"]),
        ("[]", []),
    ],
)
def test_authorities_are_one_path_or_a_list(tmp_path, written, names):
    found = partner(tmp_path, f'server = "10.0.0.1"\nprotocol = "mtls"\nca = {written}')
    assert found.ca == tuple(tmp_path / name for name in names)


def test_one_pin_needs_no_list(tmp_path):
    found = partner(tmp_path, f'server = ["10.0.0.1"]\nprotocol = "mtls"\npins = "{PIN}"')
    assert found.pins == {PIN}


def test_a_partner_is_named_by_its_servers_and_its_domain(tmp_path):
    found = partner(
        tmp_path, 'server = ["SIP.Away.example", "192.0.2.7", "edge.example"]\nprotocol = "mtls"'
    )
    assert found.name == "away.example"
    assert found.names == {b"sip.away.example", b"edge.example", b"away.example"}
    assert (found.mutual, found.verify, found.own_trust) == (True, True, False)


def test_a_pattern_is_no_name(tmp_path):
    found = partner(
        tmp_path, 'server = "sip.lab.example"\nprotocol = "mtls"', domain="*.lab.example"
    )
    assert (found.names, found.domain) == ({b"sip.lab.example"}, b"")


def test_everything_that_is_said_reaches_the_partner(tmp_path):
    found = partner(
        tmp_path,
        'server = "10.0.0.1"\nprotocol = "mtls"\ncertificate = "main"\nca = "ca.crt"\n'
        'eku_policy = "strict"\nallow_wildcard = true\naccept_cn = true\nsni = "front.example"',
    )
    assert found.certificate == "main"
    assert [path.name for path in found.ca] == ["ca.crt"]
    assert found.own_trust
    assert found.eku is EkuPolicy.STRICT
    assert (found.allow_wildcard, found.accept_cn, found.sni) == (True, True, "front.example")


@pytest.mark.parametrize(
    ("protocol", "port"), [("tls", 5061), ("mtls", 5061), ("tcp", 5060), ("udp", 5060)]
)
def test_the_port_follows_the_protocol(tmp_path, protocol, port):
    text = HEAD.format(domain="away.example") + f'server = "10.0.0.1"\nprotocol = "{protocol}"'
    settings = read_configuration(text, tmp_path)
    assert settings.plugins["static-routes"].route["away.example"].peer_port == port
