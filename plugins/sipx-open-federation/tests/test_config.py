"""What the tables may say, and the words for what they may not."""

from __future__ import annotations

import pytest

from sipx import ConfigError
from sipx.testing import read_configuration

HEAD = """\
config_version = 1
domains = ["home.example"]
plugins = ["tls", "open-federation"]
[wan]
certificate = "main"
[certificate.main]
cert_file = "main.crt"
key_file = "main.key"
"""
INTERFACE = """\
[interface.far]
port = 5061
protocol = "{protocol}"
role = "{role}"
enabled = {enabled}
"""
PIN = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def read(tmp_path, text, head=HEAD):
    """The table. Raises ConfigError."""
    return read_configuration(head + text, tmp_path).plugins["open-federation"]


def far(protocol="mtls", role="wan", enabled="true"):
    return INTERFACE.format(protocol=protocol, role=role, enabled=enabled)


def refused(tmp_path, text, head=HEAD):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text, head)
    return str(error.value)


def test_what_is_left_out_is_as_documented(tmp_path):
    config = read(tmp_path, "[open-federation]\n")
    assert (config.allow, config.deny, config.ports) == (("*",), (), (5061,))
    assert config.profiles == ("rfc5922", "ms-suffix", "hosting")
    assert (config.bind, config.port, config.interface_name) == ("*", 5061, "open-federation")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('allow = ["partner.*"]', "has a star in the wrong place"),
        ('deny = ["192.0.2.1"]', "192.0.2.1 is an IP address"),
        ('providers = ["*.lync.com"]', "is not a domain name"),
        ("profiles = []", "no profile is named"),
        ('profiles = ["dane"]', "'dane' is not known here"),
        ("suffix_depth = 0", "0 is no depth"),
        ("suffix_depth = true", "is no depth"),
        ('suffix_depth = "all"', "'all' is no depth"),
        ("ports = 5061", "5061 is no list of ports"),
        ("ports = [0]", "0 is less than 1"),
        ('bind = "localhost"', "'localhost' is not an IP address"),
        ("messages_per_second = -1.0", "open-federation.messages_per_second"),
        ('partner."a.example".blocked = true\npartner."A.example".allowed = true', "same domain"),
        ('partner."a.example" = {blocked = true, allowed = true}', "cannot both be true"),
        ('partner."home.example".allowed = true', "home.example is one of your own domains"),
        ('partner."192.0.2.1".blocked = true', "is an IP address"),
        (f'partner."*.a.example".pins = ["{PIN}"]', "pins has to be known before a certificate"),
        ('partner."a.example".certificate = "mian"', r"there is no [certificate.mian]"),
        ('deny = ["a.example"]\npartner."a.example".allowed = true', "is in deny, which counts"),
        ('certificate = "mian"', "there is no [certificate.mian]; known: main"),
        ('interface = "far"', "there is no [interface.far]; known: none yet"),
    ],
)
def test_what_cannot_be_is_refused_with_words(tmp_path, line, wrong):
    assert wrong in refused(tmp_path, f"[open-federation]\n{line}\n")


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        (far(protocol="tls"), "[interface.far] speaks tls, and federation needs mutual TLS"),
        (far(role="lan"), "[interface.far] is on the LAN side, where partners are not let in"),
        (far(enabled="false"), "[interface.far] is switched off"),
    ],
)
def test_the_interface_has_to_be_for_partners(tmp_path, table, wrong):
    said = refused(tmp_path, table + '[open-federation]\ninterface = "far"\n')
    assert wrong in said
    assert ":15:" in said.split(": ")[0] + ":", said


def test_an_interface_that_fits_is_taken(tmp_path):
    config = read(tmp_path, far() + '[open-federation]\ninterface = "far"\n')
    assert config.interface_name == "far"


def test_its_own_interface_needs_a_port_of_its_own(tmp_path):
    said = refused(tmp_path, far() + "[open-federation]\n")
    assert "[interface.far] listens on port 5061 already" in said
    assert 'interface = "far", if partners may come there' in said
    read(tmp_path, far() + "[open-federation]\nport = 5071\n")


def test_a_name_that_is_taken_is_told(tmp_path):
    table = far().replace("interface.far", "interface.open-federation").replace("5061", "5062")
    assert "has the name of the interface" in refused(tmp_path, table + "[open-federation]\n")


def test_without_a_certificate_nothing_starts(tmp_path):
    head = 'config_version = 1\ndomains = ["home.example"]\nplugins = ["tls", "open-federation"]\n'
    said = refused(tmp_path, "[open-federation]\n", head)
    assert "partners are shown no certificate" in said
    assert "'sipx cert request' makes a key" in said
    read(tmp_path, "[open-federation]\nenabled = false\n", head)


def test_the_certificate_of_the_interface_will_do(tmp_path):
    head = HEAD.replace('[wan]\ncertificate = "main"\n', "")
    table = far() + 'certificate = "main"\n'
    read(tmp_path, table + '[open-federation]\ninterface = "far"\n', head)
    said = refused(tmp_path, far() + '[open-federation]\ninterface = "far"\n', head)
    assert "nor have [interface.far] and [wan] one" in said
    assert 'certificate = "NAME"; known: main' in said


def test_profiles_are_tried_in_their_order_whatever_is_written(tmp_path):
    config = read(tmp_path, '[open-federation]\nprofiles = ["hosting", "rfc5922"]\n')
    assert config.profiles == ("rfc5922", "hosting")
