"""The tutorial of open federation works from its first step to its last; how it is read: reader.py.

Its addresses are replaced by others of this machine that are as long, so that two tests do not
meet, and lines are folded where the page shows it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .reader import environment_in, follow

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial-open-federation.md"
SCRIPTS = (
    ROOT / "docs" / "examples" / "two-sites" / "uc_server.py",
    ROOT / "docs" / "examples" / "open-federation" / "dns_server.py",
)
ADDRESS = re.compile(r"\b127\.0\.([1-4])\.1\b")
"""North, South, the name server, and East."""


def test_the_tutorial_works_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    environment = environment_in(tmp_path / "home")
    directory = tmp_path / "organisations"
    directory.mkdir()
    for script in SCRIPTS:
        (directory / script.name).write_text(script.read_text(encoding="utf-8"))
    second, fourth = divmod(os.getpid() % 81, 9)
    here = rf"127.{second + 1}.\1.{fourth + 1}"
    page = ADDRESS.sub(here, PAGE.read_text(encoding="utf-8"))
    assert follow(page, directory, environment) > 15
