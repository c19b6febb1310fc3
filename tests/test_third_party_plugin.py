"""The plugin of docs/writing-a-plugin.md, built and tested as a stranger would install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "docs/examples/sipx-blocklist"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A copy of the package, and the directory its wheel is installed into."""
    place = tmp_path_factory.mktemp("third-party")
    source, site = place / "sipx-blocklist", place / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    local = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    run([*pip, *local, "--target", str(site), str(source)], place)
    (source / "sipx_blocklist.py").unlink()  # what is tested is the wheel
    return source, site


def run(command, directory, **environment):
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_holds_the_module_and_its_entry_point_only(installed):
    _, site = installed
    assert {path.name for path in site.iterdir()} == {
        "sipx_blocklist.py",
        "sipx_blocklist-0.1.0.dist-info",
    }
    entries = (site / "sipx_blocklist-0.1.0.dist-info/entry_points.txt").read_text()
    assert entries.split() == ["[sipx]", "blocklist", "=", "sipx_blocklist:Blocklist"]


def test_its_tests_pass_against_the_installed_package(installed):
    source, site = installed
    said = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        source,
        PYTHONPATH=str(site),
    )
    assert "5 passed" in said


def test_sipx_lists_it(installed):
    source, site = installed
    said = run(
        [sys.executable, "-m", "sipx", "--json", "plugins", "list"], source, PYTHONPATH=str(site)
    )
    assert "sipx-blocklist" in said
