"""A discovered partner that sends too much is slowed, then refused; all others get every answer.

The load is that of benchmarks/federation.py, which prints how long answers take. What counts here
is which answers come, and in which order.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "federation.py"
BURST = 40
"""Messages that a partner may send at once, where nothing else is configured."""
ROUNDS = 2


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    argv = [sys.executable, str(BENCHMARK), "--json", "--no-pin"]
    argv += ["--rounds", str(ROUNDS), "--seconds", "4", "--rate", "400"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("span", ["alone", "beside"])
def test_each_message_of_the_others_arrives(found: dict[str, Any], span: str) -> None:
    """Between UC servers, from another partner and to it, with and without the greedy one."""
    for one in found["rounds"]:
        assert len(one[span]) == 3
        for name, row in one[span].items():
            assert row["ok"] == row["sent"] > 0, name


def test_a_burst_passes_then_503_comes_between_what_is_let_through(found: dict[str, Any]) -> None:
    greedy = found["rounds"][0]["greedy"]
    assert greedy["statuses"] == [200, 503]
    (first, count), (second, _) = greedy["in_order"][:2]
    assert first == 200
    assert count >= BURST
    assert second == 503
    assert greedy["accepted"] + greedy["refused"] < greedy["sent"], "it was never slowed"


def test_each_503_says_when_to_come_back(found: dict[str, Any]) -> None:
    for one in found["rounds"]:
        assert one["greedy"]["refused"] > 0
        assert all(1 <= int(text) <= 5 for text in one["greedy"]["retry_after"])


def test_who_was_quiet_for_a_while_is_let_through_again(found: dict[str, Any]) -> None:
    greedy = found["rounds"][1]["greedy"]
    assert greedy["in_order"][0][0] == 200
    assert greedy["accepted"] > 0


def test_the_book_has_counted_the_greedy_one_alone(found: dict[str, Any]) -> None:
    partners = {row["domain"]: row for row in found["partners"]}
    steady, greedy = partners["steady.example"], partners["greedy.example"]
    assert (steady["slowed"], steady["limited"]) == (0, 0)
    assert greedy["slowed"] > 0
    # What nobody waited for any more was refused as well.
    assert greedy["limited"] >= sum(one["greedy"]["refused"] for one in found["rounds"])
