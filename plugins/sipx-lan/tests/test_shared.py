"""The servers of the shared user are known again after a restart."""

from __future__ import annotations

import logging

import pytest
from sipx_lan import LanConfig
from sipx_lan.accounts import AccountTable
from sipx_lan.shared import SharedServers

HOME = frozenset({b"home.example"})


class FakeProxy:
    log = logging.LoggerAdapter(logging.getLogger("sipx.plugin.lan"), {})

    def __init__(self, state_dir):
        self.state_dir = state_dir


def started(state_dir, **lan):
    """The table of a process that has just begun, and what it knows from the one before."""
    config = LanConfig.model_validate({"user": "uc", "password": "p", **lan})
    table = AccountTable(config, HOME)
    shared = SharedServers(table, FakeProxy(state_dir))
    shared.load()
    return table, shared


def names(table):
    return [entry.name for entry in table]


async def test_they_are_there_before_they_have_come_back(tmp_path):
    table, shared = started(tmp_path)
    for address in ("10.0.0.7", "fd00::7"):
        table.at(table.shared, address)
    await shared.keep()
    table, _ = started(tmp_path)
    assert names(table) == ["uc@10.0.0.7", "uc@fd00::7"]
    assert all(entry.secret is table.shared.secret for entry in table)
    # Another user, or an address that nobody may come from any more.
    assert names(started(tmp_path, user="new")[0]) == ["new@10.0.0.7", "new@fd00::7"]
    assert names(started(tmp_path, addresses=["10.0.0.0/24"])[0]) == ["uc@10.0.0.7"]
    assert names(started(tmp_path, user=None, password=None)[0]) == []


async def test_the_file_is_written_when_there_is_something_new(tmp_path):
    table, shared = started(tmp_path)
    await shared.keep()
    assert list(tmp_path.iterdir()) == []
    table.at(table.shared, "10.0.0.7")
    await shared.keep()
    [file] = tmp_path.iterdir()
    file.unlink()
    await shared.keep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", "[1, null]", "\0", '["no address", "%"]'])
def test_a_file_that_is_damaged_makes_nobody_known(tmp_path, text):
    (tmp_path / "shared.json").write_text(text)
    assert names(started(tmp_path)[0]) == []


async def test_what_cannot_be_written_is_told_once(tmp_path, caplog):
    table, shared = started(tmp_path / "nowhere")
    table.at(table.shared, "10.0.0.7")
    await shared.keep()
    await shared.keep()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "shared.json cannot be written"
    ]
