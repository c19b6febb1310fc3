"""The page about NAT is true: its firewall rules load."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs/nat.md").read_text(encoding="utf-8")
RULES = re.findall(r"^```nft\n(.*?)^```$", PAGE, re.M | re.S)
NAMESPACE = ("unshare", "--net")
"""A network of its own: nothing is looked at, let alone changed, in that of the machine."""


def in_namespace(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [*NAMESPACE, *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def nft() -> str:
    program = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("nft is not installed (Debian: the package nftables has it)")
    allowed = in_namespace(program, "list", "ruleset")
    if allowed.returncode:
        pytest.skip(f"no network namespace may be made here: {allowed.stderr.strip()}")
    return program


@pytest.mark.parametrize("rules", RULES, ids=range(len(RULES)))
def test_the_firewall_rules_load(nft: str, rules: str) -> None:
    done = in_namespace(nft, "-c", "-f", "-", text=rules)
    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_firewall_rules() -> None:
    assert len(RULES) == 3
