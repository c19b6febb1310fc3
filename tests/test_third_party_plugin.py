"""The packages that the documentation shows, built and tested as a stranger would install them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

EXAMPLES = Path(__file__).parent.parent / "docs/examples"


class Example(NamedTuple):
    """A folder below docs/examples, what its wheel holds, and how many tests it has."""

    folder: str
    distribution: str
    holds: tuple[str, ...]
    entry: str
    tests: int


PACKAGES = (
    Example(
        "sipx-blocklist",
        "sipx-blocklist",
        ("sipx_blocklist.py",),
        "blocklist = sipx_blocklist:Blocklist",
        5,
    ),
    Example(
        "console-panel",
        "sipx-busiest",
        ("sipx_busiest/__init__.py", "sipx_busiest/panel.js"),
        "busiest = sipx_busiest:Busiest",
        4,
    ),
)


@pytest.fixture(scope="module", params=PACKAGES, ids=lambda example: example.folder)
def example(request):
    return request.param


@pytest.fixture(scope="module")
def installed(example, tmp_path_factory):
    """A copy of the package, and the directory its wheel is installed into."""
    place = tmp_path_factory.mktemp("third-party")
    source, site = place / example.folder, place / "site"
    shutil.copytree(
        EXAMPLES / example.folder, source, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    local = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    run([*pip, *local, "--target", str(site), str(source)], place)
    for held in example.holds:
        (source / held).unlink()  # what is tested is the wheel
        if "/" in held and not any((source / held).parent.iterdir()):
            (source / held).parent.rmdir()
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


def test_the_wheel_holds_the_module_and_its_entry_point_only(example, installed):
    _, site = installed
    about = f"{example.distribution.replace('-', '_')}-0.1.0.dist-info"
    held = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {path for path in held if not path.startswith(about)} == set(example.holds)
    assert f"{about}/METADATA" in held
    entries = (site / about / "entry_points.txt").read_text()
    assert entries.splitlines() == ["[sipx]", example.entry]


def test_its_tests_pass_against_the_installed_package(example, installed):
    source, site = installed
    said = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        source,
        PYTHONPATH=str(site),
    )
    assert f"{example.tests} passed" in said


def test_sipx_lists_it(example, installed):
    source, site = installed
    said = run(
        [sys.executable, "-m", "sipx", "--json", "plugins", "list"], source, PYTHONPATH=str(site)
    )
    assert example.distribution in said
