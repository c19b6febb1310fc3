"""The capture file: it rotates, survives a full disk, and can be read whole."""

from __future__ import annotations

import errno
import stat

import pytest
import trio
from sipx_monitor.traffic.captures import read_capture
from sipx_monitor.traffic.rotation import EVERY, CaptureFile


class Told:
    """The troubles that were noted."""

    def __init__(self):
        self.troubles = []

    def note_trouble(self, kind, name, text):
        self.troubles.append(text)


@pytest.fixture
def told():
    """Who is told of troubles."""
    return Told()


async def written(file, messages):
    """Write messages, and wait until they are."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.run)
        for message in messages:
            file.add(message)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_it_holds_all_messages_and_only_its_owner_reads_it(recorder, tmp_path, told):
    path = tmp_path / "sipx.pcapng"
    for number in range(3):  # three runs, one file
        await written(CaptureFile(path, 1_000_000, 2, told), recorder.call(number))
    capture = read_capture(path.read_bytes())
    assert len(capture.store) == 27
    assert not any(message.fault for message in capture.store.between(1, 99))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(told.troubles) == {""}


async def test_it_is_put_aside_when_it_is_full(recorder, tmp_path, told):
    path = tmp_path / "sipx.pcapng"
    file = CaptureFile(path, 8000, 2, told)
    for number in range(6):
        await written(file, recorder.call(number))
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "sipx.pcapng", "sipx.pcapng.1", "sipx.pcapng.2",
    ]  # fmt: skip
    newest = read_capture(path.read_bytes())
    assert newest.store.get(len(newest.store)).call_id == "call-5"
    for one in tmp_path.iterdir():
        assert one.stat().st_size <= 8000


async def test_a_disk_that_refuses_is_told_of_and_tried_again(recorder, tmp_path, told):
    path = tmp_path / "missing" / "sipx.pcapng"
    file = CaptureFile(path, 8000, 2, told)
    await written(file, recorder.call(1))
    assert told.troubles == [f"{path} cannot be written: No such file or directory"]
    path.parent.mkdir()
    await written(file, recorder.call(2))
    assert told.troubles[-1] == ""
    assert len(read_capture(path.read_bytes()).store) == 9
    assert EVERY > 0


async def test_a_disk_that_is_too_slow_is_told_of_with_what_is_missing(
    recorder, tmp_path, told, monkeypatch
):
    path = tmp_path / "sipx.pcapng"
    file = CaptureFile(path, 1_000_000, 2, told)
    with monkeypatch.context() as slow:
        slow.setattr("sipx_monitor.traffic.rotation.MOST_WAITING", 1)
        await written(file, recorder.call(0))
    assert told.troubles == [f"8 messages are not in {path}: the disk is too slow"]
    await written(file, recorder.call(1))
    assert told.troubles[-1] == ""
    assert len(read_capture(path.read_bytes()).store) == 10


async def test_what_a_full_disk_took_a_part_of_is_taken_back(recorder, tmp_path, told, monkeypatch):
    path = tmp_path / "sipx.pcapng"
    await written(CaptureFile(path, 1_000_000, 2, told), recorder.call(0))

    def half(file, data):
        file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("sipx_monitor.traffic.rotation._write_all", half)
        await written(CaptureFile(path, 1_000_000, 2, told), recorder.call(1))
    assert "No space left" in told.troubles[-1]
    await written(CaptureFile(path, 1_000_000, 2, told), recorder.call(2))
    capture = read_capture(path.read_bytes())
    assert {message.call_id for message in capture.store.between(1, 99)} == {"call-0", "call-2"}
