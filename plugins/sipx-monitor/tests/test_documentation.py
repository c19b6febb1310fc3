"""docs/monitor.md says what the topics are, and README the checks."""

from __future__ import annotations

import re
from pathlib import Path

from sipx_monitor.web.topics import STATES, TOPICS

PLUGIN = Path(__file__).parents[1]
PAGE = (PLUGIN.parents[1] / "docs/monitor.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    _, found, rest = PAGE.partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading}"
    level = heading.partition(" ")[0]
    return re.split(rf"\n#{{1,{len(level)}}} ", rest)[0]


def test_every_topic_is_documented_with_its_method() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section("### Topics"), re.M))
    assert rows.keys() == TOPICS.keys()
    for topic in STATES:
        assert f"`{topic.method}`" in rows[topic.name]


def test_every_check_is_documented() -> None:
    sources = [path.read_text() for path in (PLUGIN / "sipx_monitor").rglob("*.py")]
    codes = {code for text in sources for code in re.findall(r'"(SIPX-[A-Z]\d{3})"', text)}
    readme = (PLUGIN / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (SIPX-[A-Z]\d{3}) \|", readme, re.M)) == codes
