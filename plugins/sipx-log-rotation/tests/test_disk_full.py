"""A real disk that is full: a small one in memory where it may be mounted, and a limit of the
system on the size of files everywhere.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = r"""
import os, resource, sys, time
from pathlib import Path
from sipx_log_rotation.files import RETRY, LogFile

directory, limit = Path(sys.argv[1]), int(sys.argv[2])
told = lambda lost, reason, now: b"LOST %d %s\n" % (lost, reason.encode())
file = LogFile(directory, "sipx", max_size=10**9, keep=1, told=told)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
line = b"x" * 996 + b"%03d\n"
for number in range(200):
    file.write(line % number, 1000.0)
print(file.trouble)
print(file.lost)
lost = file.lost
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
else:
    (directory / "filler").unlink()
file.write(line % 200, 1000.0 + RETRY)
print(repr(file.trouble))
lines = file.path.read_bytes().split(b"\n")
assert lines[-1] == b""
whole = [each for each in lines if len(each) == 999]
half = [each for each in lines[:-1] if len(each) != 999 and not each.startswith(b"LOST")]
assert len(half) <= 1, half
[told] = [each for each in lines if each.startswith(b"LOST %d " % lost)]
assert whole[-1] == (line % 200).rstrip(b"\n")
assert len(whole) == 201 - lost
"""


def run(directory: Path, limit: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(directory), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_limit_of_the_system_on_the_size_of_files(tmp_path):
    trouble, lost, after = run(tmp_path, 100_500)
    assert "file too large" in trouble
    assert int(lost) == 100
    assert after == "''"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB with 100 KB left, in a name space of its own where possible."""
    libc = ctypes.CDLL(None, use_errno=True)
    where = os.fsencode(tmp_path)
    if libc.mount(b"tmpfs", where, b"tmpfs", 0, b"size=256k") != 0:
        pytest.skip(f"no file system may be mounted here: {os.strerror(ctypes.get_errno())}")
    try:
        (tmp_path / "filler").write_bytes(b"x" * 150_000)
        yield tmp_path
    finally:
        libc.umount2(where, 2)


def test_a_disk_that_is_really_full(small_disk):
    trouble, lost, after = run(small_disk, 0)
    assert "no space left on device" in trouble
    assert 50 < int(lost) < 200
    assert after == "''"
