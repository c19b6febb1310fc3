"""The tutorial of two sites works from its first step to its last; how it is read: reader.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .reader import PATIENCE, environment_in, follow, free_port, shown

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial-two-sites.md"
SCRIPT = ROOT / "docs" / "examples" / "two-sites" / "uc_server.py"


def test_the_tutorial_works_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    environment = environment_in(tmp_path / "home")
    directory = tmp_path / "two-sites"
    directory.mkdir()
    port = free_port()
    script = SCRIPT.read_text(encoding="utf-8")
    (directory / SCRIPT.name).write_text(script.replace("5060", port))
    page = PAGE.read_text(encoding="utf-8").partition("\n## Appendix")[0]
    assert follow(page.replace("5060", port), directory, environment) > 15


@pytest.mark.interop
def test_kamailio_takes_the_configuration_of_the_appendix(tmp_path: Path) -> None:
    kamailio = shutil.which("kamailio", path=f"{os.environ['PATH']}:/usr/sbin")
    if kamailio is None:
        pytest.skip("kamailio is not installed (Debian: kamailio)")
    text = PAGE.read_text(encoding="utf-8").partition("\n## Appendix")[2]
    configuration, uacreg, version = re.findall(r"^```text\n(.*?)^```$", text, re.M | re.S)
    (tmp_path / "uacreg").write_text(uacreg)
    (tmp_path / "version").write_text(version)
    file = tmp_path / "kamailio.cfg"
    here = configuration.replace("10.2.0.20", "127.0.0.1")
    file.write_text(here.replace("/etc/kamailio/db", str(tmp_path)))
    done = subprocess.run(
        [kamailio, "-c", "-f", str(file), "-w", str(tmp_path), "-Y", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    columns, row = uacreg.splitlines()
    assert len(re.split(r"(?<!\\):", row)) == len(columns.split())


@pytest.mark.parametrize(
    ("expected", "printed", "verdict"),
    [
        (["a … c"], ["a  b c"], True),
        (["a"], ["a", "b"], False),
        (["a", "…"], ["a", "b", "c"], True),
        (["…", "c"], ["a", "b"], False),
        ([], [], True),
        (["a"], [], False),
    ],
)
def test_how_lines_are_compared(expected: list[str], printed: list[str], verdict: bool) -> None:
    assert shown(expected, printed) is verdict
