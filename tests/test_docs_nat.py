"""The page about NAT is true: its firewall rules load, its words are those of the plugin stun."""

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


def section(heading: str) -> str:
    """The text below a heading, up to the next one of the same level or above."""
    level = heading.partition(" ")[0]
    _, found, rest = PAGE.partition(f"\n{heading}\n")
    assert found, f"there is no heading '{heading}'"
    return re.split(rf"\n#{{1,{len(level)}}} ", rest)[0]


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


def test_every_kind_of_nat_is_drawn_and_explained() -> None:
    from sipx_stun.behaviour import MEANING, NatType

    meanings = section("### What they mean for SIP")
    explained = dict(re.findall(r"^\| ([A-Z][\w ]+) \| ([^|]+) \|", meanings, re.M))
    assert explained == MEANING
    for kind in NatType:
        assert f"[{kind}](#{kind.lower().replace(' ', '-')})" in section("## The kinds of NAT")
        drawing = re.search(r"```text\n(.*?)```", section(f"### {kind}"), re.S)
        assert drawing is not None, kind
        assert max(map(len, drawing[1].splitlines())) <= 100


def test_names_follow_from_mapping_and_filtering_as_the_table_says() -> None:
    from sipx_stun.behaviour import Filtering, Mapping, nat_type

    table = section("## The kinds of NAT")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]*) \| \[([\w ]+)\]\(", table, re.M)
    said = {(mapping, filtering): name for mapping, filtering, name in rows}
    assert len(said) == 8
    eim, adm = "endpoint-independent", "address-dependent, or address-and-port-dependent"
    for filtering in set(Filtering) - {Filtering.UNKNOWN}:
        first = ("none: the address outside is our own", filtering)
        assert nat_type(Mapping.NO_NAT, filtering, answered=True) == (
            said[first] if first in said else said["none", "any other"]
        )
        assert nat_type(Mapping(eim), filtering, answered=True) == said[eim, filtering]
        for mapping in (Mapping.ADDRESS_DEPENDENT, Mapping.ADDRESS_AND_PORT_DEPENDENT):
            assert nat_type(mapping, filtering, answered=True) == said[adm, "any"]
    unknown = (Mapping.UNKNOWN, Filtering.UNKNOWN)
    assert nat_type(*unknown, answered=False) == said["no answer at all", "–"]
    assert nat_type(*unknown, answered=True) == said["cannot be measured", "–"]


def test_every_code_of_the_check_is_on_both_pages() -> None:
    plugin = Path(__file__).parent.parent / "plugins/sipx-stun"
    source = (plugin / "sipx_stun/checks.py").read_text(encoding="utf-8")
    codes = set(re.findall(r"SIPX-S\d{3}", source))
    for page in (section("## Checks and metrics"), (plugin / "README.md").read_text("utf-8")):
        assert set(re.findall(r"^\| (SIPX-S\d{3}) \|", page, re.M)) == codes
