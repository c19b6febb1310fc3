"""``sipx version``."""

from __future__ import annotations

import platform
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, entry_points
from importlib.metadata import version as version_of
from importlib.util import find_spec
from typing import Final

import click

from sipx.cli.command_line import CommandLine, command_options

_LIBRARIES: Final = ("trio", "pluggy", "pydantic", "dnspython", "tomlkit", "click", "structlog")


def versions() -> dict[str, str]:
    """The versions of sipx, Python, the system, the libraries and the plugins, by name."""
    found = {
        "sipx": _version("sipx-proxy"),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "hot path": "compiled" if _compiled("sipx.proxy") else "interpreted",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    found |= {name: _version(name) for name in _LIBRARIES}
    for entry in sorted(entry_points(group="sipx"), key=lambda entry: entry.name):
        origin = f"{entry.dist.version} ({entry.dist.name})" if entry.dist is not None else "?"
        found[f"plugin {entry.name}"] = origin
    return found


def _compiled(module: str) -> bool:
    found = find_spec(module)
    return found is not None and str(found.origin).endswith(tuple(EXTENSION_SUFFIXES))


def _version(distribution: str) -> str:
    try:
        return version_of(distribution)
    except PackageNotFoundError:
        return "not installed"


@click.command()
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Also Python, libraries, plugins, and whether the hot path is compiled.",
)
@command_options
@click.pass_obj
def version(line: CommandLine, verbose: bool) -> None:
    """The version of sipx, and of what it runs on."""
    found = versions()
    if not verbose:
        line.result({"sipx": found["sipx"]}, f"sipx {found['sipx']}")
        return
    plugins = {
        name.removeprefix("plugin "): said
        for name, said in found.items()
        if name.startswith("plugin ")
    }
    plain = {name: said for name, said in found.items() if not name.startswith("plugin ")}
    line.result({**plain, "plugins": plugins}, [f"{name} {said}" for name, said in found.items()])
