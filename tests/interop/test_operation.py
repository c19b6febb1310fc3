"""A proxy in operation: reloads, stops and starts, full disks, under 500 messages a second."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from .operation import Operation
from .programs import free_port, program, wait_until
from .proxy import route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

RELOADS = 100
INTERFACE = """
[interface.further]
bind = "127.0.0.1"
port = {port}
protocol = "udp"
"""


@pytest.fixture
def operation(tmp_path: Path) -> Iterator[Callable[..., Operation]]:
    """Makes proxies with traffic; all of it ends with the test."""
    program("sipp")
    made: list[Operation] = []

    def make(**options: Any) -> Operation:
        made.append(Operation(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_a_hundred_reloads_lose_no_message_and_leave_nothing_behind(
    operation: Callable[..., Operation],
) -> None:
    it = operation()
    texts = [
        it.text + route("more.example", "127.0.0.9", 5060) + INTERFACE.format(port=port)
        for port in (free_port("127.0.0.1"), free_port("127.0.0.1"))
    ]
    it.send()
    it.wait_for_traffic()
    memory: list[int] = []
    with it.client() as client:
        for number in range(RELOADS):
            it.file.write_text(it.text if number % 2 else texts[number // 2 % 2])
            plan = client.call_json("reload")
            assert plan["rebuild"] == ["static-routes"], plan
            assert plan["close" if number % 2 else "listen"] == ["further"], plan
            memory.append(it.proxy.memory)
        assert it.sending, "the traffic ended before the last reload"
    figures = it.sent()
    assert (figures.successful, figures.failed) == (figures.created, 0), it.proxy.said
    status = it.status()
    assert status["service"]["reload"]["count"] == RELOADS
    assert status["service"]["reload"]["failed"] == 0
    assert [interface["name"] for interface in status["interfaces"]] == ["udp", "tcp"]
    assert memory[-1] - memory[RELOADS // 2] < 4 << 20, memory
    assert len(psutil.Process(it.proxy.process.pid).net_connections("udp")) == 1


def test_the_service_stops_and_starts_five_times_and_traffic_is_resumed(
    operation: Callable[..., Operation],
) -> None:
    it = operation()
    it.send("message_uac_patient")
    for _ in range(5):
        it.wait_for_traffic()
        it.sipx("service", "stop")
        status = it.status()
        assert status["service"]["state"] == "stopped"
        assert {interface["state"] for interface in status["interfaces"]} == {"off"}
        it.sipx("service", "start")
        assert it.status()["service"]["state"] == "running"
    it.wait_for_traffic()
    figures = it.sent()
    assert (figures.successful, figures.failed) == (figures.created, 0), it.proxy.said
    assert it.proxy.process.alive


def test_hup_reloads_and_term_lets_the_last_answers_out(
    operation: Callable[..., Operation],
) -> None:
    it = operation()
    it.send("message_uac_patient")
    it.wait_for_traffic()
    it.file.write_text(it.text + route("more.example", "127.0.0.9", 5060))
    os.kill(it.proxy.process.pid, signal.SIGHUP)
    wait_until(lambda: it.status()["service"]["reload"]["count"] == 1, "the reload")
    assert [row["domain"] for row in it.status()["sections"]["routes"]][-1] == "more.example"
    it.file.write_text(it.text + "[static-routes.route.x]\n")
    os.kill(it.proxy.process.pid, signal.SIGHUP)
    wait_until(lambda: it.status()["service"]["reload"]["failed"] == 1, "the refused reload")
    assert "server" in it.status()["service"]["reload"]["error"]
    it.wait_for_traffic()
    os.kill(it.proxy.process.pid, signal.SIGTERM)
    assert it.proxy.process.wait(10) == 0
    # What the far end has answered has reached the near end: nobody there repeats a request.
    it.uac.end()
    it.uas.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until the disk takes no more."""
    with file.open("wb", buffering=0) as full:
        try:
            while True:
                full.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def test_log_files_are_rotated_and_a_full_disk_stops_no_message(
    operation: Callable[..., Operation], small_disk: Path
) -> None:
    it = operation(
        level="trace",
        plugins=("log-rotation",),
        tables=f"""
[log-rotation]
directory = "{small_disk}/log"
max_size = "1MB"
keep = 2
""",
    )

    def files() -> list[Path]:
        return sorted((small_disk / "log").glob("sipx*"))

    def written() -> str:
        """All lines; a file that is renamed between the two looks comes next time."""
        found = ""
        for file in files():
            with suppress(FileNotFoundError):
                found += file.read_text()
        return found

    def has_room() -> bool:
        """Whether the file being written will want more of the disk, and not turn instead: a turn
        deletes a megabyte first.
        """
        try:
            return (small_disk / "log" / "sipx.log").stat().st_size < 500_000
        except FileNotFoundError:  # it turns
            return False

    it.send()
    wait_until(lambda: len(files()) == 3, "the second rotation", 60)
    wait_until(has_room, "a file that begins", 60)
    assert len(files()) <= 3
    assert max(file.stat().st_size for file in files()) < (1 << 20) + 4096

    junk = small_disk / "junk"
    fill(junk)
    wait_until(lambda: "no space" in str(it.status()["troubles"]), "the trouble in the status", 30)
    it.wait_for_traffic(1000)
    junk.unlink()
    wait_until(lambda: "lost" in written(), "the number of lost lines", 30)
    wait_until(lambda: "no space" not in str(it.status()["troubles"]), "the end of it", 30)
    it.wait_for_traffic(1000)
    figures = it.sent()
    assert (figures.successful, figures.failed) == (figures.created, 0), it.proxy.said


PLUGIN = """
from pathlib import Path
import trio
from sipx import Config, hookimpl

class Faulty:
    Config = Config

    def __init__(self, config, proxy):
        self.trigger = Path("raise")

    @hookimpl
    def services(self):
        return [self.watch]

    async def watch(self, *, task_status=trio.TASK_STATUS_IGNORED):
        task_status.started()
        while True:
            if self.trigger.exists():
                raise OSError("its database is gone")
            await trio.sleep(0.05)
"""


def test_a_service_of_a_plugin_that_raises_is_shown_and_started_again(
    operation: Callable[..., Operation], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    information = site / "faulty-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[sipx]\nfaulty = faulty:Faulty\n")
    (site / "faulty.py").write_text(PLUGIN)
    it = operation(plugins=("faulty",), environment={"PYTHONPATH": str(site)})
    it.send()
    it.wait_for_traffic()

    def faulty() -> dict[str, Any]:
        with it.client() as client:
            plugins = client.call_json("status")["plugins"]
        return next(plugin for plugin in plugins if plugin["name"] == "faulty")

    trigger = tmp_path / "raise"
    trigger.touch()
    wait_until(lambda: faulty()["state"] == "failed", "the failure in the status")
    wait_until(lambda: faulty()["services"][0]["restarts"] >= 2, "the second restart")
    assert faulty()["services"][0]["error"] == "OSError: its database is gone"
    it.wait_for_traffic()
    trigger.unlink()
    wait_until(lambda: faulty()["state"] == "running", "its recovery")
    figures = it.sent()
    assert (figures.successful, figures.failed) == (figures.created, 0), it.proxy.said
    assert "service watch of plugin faulty failed" in it.proxy.process.log.read_text()
