"""Where the control socket lies, and how it is taken: server and client agree by using this."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipx.errors import StartError
from sipx.state import state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "control.sock"
SYSTEM: Final = Path("/run/sipx") / NAME
LONGEST: Final = 107
"""Bytes of the longest path of a Unix socket: sun_path of unix(7) without its final NUL."""
VARIABLE: Final = "SIPX_SOCKET"
BACKLOG: Final = 64
_CREDENTIALS: Final = struct.Struct("3i")


def socket_path(configured: Path | None, state_dir: Path | None = None) -> Path:
    """Where a service listens: ``service.control_socket``, else what systemd gives
    (RuntimeDirectory=), else /run/sipx for root, else the user's runtime directory, else a
    directory below that of the state. $SIPX_SOCKET wins over all of them.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).absolute()
    if configured is not None:
        return configured
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if runtime:
        return Path(runtime) / NAME
    if os.geteuid() == 0:
        return SYSTEM
    user = os.environ.get("XDG_RUNTIME_DIR")
    if user:
        return Path(user) / "sipx" / NAME
    return state_directory(state_dir) / "run" / NAME


def client_path(configured: Path | None, state_dir: Path | None = None) -> Path:
    """Where a client asks: the same; where no such socket is there, that of the system's service
    if one runs.
    """
    own = socket_path(configured, state_dir)
    named = configured is not None or os.environ.get(VARIABLE)
    return SYSTEM if not named and not own.exists() and SYSTEM.exists() else own


@dataclass(frozen=True, slots=True)
class PeerProcess:
    """The process at the other end of a Unix socket, as the kernel of the machine knows it."""

    pid: int
    uid: int


def peer_process(connection: socket.socket) -> PeerProcess:
    """Who is at the other end (SO_PEERCRED). Raises OSError."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(data)
    return PeerProcess(pid, uid)


def user_name(uid: int) -> str:
    """The name of a user, "uid 1000" for one without. May ask the network."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def check_length(path: Path) -> None:
    """Raises StartError for a path that no Unix socket can have."""
    length = len(os.fsencode(path))
    if length > LONGEST:
        raise StartError(
            f"{path}: the path of a Unix socket has at most {LONGEST} bytes, this one {length}; "
            'set a shorter one: service.control_socket = "/run/sipx/control.sock"'
        )


class Busy(Exception):  # noqa: N818  # not an error yet: one waits and tries again
    """Another process is just taking a socket in this directory."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A socket that is listened on. ``trouble`` is what is to be told of its group, "" if nothing.
    ``file`` tells its file from one that another process put in its place.
    """

    socket: socket.socket
    path: Path
    file: tuple[int, int]
    trouble: str

    def give_up(self) -> None:
        """Close it, and take its file away."""
        self.socket.close()
        try:
            if _file(self.path) == self.file:
                self.path.unlink()
        except OSError:
            pass  # somebody took it away already


def _file(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return (found.st_dev, found.st_ino)


def take(path: Path, group: str = "") -> Taken:
    """Listen on ``path``. Its mode is 0660, and never anything wider; 0600 where the group cannot
    be given. A socket that is left over is replaced, one that answers is not.

    Raises StartError, and Busy.
    """
    check_length(path)
    try:
        number, trouble = group_number(group)
        if _make_directory(path.parent, open_to_group=bool(group) or os.geteuid() == 0):
            trouble = trouble or _owned(path.parent, number)
        _check_directory(path)
        with _locked(path.parent):
            _clear(path)
            return _listen(path, number, trouble)
    except OSError as error:
        why = error.strerror or str(error)
        raise StartError(
            f"cannot listen on the control socket {path}: {why}; "
            "set service.control_socket to a place where this account may write"
        ) from error


def _make_directory(directory: Path, *, open_to_group: bool) -> bool:
    if directory.is_dir():
        return False
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        return False
    if open_to_group:
        directory.chmod(0o750)
    return True


def _check_directory(path: Path) -> None:
    """Raises StartError for a directory in which anybody may put something else in our place."""
    mode = path.parent.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise StartError(
            f"everybody may write in {path.parent}, and so put another socket in the place of "
            f"{path.name}; take that right away (`chmod o-w {path.parent}`), or set "
            "service.control_socket"
        )


def group_number(name: str) -> tuple[int, str]:
    """The number of a group, and what is wrong with it. -1: that of the process."""
    if not name:
        return -1, ""
    try:
        return grp.getgrnam(name).gr_gid, ""
    except KeyError:
        return -1, (
            f"there is no group {name!r} on this machine, so only the owner of the control socket "
            f"can use it; make it with `groupadd {name}`, or set service.control_group"
        )


def _owned(path: Path, group: int) -> str:
    if group < 0:
        return ""
    try:
        os.chown(path, -1, group, follow_symlinks=False)
    except OSError as error:
        return (
            f"{path} cannot be given to the group {_group_name(group)} ({error.strerror}), so only "
            "its owner can use it; let the account of the service be a member of that group"
        )
    return ""


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two that start at the same time look and take one after the other."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield
    finally:
        os.close(handle)


def _clear(path: Path) -> None:
    """What is left over goes; what is in use, or is no socket, is an error."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(
            f"{path} is there and is no socket; remove it, or set service.control_socket"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EPERM):
                raise
            whom = "another process"
        else:
            whom = f"the process {peer_process(probe).pid}"
    raise StartError(
        f"{whom} listens on the control socket {path}; stop it, or give this service a socket of "
        "its own: service.control_socket"
    )


def _listen(path: Path, group: int, trouble: str) -> Taken:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # Linux makes the file with the mode of the socket, so nobody else can ever open it.
        os.fchmod(listening.fileno(), 0o600)
        listening.bind(str(path))
        path.chmod(0o600)
        trouble = trouble or _owned(path, group)
        if not trouble:
            path.chmod(0o660)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return Taken(listening, path, _file(path), trouble)
