"""A proxy in operation: reloads, stops and starts, full disks, under 500 messages a second."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from .operation import Operation
from .programs import free_port, program, wait_until
from .proxy import route

if TYPE_CHECKING:
    from collections.abc import Iterator
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
def operation(tmp_path: Path) -> Iterator[type[Operation]]:
    """Makes proxies with traffic; all of it ends with the test."""
    program("sipp")
    made: list[Operation] = []

    class Made(Operation):
        def __init__(self, **options: object) -> None:
            super().__init__(tmp_path, **options)  # type: ignore[arg-type]  # passed on
            made.append(self)

    yield Made
    for one in made:
        one.end()


def test_a_hundred_reloads_lose_no_message_and_leave_nothing_behind(operation) -> None:
    it = operation()
    texts = [
        it.text + route("more.example", "127.0.0.9", 5060) + INTERFACE.format(port=port)
        for port in (free_port("127.0.0.1"), free_port("127.0.0.1"))
    ]
    it.send(12_000)
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
    assert (figures.successful, figures.failed) == (it.messages, 0), it.proxy.said
    status = it.status()
    assert status["service"]["reload"]["count"] == RELOADS
    assert status["service"]["reload"]["failed"] == 0
    assert [interface["name"] for interface in status["interfaces"]] == ["udp", "tcp"]
    assert memory[-1] - memory[RELOADS // 2] < 4 << 20, memory
    assert len(psutil.Process(it.proxy.process.pid).net_connections("udp")) == 1


def test_the_service_stops_and_starts_five_times_and_traffic_is_resumed(operation) -> None:
    it = operation()
    it.send(8_000, uac="message_uac_patient")
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
    assert (figures.successful, figures.failed) == (it.messages, 0), it.proxy.said
    assert it.proxy.process.alive


def test_hup_reloads_and_term_lets_the_last_answers_out(operation) -> None:
    it = operation()
    it.send(3_000, uac="message_uac_patient")
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
