"""The JavaScript of others in the console: what it is, whether it is whole, and fetching it anew.

    python vendor.py verify     hash what is there
    python vendor.py fetch      npm pack each package, check its integrity, write its files

``VENDOR.toml`` says for each package its version, its licence and the integrity that npm gives
for it, and for each file that is taken the name it gets here and its SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).parent / "sipx_monitor" / "console" / "vendor"


def packages(vendor: Path = VENDOR) -> dict[str, dict[str, Any]]:
    """What ``VENDOR.toml`` says, by the name of the package."""
    with (vendor / "VENDOR.toml").open("rb") as file:
        found: dict[str, dict[str, Any]] = tomllib.load(file)["package"]
    return found


def problems(vendor: Path = VENDOR) -> list[str]:
    """What is not as ``VENDOR.toml`` says; [] if all is."""
    found = []
    known = {"VENDOR.toml"}
    for name, package in packages(vendor).items():
        if package["licence_file"] not in package["files"]:
            found.append(f"{name}: its licence is not among its files")
        for file in package["files"].values():
            known.add(file["as"])
            path = vendor / file["as"]
            if not path.is_file():
                found.append(f"{name}: {file['as']} is missing; run vendor.py fetch")
            elif _sha256(path.read_bytes()) != file["sha256"]:
                found.append(f"{name}: {file['as']} is not what VENDOR.toml says")
    found += [
        f"{path.name} is in no package of VENDOR.toml"
        for path in sorted(vendor.iterdir())
        if path.name not in known
    ]
    return found


def fetch(vendor: Path = VENDOR) -> None:
    """Write the files of all packages. Raises ValueError where one is not what it should be."""
    for name, package in packages(vendor).items():
        with tempfile.TemporaryDirectory() as folder:
            archive = _pack(f"{name}@{package['version']}", Path(folder))
            integrity = _integrity(archive.read_bytes())
            if integrity != package["integrity"]:
                raise ValueError(f"{name}: integrity {integrity}, not {package['integrity']}")
            with tarfile.open(archive) as tar:
                for source, file in package["files"].items():
                    member = tar.extractfile(f"package/{source}")
                    content = b"" if member is None else member.read()
                    if _sha256(content) != file["sha256"]:
                        raise ValueError(f"{name}: {source} has SHA-256 {_sha256(content)}")
                    (vendor / file["as"]).write_bytes(content)


def _pack(wanted: str, folder: Path) -> Path:
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), wanted]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # names of VENDOR.toml
    return next(folder.glob("*.tgz"))


def _integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: list[str]) -> int:
    """``verify`` or ``fetch``; the exit code."""
    if arguments not in (["verify"], ["fetch"]):
        sys.stderr.write("vendor.py verify | fetch\n")
        return 2
    if arguments == ["fetch"]:
        fetch()
    found = problems()
    sys.stderr.write("".join(f"{problem}\n" for problem in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
