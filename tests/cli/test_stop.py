"""``sipx stop``: on the real command, since it ends a process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture
def running(two_domains):
    """``sipx run`` as a process of its own, up."""
    command = [sys.executable, "-m", "sipx", "run", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=two_domains.parent
    )
    line = ""
    while line != "}\n":
        line = process.stdout.readline()
        assert line, process.stderr.read()
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("words", [(), ("--now",)])
def test_the_process_ends_cleanly_and_is_waited_for(running, line, monkeypatch, words):
    status = line("status", "--json")
    assert json.loads(status.stdout)["service"]["pid"] == running.pid
    found = line("stop", *words)
    assert (found.exit_code, found.stdout) == (0, f"the process {running.pid} has ended\n")
    assert running.wait(timeout=10) == 0
    assert line("stop").exit_code == 4


def test_the_same_as_json(running, line):
    assert line.json("stop") == {"stopped": True, "pid": running.pid}


async def test_one_that_does_not_end_in_time_is_told(service):
    run = await service()
    run.kernel.stop = lambda now=False: None
    found = await run("stop", "--timeout", "0.2")
    assert found.exit_code == 1
    assert "has not ended within 0.2 s; --now ends it at once" in found.stderr


def test_without_a_service_it_is_4(line):
    found = line("stop")
    assert found.exit_code == 4
    assert "no running service" in found.stderr
