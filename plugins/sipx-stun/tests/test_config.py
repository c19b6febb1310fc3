"""The table [stun]."""

from __future__ import annotations

import pytest
from sipx_stun.client import Server

from sipx import ConfigError
from sipx.testing import read_configuration

HEAD = 'config_version = 1\ndomains = ["home.example"]\nplugins = ["stun"]\n[stun]\n'


def read(tmp_path, text):
    return read_configuration(HEAD + text, tmp_path).plugins["stun"]


def refused(tmp_path, text):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)
    return str(error.value)


def test_without_a_word_nobody_is_asked(tmp_path):
    found = read(tmp_path, "")
    assert found.servers == ()
    assert found.detect_nat_type
    assert found.answer
    assert (found.interval, found.timeout) == (900, 39.5)


def test_servers_are_names_and_addresses_with_and_without_a_port(tmp_path):
    found = read(tmp_path, 'servers = ["stun.example.net", "192.0.2.1:3479", "[2001:db8::1]:3478"]')
    assert found.parsed == (
        Server("stun.example.net"), Server("192.0.2.1", 3479), Server("2001:db8::1", 3478)
    )  # fmt: skip
    assert read(tmp_path, 'servers = "stun.example.net"').servers == ("stun.example.net",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('servers = ["stun.example.net:x"]', "has no port from 1 to 65535"),
        ('servers = ["192.0.2.1", "192.0.2.1"]', "'192.0.2.1' is given twice"),
        ("servers = 7", "names no STUN servers"),
        (f"servers = {[f'192.0.2.{n}' for n in range(9)]}", "8 at most"),
        ('interval = "30s"', "interval"),
        ('timeout = "1m"', "timeout"),
        ("timeout = 0", "timeout"),
        ("server = 1", "did you mean 'servers'?"),
    ],
)
def test_what_it_may_not_say(tmp_path, text, said):
    assert said in refused(tmp_path, text)
