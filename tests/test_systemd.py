"""The service manager's side of sd_notify, played by a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from types import SimpleNamespace

import pytest
import trio

from sipx.config.model import ServiceConfig
from sipx.flows import FlowTable
from sipx.interfaces import Interface, Interfaces
from sipx.sip.timers import Timers
from sipx.systemd import Notifier, in_one_line, keep_telling


class Manager:
    """Binds the socket that NOTIFY_SOCKET names, and reads what comes."""

    def __init__(self, address: str | bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """The datagrams that wait, fields in one line."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode().replace("\n", " "))
            except BlockingIOError:
                return found


@pytest.fixture
def manager(tmp_path):
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


@pytest.fixture
def notifier(manager):
    return Notifier(
        {"NOTIFY_SOCKET": manager.socket.getsockname()}, monotonic=lambda: 5_000_001_000
    )


def test_what_is_said_in_the_life_of_a_service(manager, notifier):
    notifier.ready("running\n all  is well")
    notifier.reloading()
    notifier.ready("running")
    notifier.status("busy")
    notifier.extend_timeout(0.25)
    notifier.alive()
    notifier.stopping(15)
    notifier.stopping(15)
    assert manager.heard() == [
        "READY=1 STATUS=running all is well",
        "RELOADING=1 MONOTONIC_USEC=5000001",
        "READY=1 STATUS=running",
        "STATUS=busy",
        "EXTEND_TIMEOUT_USEC=250000",
        "WATCHDOG=1",
        "STOPPING=1 EXTEND_TIMEOUT_USEC=25000000",
    ]


def test_a_reload_begins_at_the_time_of_the_systems_own_clock(manager):
    before = time_of_the_manager()
    Notifier({"NOTIFY_SOCKET": manager.socket.getsockname()}).reloading()
    [said] = manager.heard()
    assert before <= int(said.rpartition("=")[2]) <= time_of_the_manager()


def time_of_the_manager() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_socket_without_a_name_in_the_file_system(tmp_path):
    name = f"sipx-test-{os.getpid()}-{tmp_path.name}"
    manager = Manager(b"\0" + name.encode())
    Notifier({"NOTIFY_SOCKET": f"@{name}"}).status("up")
    assert manager.heard() == ["STATUS=up"]
    manager.socket.close()


@pytest.mark.parametrize("given", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:99"}])
def test_without_a_socket_nothing_is_sent_and_nothing_fails(given):
    notifier = Notifier({**given, "WATCHDOG_USEC": "1000000"})
    assert not notifier
    assert notifier.watchdog == 0
    notifier.ready("running")
    notifier.flush()


def test_a_manager_that_is_gone_is_told_of_once(tmp_path, caplog):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")})
    notifier.ready("running")
    notifier.alive()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_what_finds_no_room_is_sent_later_in_order(manager, notifier):
    sent = 0
    while len(notifier._unsent) < 2:
        notifier.status(str(sent := sent + 1))
    held = manager.heard()
    notifier.flush()
    assert held + manager.heard() == [f"STATUS={number + 1}" for number in range(sent)]
    assert sent > 2


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
    ],
)
def test_the_watchdog_is_that_of_this_process(environment, seconds):
    assert Notifier({"NOTIFY_SOCKET": "/none", **environment}).watchdog == seconds


# ---------------------------------------------------------------- what is told all the time


def interface(name: str) -> Interface:
    transport = SimpleNamespace(name="udp", via=b"UDP", reliable=False)
    return Interface(name, "127.0.0.1", 0, transport)  # type: ignore[arg-type]


@pytest.fixture
def core():
    near, far = interface("near"), interface("far")
    near.bound(("127.0.0.1", 5060))
    return SimpleNamespace(
        config=SimpleNamespace(service=ServiceConfig(stop_timeout=5)),
        interfaces=Interfaces([near, far]),
        flows=FlowTable(),
        timers=Timers(),
        state="running",
        ending=False,
    )


def test_the_line_names_what_has_failed(core):
    core.interfaces.named("far").failed("Address already in use")
    assert in_one_line(core) == "running: 1 of 2 interfaces listen (failed: far), 0 flows"


async def test_the_status_is_renewed_when_it_changes(
    core, manager, notifier, nursery, autojump_clock
):
    nursery.start_soon(keep_telling, notifier, core)
    await trio.sleep(60)
    assert manager.heard() == ["STATUS=running: 1 of 2 interfaces listen, 0 flows"]
    core.state = "draining"
    await trio.sleep(60)
    assert manager.heard() == ["STATUS=draining: 1 of 2 interfaces listen, 0 flows"]
    nursery.cancel_scope.cancel()


async def test_an_end_that_nobody_has_told_of_is_told(
    core, manager, notifier, nursery, autojump_clock
):
    nursery.start_soon(keep_telling, notifier, core)
    await trio.sleep(10)
    core.ending, core.state = True, "draining"
    await trio.sleep(10)
    assert manager.heard()[1:] == [
        "STATUS=draining: 1 of 2 interfaces listen, 0 flows",
        "STOPPING=1 EXTEND_TIMEOUT_USEC=15000000",
    ]
    nursery.cancel_scope.cancel()


async def tick(core):
    while True:
        await trio.sleep(0.05)
        core.timers.tick(trio.current_time())


@pytest.fixture
def watched(manager):
    return Notifier({"NOTIFY_SOCKET": manager.socket.getsockname(), "WATCHDOG_USEC": "20000000"})


def fed(manager) -> int:
    return manager.heard().count("WATCHDOG=1")


async def test_the_watchdog_is_fed_at_half_its_time(
    core, manager, watched, nursery, autojump_clock
):
    nursery.start_soon(tick, core)
    nursery.start_soon(keep_telling, watched, core)
    await trio.sleep(95)
    assert fed(manager) == 10
    nursery.cancel_scope.cancel()


async def test_a_core_that_makes_no_step_gets_no_food(
    core, manager, watched, nursery, autojump_clock
):
    steps = trio.CancelScope()

    async def until_cancelled():
        with steps:
            await tick(core)

    nursery.start_soon(until_cancelled)
    nursery.start_soon(keep_telling, watched, core)
    await trio.sleep(5)
    assert fed(manager) == 1
    steps.cancel()
    await trio.sleep(100)
    assert fed(manager) == 0
    nursery.start_soon(tick, core)
    await trio.sleep(5)
    assert fed(manager) == 1
    nursery.cancel_scope.cancel()


async def test_a_proxy_that_is_stopped_is_no_hung_process(
    core, manager, watched, nursery, autojump_clock
):
    core.state = "stopped"
    nursery.start_soon(keep_telling, watched, core)
    await trio.sleep(35)
    assert fed(manager) == 4
    nursery.cancel_scope.cancel()
