"""What survives a restart."""

import logging
import stat
from pathlib import Path

import pytest

from sipx.state import KEY_FILE, cookie_keys, replace_file, state_directory


def test_a_key_is_made_once_and_kept_for_its_owner_alone(tmp_path):
    directory = tmp_path / "deep" / "state"
    (key,) = cookie_keys(directory)
    assert len(key) == 32
    assert cookie_keys(directory) == [key]
    assert stat.S_IMODE((directory / KEY_FILE).stat().st_mode) == 0o600


def test_two_proxies_have_two_keys(tmp_path):
    assert cookie_keys(tmp_path / "one") != cookie_keys(tmp_path / "two")


def test_further_keys_in_the_file_are_still_accepted(tmp_path):
    (tmp_path / KEY_FILE).write_text(f"{'aa' * 32}\n{'bb' * 16}\n")
    assert cookie_keys(tmp_path) == [b"\xaa" * 32, b"\xbb" * 16]


@pytest.mark.parametrize("text", ["", "\n", "aabb\n", f"{'aa' * 32}\naabb\n"])
def test_a_damaged_key_file_is_replaced_and_that_is_said(tmp_path, caplog, text):
    (tmp_path / KEY_FILE).write_text(text)
    with caplog.at_level(logging.WARNING):
        keys = cookie_keys(tmp_path)
    assert "is damaged" in caplog.text
    assert cookie_keys(tmp_path) == keys


def test_a_key_file_that_is_no_text_does_not_stop_the_proxy(tmp_path, caplog):
    (tmp_path / KEY_FILE).write_text("not hexadecimal")
    assert len(cookie_keys(tmp_path)[0]) == 32
    assert "dialogs will not survive a restart" in caplog.text or "is damaged" in caplog.text


def test_without_a_writable_directory_the_key_lives_as_long_as_the_process(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    first, second = cookie_keys(blocked), cookie_keys(blocked)
    assert first != second
    assert "dialogs will not survive a restart" in caplog.text


def test_the_state_directory_that_systemd_gives_is_used(monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    assert state_directory(None) == Path("/var/lib/one")


def test_the_configured_state_directory_wins(tmp_path):
    assert state_directory(tmp_path) == tmp_path


def test_root_keeps_its_state_in_var_lib(monkeypatch):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert state_directory(None) == Path("/var/lib/sipx")


def test_others_keep_it_where_the_xdg_directories_say(monkeypatch, tmp_path):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory(None) == tmp_path / "sipx"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert state_directory(None) == Path("/home/somebody/.local/state/sipx")


async def test_a_dialog_survives_a_restart_of_the_proxy(scene, autojump_clock, tmp_path):
    state = {"state_dir": str(tmp_path / "kept")}
    stage = await scene(service=state)
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example", call_id="long")
    away.answer(await away.next("INVITE"), 200)
    route = (await home.next(200)).get(b"Record-Route").decode()
    await stage.proxy.stop()
    again = await scene(service=state)
    home, away = again.raw("home.example"), again.raw("away.example")
    home.ask("BYE", "sip:far@127.0.2.2", f"Route: {route}", to_tag="far", call_id="long", cseq=2)
    away.answer(await away.next("BYE"), 200)
    await home.next(200)


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_replaced_stays(tmp_path):
    path = tmp_path / "file"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(OSError, match="file"):
        replace_file(path, b"one")
    assert list(tmp_path.iterdir()) == [path]
