"""Listeners: what is bound, what fails and is tried again, what goes and what comes back."""

import errno
import itertools
import socket

import pytest
import trio

from sipx.interfaces import Status
from sipx.testing.memory import MemoryUdp


class Bindings:
    """Lets ``listen`` of the memory transport fail for the interfaces that ``faults`` names."""

    def __init__(self, monkeypatch):
        self.faults = {}
        self.tries = []
        listen = MemoryUdp.listen

        async def tried(transport, interface, receiver, *, task_status):
            self.tries.append((interface.name, trio.current_time()))
            fault = self.faults.get(interface.name)
            if fault is not None:
                await trio.sleep(0)
                raise fault
            await listen(transport, interface, receiver, task_status=task_status)

        monkeypatch.setattr(MemoryUdp, "listen", tried)


@pytest.fixture
def bindings(monkeypatch):
    return Bindings(monkeypatch)


IN_USE = OSError(errno.EADDRINUSE, "Address already in use")
TABLES = {
    "bad": {"bind": "127.0.0.3", "port": 5060, "protocol": "udp"},
    "good": {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"},
}


async def test_a_listener_whose_address_is_in_use_is_shown_and_does_not_stop_the_others(
    scene, autojump_clock, bindings
):
    bindings.faults["bad"] = IN_USE
    stage = await scene(interface=TABLES)
    interfaces = stage.kernel.interfaces
    assert interfaces.named("bad").status is Status.FAILED
    assert interfaces.named("bad").reason == "Address already in use"
    assert interfaces.named("bad").address is None
    assert interfaces.named("good").status is Status.LISTENING


async def test_a_listener_that_failed_is_tried_again_after_1_2_4_up_to_60_seconds(
    scene, autojump_clock, bindings
):
    bindings.faults["bad"] = IN_USE
    stage = await scene(interface=TABLES)
    await trio.sleep(260)
    tries = [when for name, when in bindings.tries if name == "bad"]
    pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    bindings.faults.clear()
    await trio.sleep(60)
    bad = stage.kernel.interfaces.named("bad")
    assert (bad.status, bad.reason, bad.address) == (Status.LISTENING, "", ("127.0.0.3", 5060))
    assert (b"127.0.0.3", 5060) in stage.kernel.interfaces.own


async def test_a_listener_that_ends_is_started_again_and_its_backoff_begins_anew(
    scene, autojump_clock, bindings, monkeypatch
):
    stage = await scene(interface=TABLES)
    bindings.faults["bad"] = IN_USE
    stage.kernel.listeners.address_lost(stage.kernel.interfaces.named("bad"))
    await trio.sleep(0.5)
    assert stage.kernel.interfaces.named("bad").status is Status.FAILED
    await trio.sleep(6)
    bindings.faults.clear()
    await trio.sleep(5)
    assert stage.kernel.interfaces.named("bad").status is Status.LISTENING


async def test_a_bug_of_a_transport_is_shown_and_stops_no_other(scene, autojump_clock, bindings):
    stage = await scene(interface=TABLES)
    stage.forgive()
    bindings.faults["bad"] = ValueError("a bug")
    stage.kernel.listeners.address_lost(stage.kernel.interfaces.named("bad"))
    await trio.sleep(1.5)
    assert stage.kernel.interfaces.named("bad").reason == "ValueError: a bug"
    home = stage.raw("home.example")
    home.ask("OPTIONS", "sip:127.0.0.1:5060")
    await home.next(200)


async def test_an_interface_whose_address_leaves_the_machine_is_shown_and_comes_back(
    scene, autojump_clock, bindings, monkeypatch
):
    here = ["127.0.0.1", "192.0.2.55"]

    def addresses(family):
        return here if family == socket.AF_INET else []

    monkeypatch.setattr("sipx.listeners.machine_addresses", addresses)
    away = {"bind": "192.0.2.55", "port": 5060, "protocol": "udp"}
    stage = await scene(interface={"good": TABLES["good"], "away": away})
    interfaces = stage.kernel.interfaces
    await trio.sleep(11)
    assert interfaces.named("away").status is Status.LISTENING
    here.remove("192.0.2.55")
    bindings.faults["away"] = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    await trio.sleep(5)
    assert interfaces.named("away").status is Status.FAILED
    assert interfaces.named("away").reason == "its address is not on this machine any more"
    assert (b"192.0.2.55", 5060) not in interfaces.own
    assert interfaces.named("good").status is Status.LISTENING
    await trio.sleep(2)
    assert interfaces.named("away").reason == "Cannot assign requested address"
    here.append("192.0.2.55")
    bindings.faults.clear()
    await trio.sleep(60)
    assert interfaces.named("away").status is Status.LISTENING


async def test_an_interface_that_is_switched_off_is_not_tried(scene, autojump_clock, bindings):
    off = {**TABLES["bad"], "enabled": False}
    stage = await scene(interface={"bad": off, "good": TABLES["good"]})
    assert stage.kernel.interfaces.named("bad").status is Status.OFF
    assert [name for name, _ in bindings.tries] == ["good"]
