"""What a plugin adds to the console has to be files of its own package, and of no other place."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from sipx.plugin import ConsolePanel


def panel_problem(panel: object) -> str:
    """What is wrong with a panel and what to do about it, "" if nothing is."""
    if not isinstance(panel, ConsolePanel):
        return f"{panel!r} is no ConsolePanel; give ConsolePanel(module, package=__name__)"
    folder = package_folder(panel.package)
    if folder is None:
        return f"{panel.package!r} is no package with files; package=__name__ of the package is one"
    for name, ending in ((panel.module, ".js"), *((style, ".css") for style in panel.styles)):
        if not is_inside(name) or not name.endswith(ending):
            return f"{name!r} is no name of a file in a package; write it such as panel{ending}"
        if not (folder / name).is_file():
            return f"{folder / name} does not exist; put it there, and into the wheel"
    return ""


def package_folder(package: str) -> Path | None:
    """The directory of an importable package; None where it has none."""
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        return None
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations)))


def is_inside(name: str) -> bool:
    """Whether a name with ``/`` between folders stays in the folder that it is looked up in."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not any(
        part in ("..", "/") or part.startswith(".") or "\\" in part or "\0" in part
        for part in parts
    )
