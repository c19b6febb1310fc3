"""``sipx routes explain`` while sipx runs: the running proxy is asked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sipx.plugin import NextHop, Target, Targets, hookimpl


class Knowing:
    """What only a running proxy knows."""

    @hookimpl
    def determine_targets(self, request, sender):
        return Targets(((Target(hops=(NextHop("10.0.0.11", 5060, "udp"),), name="munich"),),))

    @hookimpl
    def explain_targets(self, request, sender):
        return ["2. its user: munich, weight 1"]


@pytest.fixture
def with_file(service, two_domains):
    """A service that runs with ./sipx.toml, as far as it tells."""

    async def start():
        run = await service()
        run.kernel.settings = replace(run.kernel.settings, path=two_domains)
        run.stage.plug("knowing", Knowing())
        return run

    return start


async def test_the_running_proxy_is_asked(with_file):
    run = await with_file()
    found = await run("routes", "explain", "alice@home.example")
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert "asked:  the running sipx" in lines
    assert "why:    2. its user: munich, weight 1" in lines
    assert "hop 1:  udp 10.0.0.11 port 5060 to munich, from interface udp" in lines
    told = await run.json("routes", "explain", "alice@home.example")
    assert told["live"] is True
    assert told["reasons"] == ["2. its user: munich, weight 1"]


async def test_what_it_refuses_to_answer_is_said(with_file):
    run = await with_file()
    found = await run("routes", "explain", "alice@home.example", "--account", "paris")
    assert found.exit_code == 1
    assert "the running sipx: there is no account 'paris'" in found.stderr


async def test_one_that_runs_with_another_file_is_not_asked(service, two_domains):
    run = await service()
    found = await run("routes", "explain", "a@example.com")
    assert "asked:  the configuration file" in found.stdout
    assert f"the sipx that runs uses {run.kernel.settings.path}" in found.stderr


async def test_the_file_is_asked_where_nothing_runs_or_that_is_wanted(with_file):
    run = await with_file()
    found = await run("routes", "explain", "a@example.com", "--offline")
    assert "asked:  the configuration file; who is registered is only known" in found.stdout
    run.control.cancel()
    told = json.loads((await run("routes", "explain", "a@example.com", "--json")).stdout)
    assert told["live"] is False
    assert told["route"]["domain"] == "example.com"
