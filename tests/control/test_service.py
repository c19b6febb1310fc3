"""The process, and what a service manager knows of it."""

from __future__ import annotations

import os

import pytest

from sipx.cli import systemctl
from sipx.cli.systemctl import Systemctl, UnitState
from sipx.control.kernel import api_of
from sipx.control.methods import Caller
from sipx.control.service import ServiceStatus, unit_of

ME = Caller("eve", role="viewer")
UNIT = UnitState(
    "system", "/etc/systemd/system/sipx.service", "active", "running", "enabled", 4711, 2,
    "success", "running: 3 of 3 interfaces listen",
)  # fmt: skip


@pytest.fixture
def unit(monkeypatch):
    """The service manager has a unit, and counts how often it is asked."""
    asked = []

    def installed():
        asked.append(1)
        return Systemctl(user=False), UNIT._replace(pid=os.getpid())

    monkeypatch.setattr(systemctl, "installed", installed)
    return asked


async def test_the_process_is_told(scene, autojump_clock, monkeypatch, unit):
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    kernel = (await scene()).kernel
    found = await api_of(kernel).call("service.status", None, ME)
    assert isinstance(found, ServiceStatus)
    assert found.state == "running"
    assert found.pid == os.getpid()
    assert found.memory > 1 << 20
    assert found.config == str(kernel.settings.path)
    assert found.systemd is None
    assert unit == []


async def test_its_unit_is_told_and_not_asked_for_each_time(
    scene, autojump_clock, monkeypatch, unit
):
    monkeypatch.setenv("INVOCATION_ID", "0123")
    api = api_of((await scene()).kernel)
    for _ in range(2):
        found = await api.call("service.status", None, ME)
        assert found.systemd.unit == "sipx.service"
        assert found.systemd.restarts == 2
    assert unit == [1]


def test_the_unit_of_another_process_is_not_ours(unit):
    assert unit_of(1) is None
