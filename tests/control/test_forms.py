"""What forms are made from."""

from __future__ import annotations

import pytest

from sipx.control.forms import AvailableAddresses, ConfigurationSchema
from sipx.control.kernel import api_of
from sipx.control.methods import Caller

ME = Caller("eve", role="viewer")


@pytest.fixture
async def ask(scene, autojump_clock):
    kernel = (await scene()).kernel

    async def asked(name, **params):
        return await api_of(kernel).call(name, params, ME)

    return asked


async def test_the_addresses_of_this_machine(ask):
    found = await ask("interfaces.available")
    assert isinstance(found, AvailableAddresses)
    (loopback,) = [one for one in found.addresses if one.address == "127.0.0.1"]
    assert loopback.loopback
    assert loopback.private
    assert not loopback.link_local


async def test_the_schema_has_the_tables_of_the_listed_plugins(ask):
    found = await ask("config.schema")
    assert isinstance(found, ConfigurationSchema)
    assert found.problems == ()
    assert "wan" in found.document["properties"]
    assert "stun" not in found.document["properties"]


async def test_the_schema_has_those_of_installed_plugins_where_asked(ask):
    tables = (await ask("config.schema", installed=True)).document["properties"]
    assert {"stun", "static-routes", "lan"} <= tables.keys()
