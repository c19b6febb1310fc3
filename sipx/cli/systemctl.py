"""The service manager of the machine, asked and told through its own commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from sipx.cli.exits import ExitCode, Failed

UNIT: Final = "sipx.service"
SYSTEM_UNITS: Final = Path("/etc/systemd/system")
ANY_VERSION: Final = 252
"""What is written for where the version is not known: it works with every later one."""

_PROPERTIES: Final = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "MainPID",
    "NRestarts",
    "Result",
    "StatusText",
)
_NOT_ALLOWED: Final = 4
"""systemctl's exit code for missing rights, after LSB."""


class UnitState(NamedTuple):
    """The unit as the manager sees it; ``status`` is what the proxy has told it last."""

    manager: str
    path: str
    active: str
    sub: str
    enabled: str
    pid: int
    restarts: int
    result: str
    status: str


class Systemctl:
    """The manager of the system, or that of this user."""

    def __init__(self, *, user: bool) -> None:
        self.user = user

    @property
    def name(self) -> str:
        """Whose it is."""
        return "user" if self.user else "system"

    @property
    def directory(self) -> Path:
        """Where its administrator's units are."""
        if not self.user:
            return SYSTEM_UNITS
        given = os.environ.get("XDG_CONFIG_HOME", "")
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".config"
        return base / "systemd" / "user"

    @property
    def unit_path(self) -> Path:
        """Where the unit of the proxy is written."""
        return self.directory / UNIT

    def unit(self) -> UnitState | None:
        """The unit of the proxy; None where the manager has none, or there is no manager."""
        wanted = ",".join(_PROPERTIES)
        done = _done(*self._command("show"), UNIT, f"--property={wanted}")
        if done is None or done.returncode != 0:
            return None
        found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        if found.get("LoadState") != "loaded":
            return None
        return UnitState(
            self.name,
            found.get("FragmentPath", ""),
            found.get("ActiveState", ""),
            found.get("SubState", ""),
            found.get("UnitFileState", ""),
            _number(found.get("MainPID")),
            _number(found.get("NRestarts")),
            found.get("Result", ""),
            found.get("StatusText", ""),
        )

    def tell(self, verb: str, *words: str) -> None:
        """``systemctl VERB ...``, which waits until it is done. Raises Failed."""
        command = [*self._command(verb), *words]
        done = _done(*command)
        if done is None:
            raise Failed(f"{command[0]} is not installed", ExitCode.UNREACHABLE)
        if done.returncode == 0:
            return
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        code = ExitCode.NOT_PERMITTED if done.returncode == _NOT_ALLOWED else ExitCode.BAD_ANSWER
        raise Failed(f"`{' '.join(command)}` failed: {said}", code)

    def reload(self) -> bool:
        """Let it read its units anew; False where it does not run, as while an image is made."""
        done = _done(*self._command("daemon-reload"))
        return done is not None and done.returncode == 0

    def _command(self, verb: str) -> tuple[str, ...]:
        return ("systemctl", "--user", verb) if self.user else ("systemctl", verb)


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def _done(*command: str) -> subprocess.CompletedProcess[str] | None:
    """A command that has run; None where there is none of this name."""
    program = shutil.which(command[0])
    if program is None:
        return None
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    return subprocess.run(  # noqa: S603  # the words are ours, and no shell reads them
        [program, *command[1:]], capture_output=True, text=True, check=False, env=environment
    )


def installed() -> tuple[Systemctl, UnitState] | None:
    """The manager that has a unit of the proxy: the system's, else the user's."""
    for user in (False, True):
        manager = Systemctl(user=user)
        state = manager.unit()
        if state is not None:
            return manager, state
    return None


def version() -> int | None:
    """The version of systemd; None where there is none."""
    done = _done("systemctl", "--version")
    found = None if done is None else re.match(r"systemd (\d+)", done.stdout)
    return None if found is None else int(found[1])


# ---------------------------------------------------------------- systemd-analyze


def exposure(unit: Path) -> str | None:
    """How much a unit lets its service do, 0 (nothing) to 10, and systemd's word for it."""
    done = _done("systemd-analyze", "security", "--offline=true", "--no-pager", str(unit))
    if done is None:
        return None
    found = re.search(r"Overall exposure level for \S+: ([\d.]+ \w+)", done.stdout)
    return None if found is None else found[1]


def complaints(unit: Path, *, user: bool) -> list[str]:
    """What systemd finds wrong with a unit; nothing where it cannot be asked."""
    words = ("--user",) if user else ()
    done = _done("systemd-analyze", *words, "verify", "--man=no", str(unit))
    if done is None or (user and "XDG_RUNTIME_DIR" not in os.environ):
        return []
    return [line for line in done.stderr.splitlines() if unit.name in line]


# ---------------------------------------------------------------- systemd-sysusers


def make_accounts(file: Path) -> bool:
    """Make the accounts of a sysusers.d(5) file; False where that cannot be done."""
    done = _done("systemd-sysusers", str(file))
    return done is not None and done.returncode == 0
