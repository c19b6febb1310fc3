"""All checks of a configuration, without a command line."""

from __future__ import annotations

import pytest

from sipx.checks.running import OWN_AREAS, UnknownAreaError, Wanted, findings, invalid
from sipx.config.errors import ConfigError, Problem
from sipx.config.load import load
from sipx.plugin import Fix
from sipx.registry import Registry

TEXT = """\
domains = ["a.example"]
plugins = ["udp", "stun"]

[stun]
enabled = false

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"
"""


def found(tmp_path, *only, skip=()):
    """The findings of a configuration."""
    path = tmp_path / "sipx.toml"
    path.write_text(TEXT)
    registry = Registry()
    return findings(load(path, registry), registry, Wanted(only, skip), lambda _: None)


def test_every_area_of_our_own_has_something_to_say(tmp_path):
    areas = {one.area for one in found(tmp_path, skip=("certs",))}
    assert areas == set(OWN_AREAS) - {"certs"}


def test_a_plugin_that_is_switched_off_can_be_switched_on(tmp_path):
    (off,) = [one.finding for one in found(tmp_path, "plugins") if one.finding.fix]
    assert off.code == "SIPX-P002"
    assert off.fix == (Fix("set", "stun.enabled", True),)


@pytest.mark.parametrize("skip", [(), ("dsn",)])
def test_an_unknown_area_is_told_with_those_there_are(tmp_path, skip):
    with pytest.raises(UnknownAreaError, match="there is no area 'dsn'; known: config, ports"):
        found(tmp_path, *(() if skip else ("dsn",)), skip=skip)


def test_what_is_wrong_with_a_file_is_a_finding():
    problem = Problem(
        "sipx.toml", 3, 8, "wan.public_port", "70000 is more than 65535", "1 to 65535"
    )
    (one,) = invalid(ConfigError([problem]))
    assert (one.area, one.finding.code) == ("config", "SIPX-C002")
    assert one.finding.text == "sipx.toml:3:8: wan.public_port: 70000 is more than 65535"
    assert one.finding.remedy == "1 to 65535"
