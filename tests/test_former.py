"""Addresses of before, and the file that keeps them."""

import logging

import pytest

from sipx.former import FILE, LARGEST, LASTS, MOST, Former, FormerFile


class Wall:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


def test_a_former_address_is_recognised_for_a_time(wall):
    former = Former(wall)
    former.add("one", "198.51.100.7", 5061)
    assert former.of("one") == {(b"198.51.100.7", 5061)}
    assert former.of("two") == frozenset()
    wall.now += LASTS
    assert former.of("one") == frozenset()
    assert list(former) == []


def test_one_that_comes_back_and_goes_lasts_anew(wall):
    former = Former(wall)
    former.add("one", "198.51.100.7", 5061)
    wall.now += LASTS - 1
    former.add("one", "198.51.100.7", 5061)
    wall.now += LASTS - 1
    assert former.of("one") == {(b"198.51.100.7", 5061)}


def test_the_oldest_are_forgotten_first(wall):
    former = Former(wall)
    for number in range(MOST + 1):
        former.add("one", "198.51.100.7", 1 + number)
    kept = former.of("one")
    assert len(kept) == MOST
    assert (b"198.51.100.7", 1) not in kept
    assert (b"198.51.100.7", MOST + 1) in kept


async def test_they_are_kept_over_a_restart(tmp_path, wall):
    file = FormerFile(tmp_path / "deep" / FILE)
    former = Former(wall)
    former.add("one", "2001:db8::7", 5061)
    await file.write(former)
    wall.now += 10
    after = Former(wall)
    FormerFile(tmp_path / "deep" / FILE).read(after)
    assert after.of("one") == {(b"2001:db8::7", 5061)}
    wall.now += LASTS - 10
    assert after.of("one") == frozenset()


async def test_the_file_is_written_only_when_there_is_something_new(tmp_path, wall):
    file = FormerFile(tmp_path / FILE)
    former = Former(wall)
    await file.write(former)
    assert not (tmp_path / FILE).exists()
    former.add("one", "198.51.100.7", 5061)
    await file.write(former)
    (tmp_path / FILE).unlink()
    await file.write(former)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"former": 1}',
        '{"former": [{"interface": "one", "host": "x", "port": 0}]}',
        "\xff",
        '{"former": []}' + " " * LARGEST,
    ],
)
def test_a_damaged_file_is_told_of_and_nothing_else_fails(tmp_path, wall, caplog, text):
    (tmp_path / FILE).write_text(text, encoding="latin-1")
    former = Former(wall)
    with caplog.at_level(logging.WARNING):
        FormerFile(tmp_path / FILE).read(former)
    assert "damaged" in caplog.text
    assert list(former) == []


async def test_a_clock_that_begins_in_1970_forgets_nothing(tmp_path, wall):
    file, former = FormerFile(tmp_path / FILE), Former(wall)
    former.add("one", "198.51.100.7", 5061)
    await file.write(former)
    after = Former(wall)
    wall.now, right = 0.0, wall.now
    FormerFile(tmp_path / FILE).read(after)
    assert after.of("one") == {(b"198.51.100.7", 5061)}
    wall.now = right + LASTS - 1
    assert after.of("one") == {(b"198.51.100.7", 5061)}
    wall.now = right + LASTS
    assert after.of("one") == frozenset()


async def test_a_directory_that_cannot_be_written_is_told_of_once(tmp_path, wall, caplog):
    (tmp_path / "file").write_text("")
    file = FormerFile(tmp_path / "file" / FILE)
    former = Former(wall)
    with caplog.at_level(logging.WARNING):
        for port in (5061, 5062):
            former.add("one", "198.51.100.7", port)
            await file.write(former)
    assert caplog.text.count("cannot keep former public addresses") == 1


async def test_without_a_path_nothing_is_kept(wall):
    former = Former(wall)
    former.add("one", "198.51.100.7", 5061)
    await FormerFile(None).write(former)
    FormerFile(None).read(former)
    assert former.of("one")
