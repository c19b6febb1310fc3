"""``sipx check hep``."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from sipx_hep import HepConfig
from sipx_hep.checks import findings

from sipx import ResolveError


class Names:
    """A resolver that knows one host."""

    async def addresses(self, host):
        if host != "homer.example":
            raise ResolveError("nxdomain", f"{host} does not exist")
        return ("8.8.4.4",)


def codes(**table):
    proxy = SimpleNamespace(resolver=Names())
    table = {"server": "127.0.0.1:9060", **table}
    return [one.code for one in findings(HepConfig.model_validate(table), proxy)]


@pytest.fixture
def listening():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def test_nothing_is_to_be_said_of_a_collector_here():
    assert codes() == []


def test_one_that_is_reached_by_tcp(listening):
    assert codes(server=listening, protocol="tcp") == []


def test_one_that_is_not():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{sock.getsockname()[1]}"
        assert codes(server=server, protocol="tcp") == ["SIPX-H001"]


def test_a_name_that_does_not_exist():
    assert codes(server="other.example") == ["SIPX-H001"]


def test_what_goes_over_the_internet_in_the_clear():
    assert codes(server="homer.example") == ["SIPX-H002"]
    assert codes(server="8.8.8.8") == ["SIPX-H002"]
    assert codes(server="10.1.2.3") == []


def test_what_others_may_read():
    assert codes(bodies="all", mask=False) == ["SIPX-H003", "SIPX-H004"]


def test_a_plugin_that_sends_nothing():
    assert codes(server="") == ["SIPX-H005"]
