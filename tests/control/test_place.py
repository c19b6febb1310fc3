"""Where the control socket lies, how it is taken, and who may use it."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import socket
import stat
from pathlib import Path

import pytest

import sipx.control.place as place
from sipx.control.place import Busy, check_length, client_path, peer_process, socket_path, take
from sipx.errors import StartError


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No variable of this machine says anything; an account that is not root."""
    for name in ("SIPX_SOCKET", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/ada/state")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------- where


def test_the_place_is_what_is_said_loudest(monkeypatch):
    assert socket_path(None) == Path("/home/ada/state/sipx/run/control.sock")
    assert socket_path(None, Path("/srv/state")) == Path("/srv/state/run/control.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert socket_path(None) == Path("/run/user/1000/sipx/control.sock")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert socket_path(None) == Path("/run/sipx/control.sock")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/sipx-berlin:/run/more")
    assert socket_path(None) == Path("/run/sipx-berlin/control.sock")
    assert socket_path(Path("/srv/c.sock")) == Path("/srv/c.sock")
    monkeypatch.setenv("SIPX_SOCKET", "/tmp/mine.sock")
    assert socket_path(Path("/srv/c.sock")) == Path("/tmp/mine.sock")


def test_a_user_finds_the_service_of_the_system_where_there_is_no_own(monkeypatch, tmp_path):
    system = tmp_path / "system.sock"
    monkeypatch.setattr(place, "SYSTEM", system)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    own = tmp_path / "sipx/control.sock"
    assert client_path(None) == own
    system.touch()
    assert client_path(None) == system
    assert client_path(Path("/srv/c.sock")) == Path("/srv/c.sock")
    own.parent.mkdir()
    own.touch()
    assert client_path(None) == own


def test_the_length_of_a_path_is_told_with_the_limit():
    check_length(Path("/" + "x" * 106))
    with pytest.raises(StartError, match=r"has at most 107 bytes, this one 108; .*control_socket"):
        check_length(Path("/" + "x" * 107))
    with pytest.raises(StartError, match="this one 121"):
        check_length(Path("/" + "ü" * 60))


# ---------------------------------------------------------------- taking it


def test_it_is_for_owner_and_group_and_its_directory_for_the_owner(tmp_path):
    taken = take(tmp_path / "deep" / "run" / "control.sock")
    assert mode(taken.path) == 0o660
    assert mode(taken.path.parent) == 0o700
    assert taken.trouble == ""
    taken.give_up()
    assert not taken.path.exists()


def test_it_is_never_wider_not_even_for_a_moment(tmp_path, monkeypatch):
    seen = []
    real = Path.chmod

    def chmod(self, wanted, **more):
        seen.append(mode(self))
        real(self, wanted, **more)

    monkeypatch.setattr(Path, "chmod", chmod)
    old = os.umask(0)
    try:
        take(tmp_path / "control.sock").give_up()
    finally:
        os.umask(old)
    assert seen
    assert set(seen) == {0o600}


def test_it_is_given_to_the_group_with_its_directory(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        os, "chown", lambda path, user, group, **_: given.append((path, user, group))
    )
    group = grp.getgrgid(os.getegid())
    taken = take(tmp_path / "run" / "control.sock", group.gr_name)
    assert given == [(taken.path.parent, -1, group.gr_gid), (taken.path, -1, group.gr_gid)]
    assert (mode(taken.path), mode(taken.path.parent)) == (0o660, 0o750)
    taken.give_up()


def test_a_directory_that_was_there_stays_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    take(tmp_path / "control.sock").give_up()
    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize(("bits", "fine"), [(0o777, False), (0o1777, True), (0o770, True)])
def test_it_does_not_lie_where_anybody_could_put_another(tmp_path, bits, fine):
    tmp_path.chmod(bits)
    if fine:
        take(tmp_path / "control.sock").give_up()
        return
    with pytest.raises(StartError, match=r"everybody may write in .*chmod o-w") as failure:
        take(tmp_path / "control.sock")
    assert "service.control_socket" in str(failure.value)
    assert list(tmp_path.iterdir()) == []


def test_a_group_that_cannot_be_given_is_told_and_only_the_owner_can_use_it(tmp_path, monkeypatch):
    def denied(path, user, group, **_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", denied)
    taken = take(tmp_path / "control.sock", grp.getgrgid(os.getegid()).gr_name)
    assert mode(taken.path) == 0o600
    assert "cannot be given to the group" in taken.trouble
    assert "a member of that group" in taken.trouble
    taken.give_up()


def test_a_socket_that_is_left_over_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    before = path.stat().st_ino
    taken = take(path)
    assert path.is_socket()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert peer_process(client).pid == os.getpid()
    assert before
    taken.give_up()


def test_a_socket_that_answers_is_left_alone(tmp_path):
    first = take(tmp_path / "control.sock")
    with pytest.raises(
        StartError, match=rf"process {os.getpid()} listens .*service.control_socket"
    ):
        take(first.path)
    assert first.path.is_socket()
    first.give_up()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="is there and is no socket; remove it"):
        take(path)
    assert path.read_text() == "precious"


def test_who_gives_up_takes_nothing_of_a_successor(tmp_path):
    first = take(tmp_path / "control.sock")
    first.path.rename(tmp_path / "elsewhere")
    second = take(tmp_path / "control.sock")
    first.give_up()
    assert second.path.is_socket()
    second.give_up()


def test_two_that_start_at_once_take_turns(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Busy):
            take(tmp_path / "control.sock")
    finally:
        os.close(handle)
    take(tmp_path / "control.sock").give_up()


def test_a_directory_that_cannot_be_made_is_told_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"cannot listen on .*Not a directory; set service\.contr"):
        take(tmp_path / "file" / "control.sock")
