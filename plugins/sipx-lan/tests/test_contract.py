"""What every plugin has to satisfy."""

from __future__ import annotations

from sipx.testing import check_plugin

LAN = {
    "bind": "127.0.0.1",
    "port": 5070,
    "user": "ucserver",
    "password": "secret",
    "server": {"berlin": {"users": "*.berlin"}},
}


def test_the_contract():
    check_plugin("lan", lan=LAN)


def test_the_contract_without_settings():
    check_plugin("lan")
