"""The configuration file on the disk: written whole, by one at a time, and only if it is valid."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING

import pytest

from sipx.config.errors import ConfigError
from sipx.config.file import BY_HAND, FOUND, ConfigFile, ConflictError
from sipx.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

TEXT = '# ours\ndomains = ["example.com"]\n\n[wan]\npublic_port = 5060 # outside\n'
PORT = ("wan", "public_port")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "sipx.toml"
    found.write_text(TEXT)
    return found


@pytest.fixture
def file(path: Path, tmp_path: Path) -> ConfigFile:
    return ConfigFile(
        path, tmp_path / "state", Registry([]), "ada", now=lambda: 7.0, pause=lambda _: None
    )


def write_port(file: ConfigFile, port: int) -> None:
    document = file.read()
    document.set(PORT, port)
    file.write(document, f"port {port}")


def leftovers(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if p.name not in ("state", "sipx.toml"))


# ---------------------------------------------------------------- writing


def test_a_change_is_written_and_kept_with_author_and_time(file, path):
    write_port(file, 5061)
    assert path.read_text() == TEXT.replace("5060", "5061")
    first, second = file.history()
    assert (first.why, first.author) == (FOUND, "")
    assert (second.why, second.author, second.time) == ("port 5061", "ada", 7.0)
    assert file.version(1).text == TEXT
    assert file.unkept == ""
    assert leftovers(path) == []


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o664])
def test_mode_and_owner_stay(file, path, mode):
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    write_port(file, 5061)
    after = path.stat()
    assert stat.S_IMODE(after.st_mode) == mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "conf" / "sipx.toml"
    link.parent.mkdir()
    link.symlink_to("../sipx.toml")
    file = ConfigFile(link, tmp_path / "state", Registry([]), "ada")
    write_port(file, 5061)
    assert link.is_symlink()
    assert "5061" in path.read_text()
    assert [p.name for p in link.parent.iterdir()] == ["sipx.toml"]


def test_line_ends_a_byte_order_mark_and_a_missing_last_line_end_stay(file, path):
    data = b"\xef\xbb\xbf" + TEXT.strip().replace("\n", "\r\n").encode()
    path.write_bytes(data)
    write_port(file, 5061)
    assert path.read_bytes() == data.replace(b"5060", b"5061")


def test_a_file_that_may_not_be_written_is_not_replaced_either(file, path, monkeypatch):
    document = file.read()
    document.set(PORT, 5061)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError):
        file.write(document, "port 5061")
    assert path.read_text() == TEXT
    assert leftovers(path) == []


def test_the_same_text_is_checked_once(file, monkeypatch):
    document = file.read()
    document.set(PORT, 5061)
    file.check(document)
    monkeypatch.setattr("sipx.config.file.check", None)
    file.write(document, "port 5061")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (PORT, 99999, "99999 is more than 65535"),
        (("wan", "port"), 1, "unknown key 'port'"),
        (("domains",), [], "no domain is given"),
    ],
)
def test_what_is_no_valid_configuration_is_not_written(file, path, key, value, said):
    document = file.read()
    document.set(key, value)
    with pytest.raises(ConfigError, match=said):
        file.write(document, "nonsense")
    assert path.read_text() == TEXT
    assert file.history()[-1].why == FOUND


def test_a_file_that_is_not_valid_can_be_made_valid_and_not_be_left_so(file, path):
    path.write_text(TEXT.replace("5060", "70000") + "keep = 1\n")
    document = file.read()
    document.set(PORT, 5061)
    with pytest.raises(ConfigError, match="unknown key 'keep'"):
        file.write(document, "half")
    document.unset(("wan", "keep"))
    file.write(document, "whole")
    assert path.read_text() == TEXT.replace("5060", "5061")


def test_secrets_that_only_the_service_can_see_are_no_mistake(file, path):
    more = '[certificate.a]\npkcs12_file = "a.p12"\npkcs12_password = { env = "SIPX_NOT_SET" }\n'
    path.write_text(TEXT + more)
    write_port(file, 5061)
    assert "5061" in path.read_text()


# ---------------------------------------------------------------- others who write


def test_a_file_that_was_changed_meanwhile_is_not_written_over(file, path):
    document = file.read()
    document.set(PORT, 5061)
    path.write_text(TEXT + "# by hand\n")
    with pytest.raises(ConflictError, match="changed by somebody else"):
        file.write(document, "late")
    assert path.read_text() == TEXT + "# by hand\n"


def test_while_another_program_writes_nothing_is_written(file, path):
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="another program"):
            write_port(file, 5061)
    finally:
        os.close(handle)
    assert path.read_text() == TEXT
    write_port(file, 5061)
    assert "5061" in path.read_text()


def test_it_is_waited_for_another_program(path, tmp_path):
    handle = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    waited = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            os.close(handle)

    file = ConfigFile(path, tmp_path / "state", Registry([]), "ada", pause=pause)
    write_port(file, 5061)
    assert len(waited) == 3
    assert "5061" in path.read_text()


def test_a_write_that_fails_leaves_everything_as_it_was(file, path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_port(file, 5061)
    monkeypatch.undo()
    assert path.read_text() == TEXT
    assert leftovers(path) == []


def test_without_a_state_directory_it_is_written_and_said(path, tmp_path):
    (tmp_path / "state").write_text("a file in the way")
    file = ConfigFile(path, tmp_path / "state", Registry([]), "ada")
    write_port(file, 5061)
    assert "5061" in path.read_text()
    assert "state" in file.unkept


# ---------------------------------------------------------------- history and undo


def test_a_change_by_hand_is_noticed(file, path):
    write_port(file, 5061)
    path.write_text(TEXT + "# by hand\n")
    assert [version.why for version in file.history()] == [FOUND, "port 5061", BY_HAND]
    assert len(file.history()) == 3
    write_port(file, 5062)
    assert [version.why for version in file.history()][-2:] == [BY_HAND, "port 5062"]


def undo(file: ConfigFile, number: int | None = None) -> str:
    back = file.undo(number)
    file.write(back.document, back.said, restored=back.restored)
    return back.said


def test_undo_goes_back_one_change_at_a_time(file, path):
    write_port(file, 5061)
    write_port(file, 5062)
    assert undo(file) == "undone: port 5062"
    assert path.read_text() == TEXT.replace("5060", "5061")
    assert undo(file) == "undone: port 5061"
    assert path.read_text() == TEXT
    with pytest.raises(LookupError, match="no version before"):
        file.undo()


def test_a_number_goes_to_that_version_also_forward_again(file, path):
    write_port(file, 5061)
    undo(file)
    assert path.read_text() == TEXT
    assert undo(file, 2) == "back to version 2"
    assert path.read_text() == TEXT.replace("5060", "5061")
    undo(file)
    assert path.read_text() == TEXT
    with pytest.raises(LookupError, match="version 99 is not kept"):
        file.undo(99)


def test_undo_takes_back_a_change_by_hand(file, path):
    write_port(file, 5061)
    path.write_text("= no TOML\n")
    undo(file)
    assert path.read_text() == TEXT.replace("5060", "5061")


def test_an_undo_to_what_is_not_valid_any_more_is_refused(file, path):
    path.write_text(TEXT.replace("5060", "70000"))
    write_port(file, 5061)
    with pytest.raises(ConfigError, match="70000"):
        undo(file)
    assert "5061" in path.read_text()
