"""Configuration files as an operator would write them, read as ``sipx run`` reads them."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from sipx.config.load import Settings, load
from sipx.registry import GROUP, Registry

if TYPE_CHECKING:
    from pathlib import Path


def read_configuration(text: str, directory: Path) -> Settings:
    """Write ``text`` to ``sipx.toml`` in ``directory`` and read it.

    Nothing outside is looked at: no addresses, no files with secrets. Raises ConfigError with
    every problem in it.
    """
    path = directory / "sipx.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, Registry(list(entry_points(group=GROUP))), addresses=None)
