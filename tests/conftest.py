"""Distributions that exist only for one test, found by importlib.metadata like any other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=SOURCE)``: a distribution."""
    before = set(sys.modules)

    def install_(name: str, plugins: dict[str, str], version: str = "1.0", **modules: str) -> Path:
        site = tmp_path / "site" / name
        information = site / f"{name.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        information.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        entries = "".join(f"{plugin} = {place}\n" for plugin, place in plugins.items())
        information.joinpath("entry_points.txt").write_text(f"[sipx]\n{entries}")
        for module, source in modules.items():
            site.joinpath(f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        return site

    yield install_
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]
