"""Which configuration file a command uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

FILE_NAME: Final = "sipx.toml"
VARIABLE: Final = "SIPX_CONFIG"
SYSTEM: Final = Path("/etc/sipx") / FILE_NAME


class Found(NamedTuple):
    """A configuration file, and by what it was chosen."""

    path: Path
    by: str


def usual_places() -> tuple[Path, ...]:
    """Where a file is looked for when none is named: here, the user's place, the system's."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    # "If an implementation encounters a relative path in any of these variables it should consider
    # the path invalid and ignore it" (XDG base directory specification).
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".config"
    return (Path(FILE_NAME), base / "sipx" / FILE_NAME, SYSTEM)


def find(named: Path | None) -> Found | None:
    """The file of ``--config``, else of SIPX_CONFIG, else the first that is in a usual place.

    A file that is named is returned whether it exists or not: reading it tells.
    """
    if named is not None:
        return Found(named, "--config")
    variable = os.environ.get(VARIABLE)
    if variable:
        return Found(Path(variable), VARIABLE)
    for place in usual_places():
        if place.exists():
            return Found(place, "the first of the usual places that has one")
    return None


def not_found() -> str:
    """The sentence for the case that there is no file."""
    places = ", ".join(map(str, usual_places()))
    return (
        f"no configuration file: looked for --config, ${VARIABLE}, {places}; `sipx init` writes one"
    )
