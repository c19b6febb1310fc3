"""One log on a real disk: sizes, numbers, what others do to its files, what the disk refuses."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sipx_log_rotation.calendar import Days
from sipx_log_rotation.files import RETRY, LogFile

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
MIDNIGHT = NOON + 12 * 3600


def told(lost: int, reason: str, now: float) -> bytes:
    return b"LOST %d %s\n" % (lost, reason.encode())


def log(directory: Path, **settings) -> LogFile:
    return LogFile(directory, "sipx", **{"max_size": 1000, "keep": 3, "told": told, **settings})


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def line(number: int, size: int = 100) -> bytes:
    return b"%0*d\n" % (size - 1, number)


# ---------------------------------------------------------------- size and number


def test_a_new_file_is_begun_before_one_becomes_too_large(tmp_path):
    file = log(tmp_path, keep=100)
    for number in range(25):
        file.write(line(number), NOON)
    assert names(tmp_path) == ["sipx.000001.log", "sipx.000002.log", "sipx.log"]
    assert [path.stat().st_size for path in sorted(tmp_path.iterdir())] == [1000, 1000, 500]
    text = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert text == b"".join(line(number) for number in range(25))


def test_a_line_that_is_larger_than_a_file_gets_one_of_its_own(tmp_path):
    file = log(tmp_path)
    for size in (10, 5000, 10):
        file.write(line(1, size), NOON)
    assert [path.stat().st_size for path in file.files()] == [10, 5000, 10]


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_only_so_many_old_files_are_kept_and_the_newest_of_them(tmp_path, keep):
    file = log(tmp_path, keep=keep)
    for number in range(100):
        file.write(line(number), NOON)
    expected = [f"sipx.{number:06d}.log" for number in range(9, 9 - keep, -1)]
    assert [path.name for path in file.files()] == ["sipx.log", *expected]


def test_after_a_restart_it_goes_on_in_the_same_file_and_writes_none_over(tmp_path):
    for number in range(25):
        file = log(tmp_path, keep=100)
        file.write(line(number), NOON)
        file.close()
    text = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert text == b"".join(line(number) for number in range(25))


def test_numbers_go_on_after_the_largest_even_when_files_are_missing(tmp_path):
    (tmp_path / "sipx.000041.log").write_bytes(b"old\n")
    file = log(tmp_path)
    for number in range(11):
        file.write(line(number), NOON)
    assert names(tmp_path) == ["sipx.000041.log", "sipx.000042.log", "sipx.log"]


def test_files_of_others_are_never_touched(tmp_path):
    others = ["other.log", "sipx.1.log", "sipx.log.1", "sipx.000001.log.gz", "sipx.x00001.log",
              "sipx-transactions.log", "sipx-transactions.000001.log"]  # fmt: skip
    for name in others:
        (tmp_path / name).write_text("mine")
    file = log(tmp_path, keep=0, days=Days(UTC))
    for number in range(50):
        file.write(line(number), NOON)
    file.write(line(0), MIDNIGHT)
    assert names(tmp_path) == sorted([*others, "sipx.log"])


def test_others_may_not_read_the_files(tmp_path):
    before = os.umask(0)
    try:
        file = log(tmp_path / "made")
        file.write(line(1), NOON)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o750


# ---------------------------------------------------------------- what others do


def test_a_file_that_was_deleted_is_begun_anew(tmp_path):
    file = log(tmp_path)
    file.write(line(1), NOON)
    file.path.unlink()
    file.write(line(2), NOON)
    assert file.path.read_bytes() == line(2)


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    file = log(tmp_path)
    file.write(line(1), NOON)
    file.path.rename(tmp_path / "moved")
    file.reopen()
    file.write(line(2), NOON)
    assert (tmp_path / "moved").read_bytes() == line(1)
    assert file.path.read_bytes() == line(2)


def test_a_directory_that_was_removed_is_made_anew(tmp_path):
    directory = tmp_path / "logs"
    file = log(directory)
    file.write(line(1), NOON)
    file.path.unlink()
    directory.rmdir()
    file.write(line(2), NOON)
    assert file.path.read_bytes() == line(2)
    assert file.lost_ever == 0


def test_a_line_that_was_cut_off_by_a_crash_is_ended(tmp_path):
    (tmp_path / "sipx.log").write_bytes(b"half a li")
    file = log(tmp_path)
    file.write(b"next\n", NOON)
    assert file.path.read_bytes() == b"half a li\nnext\n"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_plain_file_is_not_written_to_and_does_not_block(tmp_path, make):
    make(tmp_path / "sipx.log")
    file = log(tmp_path)
    file.write(line(1), NOON)
    assert "sipx.log cannot be written" in file.trouble
    assert file.lost == 1


# ---------------------------------------------------------------- what the disk refuses


class Disk:
    """os.write, refusing after some bytes."""

    def __init__(self, monkeypatch, room: int, number: int = errno.ENOSPC) -> None:
        self.room = room
        self.number = number
        self.tries = 0
        self._write = os.write
        monkeypatch.setattr("sipx_log_rotation.files.os.write", self)

    def __call__(self, fd: int, data: bytes) -> int:
        self.tries += 1
        if self.room <= 0:
            raise OSError(self.number, os.strerror(self.number))
        count = self._write(fd, data[: self.room])
        self.room -= count
        return count


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_lines_are_lost_and_counted_and_told_when_writing_works_again(
    tmp_path, monkeypatch, number
):
    disk = Disk(monkeypatch, 150, number)
    file = log(tmp_path)
    for each in range(10):
        file.write(line(each), NOON)
    assert file.lost == file.lost_ever == 9
    words = os.strerror(number).lower()
    assert file.trouble == (
        f"{file.path} cannot be written, its lines are lost until it can: {words}"
    )
    disk.room = 10_000
    file.write(line(10), NOON + RETRY)
    assert file.trouble == ""
    assert (file.lost, file.lost_ever) == (0, 9)
    assert file.path.read_bytes() == (
        line(0) + line(1)[:50] + b"\nLOST 9 " + words.encode() + b"\n" + line(10)
    )


def test_a_full_disk_is_tried_again_every_few_seconds_and_not_at_each_line(tmp_path, monkeypatch):
    disk = Disk(monkeypatch, 0)
    file = log(tmp_path)
    for number in range(1000):
        file.write(line(number), NOON + number * 0.01)
    assert file.lost == 1000
    assert disk.tries == 2


def test_it_resumes_without_a_line_of_its_own_when_somebody_looks(tmp_path, monkeypatch):
    disk = Disk(monkeypatch, 0)
    file = log(tmp_path)
    file.write(line(1), NOON)
    assert file.has_to_look(NOON)
    file.look(NOON + RETRY)
    assert file.trouble
    disk.room = 10_000
    file.look(NOON + 2 * RETRY)
    assert file.trouble == ""
    assert file.path.read_bytes().startswith(b"LOST 1 ")
    assert not file.has_to_look(NOON)


def test_a_clock_that_was_set_back_does_not_make_it_wait(tmp_path, monkeypatch):
    disk = Disk(monkeypatch, 0)
    file = log(tmp_path)
    file.write(line(1), NOON)
    disk.room = 10_000
    file.write(line(2), NOON - 86400)
    assert file.trouble == ""


def test_a_file_that_cannot_be_ended_goes_on_growing(tmp_path, monkeypatch):
    file = log(tmp_path)
    rename = Path.rename

    def refused(self, target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "rename", refused)
    for number in range(15):
        file.write(line(number), NOON)
    assert "cannot be ended" in file.trouble
    assert file.path.stat().st_size == 1500
    assert file.lost == 0
    monkeypatch.setattr(Path, "rename", rename)
    file.write(line(15), NOON + RETRY)
    assert file.trouble == ""
    assert names(tmp_path) == ["sipx.000001.log", "sipx.log"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_costs_lines_only(tmp_path):
    tmp_path.chmod(0o500)
    file = log(tmp_path)
    file.write(line(1), NOON)
    tmp_path.chmod(0o700)
    assert "permission denied" in file.trouble


def test_a_directory_that_is_a_file_costs_lines_only(tmp_path):
    (tmp_path / "logs").write_text("no directory")
    file = log(tmp_path / "logs")
    file.write(line(1), NOON)
    assert file.lost == 1
    assert "cannot be written" in file.trouble
    assert file.files() == []
    (tmp_path / "logs").unlink()
    file.write(line(2), NOON + RETRY)
    assert file.trouble == ""


# ---------------------------------------------------------------- delete_daily


def test_all_files_go_at_midnight_and_the_new_day_begins_with_an_empty_one(tmp_path):
    file = log(tmp_path, days=Days(UTC))
    for number in range(25):
        file.write(line(number), NOON)
    file.write(line(25), MIDNIGHT - 0.001)
    assert len(names(tmp_path)) == 3
    file.write(line(26), MIDNIGHT)
    assert names(tmp_path) == ["sipx.log"]
    assert file.path.read_bytes() == line(26)


def test_all_files_go_at_midnight_although_nothing_is_logged(tmp_path):
    file = log(tmp_path, days=Days(UTC))
    file.write(line(1), NOON)
    assert not file.has_to_look(MIDNIGHT - 1)
    assert file.has_to_look(MIDNIGHT)
    file.look(MIDNIGHT)
    assert names(tmp_path) == []


def at(path: Path, when: float) -> None:
    os.utime(path, (when, when))


def test_at_the_start_files_go_that_were_left_because_nobody_ran_at_midnight(tmp_path):
    for name in ("sipx.log", "sipx.000007.log", "sipx.000008.log"):
        (tmp_path / name).write_text("yesterday\n")
        at(tmp_path / name, MIDNIGHT - 60)
    file = log(tmp_path, days=Days(UTC))
    assert file.has_to_look(MIDNIGHT + 60)
    file.look(MIDNIGHT + 60)
    assert names(tmp_path) == []


def test_at_a_restart_on_the_same_day_nothing_goes(tmp_path):
    for name in ("sipx.log", "sipx.000007.log"):
        (tmp_path / name).write_text("today\n")
        at(tmp_path / name, NOON)
    file = log(tmp_path, days=Days(UTC))
    file.look(NOON + 60)
    file.write(b"more\n", NOON + 60)
    assert names(tmp_path) == ["sipx.000007.log", "sipx.log"]
    assert file.path.read_text() == "today\nmore\n"


def test_files_that_cannot_be_deleted_are_told_of_and_lines_are_written_all_the_same(
    tmp_path, monkeypatch
):
    file = log(tmp_path, days=Days(UTC))
    file.write(line(1), NOON)
    unlink = Path.unlink

    def refused(self, missing_ok=False):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "unlink", refused)
    file.write(line(2), MIDNIGHT)
    assert "cannot be deleted" in file.trouble
    assert file.path.read_bytes() == line(2)
    monkeypatch.setattr(Path, "unlink", unlink)
    file.look(MIDNIGHT + RETRY)
    assert file.trouble == ""
    assert file.lost_ever == 0


WRITER = """
import sys, time
from pathlib import Path
from sipx_log_rotation.files import LogFile

file = LogFile(Path(sys.argv[1]), "sipx", max_size=1000, keep=10_000, told=lambda *_: b"LOST\\n")
for number in range(2000):
    file.write(b"%s %06d\\n" % (sys.argv[2].encode(), number), time.time())
assert not file.trouble and not file.lost_ever, file.trouble
"""


def test_processes_that_share_a_directory_lose_no_line(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, name]) for name in ("one", "two")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert sorted(lines) == [f"{name} {n:06}" for name in ("one", "two") for n in range(2000)]


def test_a_line_that_comes_after_the_end_is_written_and_leaves_no_file_open(tmp_path):
    late = log(tmp_path)
    late.write(b"one\n", NOON)
    late.close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    late.write(b"late\n", NOON)
    late.look(NOON)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert late.path.read_bytes() == b"one\nlate\n"
