"""From old files to compressed ones."""

from __future__ import annotations

import errno
import gzip
import os
import stat
from datetime import UTC, datetime

import pytest
from sipx_log_rotation.archive import Archive
from sipx_log_rotation.calendar import Days
from sipx_log_rotation.files import RETRY, LogFile

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
MIDNIGHT = NOON + 12 * 3600


def old(directory, number, text="yesterday\n", when=NOON):
    path = directory / f"sipx.{number:06d}.log"
    path.write_text(text)
    os.utime(path, (when, when))
    return path


def test_a_file_is_compressed_under_its_day_and_number_and_deleted(tmp_path):
    path = old(tmp_path, 17)
    archive = Archive(tmp_path / "archive", 10, UTC)
    archive.take(path)
    [taken] = (tmp_path / "archive").iterdir()
    assert taken.name == "sipx-2026-11-25.000017.log.gz"
    assert gzip.decompress(taken.read_bytes()) == b"yesterday\n"
    assert stat.S_IMODE(taken.stat().st_mode) & 0o007 == 0
    assert taken.stat().st_mtime == NOON
    assert not path.exists()


def test_nothing_in_the_archive_is_written_over(tmp_path):
    archive = Archive(tmp_path / "archive", 10, UTC)
    for text in ("one", "two", "three"):
        archive.take(old(tmp_path, 1, text))
    files = archive.files("sipx")
    assert [path.name for path in files] == [
        "sipx-2026-11-25.000001-3.log.gz",
        "sipx-2026-11-25.000001-2.log.gz",
        "sipx-2026-11-25.000001.log.gz",
    ]
    assert [gzip.decompress(path.read_bytes()) for path in files] == [b"three", b"two", b"one"]


def test_the_newest_are_kept_and_other_files_left_alone(tmp_path):
    archive = Archive(tmp_path / "archive", 2, UTC)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/other.gz").write_text("mine")
    (tmp_path / "archive/sipx-transactions-2026-01-01.000001.log.gz").write_text("another log")
    for day in range(5):
        archive.take(old(tmp_path, 1, when=NOON + day * 86400))
    assert [path.name for path in archive.files("sipx")] == [
        "sipx-2026-11-29.000001.log.gz",
        "sipx-2026-11-28.000001.log.gz",
    ]
    assert len(list((tmp_path / "archive").iterdir())) == 4


def test_when_the_archive_is_full_the_file_stays_and_nothing_half_is_left(tmp_path, monkeypatch):
    path = old(tmp_path, 1)

    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Archive(tmp_path / "archive", 10, UTC).take(path)
    assert path.read_text() == "yesterday\n"
    assert list((tmp_path / "archive").iterdir()) == []


def _log(directory, archive):
    return LogFile(
        directory,
        "sipx",
        max_size=1000,
        keep=10,
        told=lambda lost, reason, now: b"LOST\n",
        days=Days(UTC),
        archive=archive,
    )


def test_at_midnight_the_files_of_the_day_go_into_the_archive(tmp_path):
    logs, archive = tmp_path / "logs", Archive(tmp_path / "archive", 10, UTC)
    file = _log(logs, archive)
    for number in range(25):
        file.write(b"%099d\n" % number, NOON)
    for path in logs.iterdir():
        os.utime(path, (NOON, NOON))
    file.write(b"new\n", MIDNIGHT)
    assert file.has_to_look(MIDNIGHT)
    file.look(MIDNIGHT)
    assert [path.name for path in file.files()] == [
        "sipx.log",
        "sipx-2026-11-25.000003.log.gz",
        "sipx-2026-11-25.000002.log.gz",
        "sipx-2026-11-25.000001.log.gz",
    ]
    text = b"".join(gzip.decompress(p.read_bytes()) for p in reversed(archive.files("sipx")))
    assert text == b"".join(b"%099d\n" % number for number in range(25))
    assert not file.has_to_look(MIDNIGHT)


def test_what_cannot_be_archived_stays_is_told_of_and_tried_again(tmp_path):
    (tmp_path / "archive").write_text("no directory")
    file = _log(tmp_path / "logs", Archive(tmp_path / "archive", 10, UTC))
    file.write(b"yesterday\n", NOON)
    file.look(MIDNIGHT)
    assert "cannot be archived and stay" in file.trouble
    assert [path.name for path in file.files()] == ["sipx.000001.log"]
    (tmp_path / "archive").unlink()
    file.look(MIDNIGHT + RETRY)
    assert file.trouble == ""
    [path] = file.files()
    assert path.name.endswith(".log.gz")
