"""The table of metrics, the page about it, and the examples that use it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from sipx_metrics.exposition import Exposition
from sipx_metrics.families import COLLECTION, COLLECTION_HELP, FAMILIES

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs/examples/metrics"
PAGE = ROOT / "docs/metrics.md"
NAMES = {family.name for family in FAMILIES} | {COLLECTION}
PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_and_labels_follow_the_rules_of_prometheus(family):
    assert re.fullmatch(r"sipx(_[a-z]+)+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert not {"le", "quantile", "job", "instance"}.intersection(family.labels)
    assert family.help.endswith(".")


# ---------------------------------------------------------------- the page


def table(heading, text=None):
    """The rows of the first table below a heading, by what stands in their first cell."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition(f" {heading}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    return {name: tuple(rest.split(" | ")) for name, rest in rows}


def test_the_page_has_every_metric_with_its_type_labels_and_meaning():
    rows = {
        family.name: (
            family.kind,
            ", ".join(f"`{label}`" for label in family.labels) or "–",
            family.help,
        )
        for family in FAMILIES
    }
    assert table("Every metric") == rows | {COLLECTION: ("gauge", "–", COLLECTION_HELP)}
    assert set(re.findall(r"`(process_\w+)`", PAGE.read_text(encoding="utf-8"))) == PROCESS


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Why requests are refused", "sipx_rejected_total"),
        ("Why something is dropped", "sipx_dropped_total"),
        ("Why connections are closed at once", "sipx_connections_rejected_total"),
    ],
)
async def test_the_page_has_every_reason(sipx_proxy, autojump_clock, heading, name):
    proxy = await sipx_proxy(metrics={"port": 0})
    text, _ = Exposition(proxy.plugin("metrics")._proxy.status, trio.current_time).text()
    families = text_string_to_metric_families(text.decode())
    samples = [s for family in families for s in family.samples if s.name == name]
    assert list(table(heading)) == [sample.labels["reason"] for sample in samples]


# ---------------------------------------------------------------- the examples


@pytest.mark.parametrize("file", sorted(EXAMPLES.iterdir()), ids=lambda file: file.name)
def test_examples_use_metrics_and_labels_that_are_there(file):
    text = file.read_text(encoding="utf-8")
    used = set(re.findall(r"\bsipx_[a-z_]+", text))
    assert used <= NAMES
    assert set(re.findall(r"\bprocess_[a-z_]+", text)) <= PROCESS
    labels = {label for family in FAMILIES for label in family.labels}
    grouped = set(re.findall(r"by \(([^)]*)\)", text))
    named = {label.strip() for group in grouped for label in group.split(",")}
    assert named <= labels | {"job", "instance"}


def test_the_dashboard_is_one_document_with_panels_that_do_not_overlap():
    board = json.loads((EXAMPLES / "dashboard.json").read_text())
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert all(target["expr"] for target in panel["targets"])
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_dashboard_and_the_alerts_leave_no_health_metric_unused():
    used = set()
    for file in EXAMPLES.iterdir():
        used |= set(re.findall(r"\bsipx_[a-z_]+", file.read_text(encoding="utf-8")))
    assert NAMES - used <= {
        "sipx_healthy",
        "sipx_flows_opened_total",
        "sipx_reload_last_success_timestamp_seconds",
        "sipx_retransmissions_absorbed_total",
        COLLECTION,
    }


def test_every_alert_is_tried():
    rules = set(re.findall(r"- alert: (\w+)", (EXAMPLES / "alerts.yml").read_text()))
    tests = (EXAMPLES / "alerts_test.yml").read_text().split("\n      - eval_time")
    tried = {m[1] for each in tests if (m := re.search(r"alertname: (\w+)", each))}
    fires = {m[1] for t in tests if "exp_labels" in t and (m := re.search(r"name: (\w+)", t))}
    assert rules == tried == fires


def promtool(*words, text=None):
    """Run promtool; its answer."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus has it)")
    return subprocess.run(
        [program, *words], input=text, capture_output=True, text=True, check=False, cwd=EXAMPLES
    )


def test_promtool_finds_the_alert_rules_right():
    done = promtool("check", "rules", "--lint-fatal", "alerts.yml")
    assert done.returncode == 0, done.stderr


def test_promtool_finds_that_the_alerts_fire_when_they_should_and_only_then():
    done = promtool("test", "rules", "alerts_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_the_scrape_configuration_right():
    done = promtool("check", "config", "--lint-fatal", "prometheus.yml")
    assert done.returncode == 0, done.stderr


async def test_promtool_finds_the_metrics_right(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy(metrics={"port": 0})
    text, _ = Exposition(proxy.plugin("metrics")._proxy.status, trio.current_time).text()
    done = promtool("check", "metrics", text=text.decode())
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
