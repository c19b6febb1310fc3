"""The client of the control socket, for the command line: synchronous, with deadlines."""

from __future__ import annotations

import contextlib
import errno
import grp
import itertools
import json
import os
import pwd
import socket
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from sipx.control.api import PROTOCOL, VersionResult
from sipx.control.errors import ControlError, ErrorObject
from sipx.control.place import check_length, peer_process
from sipx.errors import SipxError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

M = TypeVar("M", bound=BaseModel)

CONNECT_TIMEOUT: Final = 5.0
CALL_TIMEOUT: Final = 30.0
"""Seconds that an answer may take unless the caller says otherwise."""
LONGEST_ANSWER: Final = 64 << 20
_READ_SIZE: Final = 65536


class Unreachable(SipxError):  # noqa: N818  # what is so, in words
    """No running service answers."""


class Forbidden(SipxError):  # noqa: N818  # what is so, in words
    """A service runs, and this account may not talk to it."""


class Client:
    """One connection to a running service. Raises Unreachable, Forbidden, and for what is answered
    instead of a result ControlError.
    """

    def __init__(self, path: Path, *, timeout: float = CALL_TIMEOUT) -> None:
        self.path = path
        self.timeout = timeout
        self._ids = itertools.count(1)
        self._waiting = bytearray()
        self._socket = self._connected()
        try:
            self._check_version()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; a thread that waits for an answer is woken up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @property
    def pid(self) -> int:
        """The process that answers."""
        return peer_process(self._socket).pid

    # ------------------------------------------------------------ calls

    def call(
        self,
        name: str,
        params: BaseModel | None,
        result: type[M],
        *,
        timeout: float | None = None,
    ) -> M:
        """Call a method; its result."""
        return self._parsed(result, self.call_json(name, _plain(params), timeout=timeout))

    def call_json(self, name: str, params: object = None, *, timeout: float | None = None) -> Any:
        """The same with plain values, for methods whose models are not known here."""
        until = time.monotonic() + (self.timeout if timeout is None else timeout)
        number = self._send(name, params)
        while True:
            answer = self._line(until)
            if answer.get("id") == number:
                return self._result(answer)

    def stream(self, name: str, params: BaseModel | None, event: type[M]) -> Iterator[M]:
        """The events of a stream, for as long as the service sends them."""
        for shown in self.stream_json(name, _plain(params)):
            yield self._parsed(event, shown)

    def stream_json(self, name: str, params: object = None) -> Iterator[Any]:
        """The same with plain values. What was dropped meanwhile is not told here."""
        number = self._send(name, params)
        subscription: int | None = None
        while True:
            line = self._line(None if subscription else time.monotonic() + self.timeout)
            if line.get("id") == number:
                subscription = self._result(line).get("subscription")
                continue
            told = line.get("params", {})
            if subscription is None or told.get("subscription") != subscription:
                continue
            if "end" in told:
                error = told["end"].get("error")
                if error:
                    raise _error(error)
                return
            yield told.get("event")

    def wait_for_end(self, timeout: float) -> bool:
        """Whether the service ends the connection, which it does when it ends itself."""
        until = time.monotonic() + timeout
        try:
            while True:
                self._line(until)
        except ControlError:
            return False
        except Unreachable:
            return time.monotonic() < until

    # ------------------------------------------------------------ below

    def _connected(self) -> socket.socket:
        path = self.path
        check_length(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(CONNECT_TIMEOUT)
        try:
            made.connect(str(path))
        except OSError as error:
            made.close()
            raise _not_connected(path, error) from error
        return made

    def _check_version(self) -> None:
        try:
            answer = self.call("control.version", None, VersionResult)
        except ControlError as error:
            raise Unreachable(
                f"what listens on {self.path} does not speak the control protocol of this sipx: "
                f"{error.text}"
            ) from error
        if answer.protocol != PROTOCOL:
            raise Unreachable(
                f"the service on {self.path} is sipx {answer.sipx} and speaks version "
                f"{answer.protocol} of the control protocol, this command version {PROTOCOL}; "
                "use the same version of sipx for both, and restart the service"
            )

    def _send(self, name: str, params: object) -> int:
        number = next(self._ids)
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": name}
        if params is not None:
            request["params"] = params
        self._socket.settimeout(self.timeout)
        # Why it has gone may stand in what it has sent: that is read next.
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        return number

    def _line(self, until: float | None) -> dict[str, Any]:
        searched = 0
        while True:
            end = self._waiting.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._waiting[:end])
                del self._waiting[: end + 1]
                return self._read(line)
            searched = len(self._waiting)
            if searched > LONGEST_ANSWER:
                raise Unreachable(f"the service on {self.path} sends a line without an end")
            self._waiting += self._some(until)

    def _some(self, until: float | None) -> bytes:
        try:
            left = None if until is None else max(0.001, until - time.monotonic())
            self._socket.settimeout(left)
            data = self._socket.recv(_READ_SIZE)
        except TimeoutError:
            raise Unreachable(
                f"the service on {self.path} does not answer in time; it may be busy, or hang"
            ) from None
        except OSError as error:
            raise Unreachable(
                f"the service on {self.path} ended the connection: {error.strerror or error}"
            ) from error
        if not data:
            raise Unreachable(f"the service on {self.path} ended the connection")
        return data

    def _read(self, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
            raise Unreachable(f"what listens on {self.path} is not a sipx service")
        if found.get("id") is None and "error" in found:
            raise _error(found["error"])  # not about one request: the service sends us away
        return found

    def _result(self, answer: dict[str, Any]) -> Any:
        if "error" in answer:
            raise _error(answer["error"])
        return answer.get("result")

    def _parsed(self, model: type[M], value: object) -> M:
        try:
            return model.model_validate_json(json.dumps(value))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise Unreachable(
                f"the service on {self.path} answers in another form than this sipx expects "
                f"({where}); it runs another version: restart it"
            ) from error


def _plain(params: BaseModel | None) -> object:
    return None if params is None else params.model_dump(mode="json", exclude_unset=True)


def _error(value: object) -> ControlError:
    try:
        found = ErrorObject.model_validate(value)
    except ValidationError:
        return ControlError("internal", f"the service answered with an error: {value!r}")
    if found.data is None:
        return ControlError("failed", found.message)
    return ControlError(found.data.kind, found.data.text, found.data.problems)


def _not_connected(path: Path, error: OSError) -> SipxError:
    if isinstance(error, FileNotFoundError):
        return Unreachable(
            f"no running service: there is no control socket {path}; start one with `sipx run` or "
            "`sipx service start`, or name its socket with --socket or $SIPX_SOCKET"
        )
    if isinstance(error, (ConnectionRefusedError, NotADirectoryError)):
        return Unreachable(
            f"no running service: nobody listens on the control socket {path}; start one with "
            "`sipx run` or `sipx service start`"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Forbidden(f"this account may not use the control socket {path}: {_whose(path)}")
    said = error.strerror or str(error)
    return Unreachable(f"the control socket {path} cannot be reached: {said}")


def _whose(path: Path) -> str:
    try:
        found = path.stat()
        user, group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return "its directory is closed to it; use the account of the service, or root"
    if found.st_mode & 0o020 and found.st_gid not in (0, *os.getgroups()):
        return f"it belongs to {user}; become a member of the group {group}, or use root"
    return f"it belongs to {user} alone; use that account, or set service.control_group"
