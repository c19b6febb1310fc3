"""The last versions of a file, and which of them an undo goes back to."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from sipx.config.history import KEPT, History, Version

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "etc" / "sipx.toml", tmp_path / "state")


def add(history: History, data: bytes, restored: int | None = None) -> Version:
    version = Version(number=0, time=1.5, author="ada", why="x", etag="", restored=restored)
    return history.add(data, version)


def test_versions_are_numbered_and_have_their_content(history):
    assert history.versions() == []
    assert [add(history, b"a").number, add(history, b"b").number] == [1, 2]
    assert [version.number for version in history.versions()] == [1, 2]
    assert history.content(1) == b"a"
    assert history.versions()[0].etag != history.versions()[1].etag
    with pytest.raises(KeyError):
        history.content(3)


def test_only_the_last_20_are_kept(history):
    for number in range(KEPT + 5):
        add(history, b"%d" % number)
    numbers = [version.number for version in history.versions()]
    assert numbers == list(range(6, KEPT + 6))
    assert len(list(history.directory.iterdir())) == 2 * KEPT
    with pytest.raises(KeyError):
        history.content(5)


def test_nobody_else_may_read_them(history):
    add(history, b"a")
    for path in (history.directory, history.directory.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in history.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_files_do_not_share_a_history(history, tmp_path):
    add(history, b"a")
    assert History(tmp_path / "other" / "sipx.toml", tmp_path / "state").versions() == []


def test_what_is_damaged_is_left_out(history):
    add(history, b"a")
    add(history, b"b")
    (history.directory / "000001.json").write_text("{")
    (history.directory / "note.txt").write_text("mine")
    assert [version.number for version in history.versions()] == [2]
    assert add(history, b"c").number == 3


def test_undoing_again_goes_further_back(history):
    for data in (b"a", b"b", b"c"):
        add(history, data)
    assert history.before(history.versions()).number == 2
    add(history, b"b", restored=2)
    assert history.before(history.versions()).number == 1
    add(history, b"a", restored=1)
    assert history.before(history.versions()) is None
    assert history.shown_by(history.versions()).number == 1


def test_after_a_new_change_an_undo_takes_back_that(history):
    for data in (b"a", b"b"):
        add(history, data)
    add(history, b"a", restored=1)
    add(history, b"d")
    before = history.before(history.versions())
    assert history.content(before.number) == b"a"
    add(history, b"a", restored=before.number)
    assert history.before(history.versions()) is None


def test_a_version_with_the_same_content_is_no_step(history):
    for data in (b"a", b"b", b"b"):
        add(history, data)
    assert history.before(history.versions()).number == 1


def test_nothing_is_before_the_first(history):
    assert history.before([]) is None
    add(history, b"a")
    assert history.before(history.versions()) is None
