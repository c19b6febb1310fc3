"""``sipx metrics`` as the operator sees it, against a service that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from sipx_metrics.command import metrics

from sipx import CommandLine

CONFIG = """
domains = ["example.com"]
plugins = ["udp", "metrics"]

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"

[metrics]
port = 0

[service]
state_dir = "state"
control_socket = "control.sock"
"""


@pytest.fixture
def config(monkeypatch):
    """A configuration file in a directory with a short path: names of sockets are short."""
    monkeypatch.delenv("SIPX_SOCKET", raising=False)
    with tempfile.TemporaryDirectory(prefix="sipx-") as folder:
        path = Path(folder, "sipx.toml")
        path.write_text(CONFIG)
        yield path


@pytest.fixture
def running(config):
    """`sipx run` with this file."""
    words = [sys.executable, "-m", "sipx", "run", "--config", str(config)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if '"started"' in line:
                    break
            yield config
        finally:
            process.terminate()
            process.communicate()


def run(config, *words):
    return CliRunner().invoke(metrics, [*words, "--config", str(config)], obj=CommandLine())


def test_it_prints_what_prometheus_would_read(running):
    done = run(running)
    assert done.exit_code == 0, done.output
    families = {family.name: family for family in text_string_to_metric_families(done.stdout)}
    [up] = families["sipx_interface_up"].samples
    assert (up.labels, up.value) == ({"interface": "near", "protocol": "udp", "role": "wan"}, 1)


def test_as_json_it_is_data(running):
    done = run(running, "--json")
    assert done.exit_code == 0, done.output
    found = {family["name"]: family for family in json.loads(done.stdout)}
    assert found["sipx_healthy"]["type"] == "gauge"
    assert found["sipx_healthy"]["samples"] == [
        {"name": "sipx_healthy", "labels": {}, "value": 1.0}
    ]


def test_without_a_service_it_is_exit_code_4(config):
    done = run(config)
    assert done.exit_code == 4
    assert done.stdout == ""
