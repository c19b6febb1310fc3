"""baresip as the telephone of one user that logs on alone; driven by its control socket."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

from .programs import Process, free_port, program, wait_bound, wait_until
from .site import DOMAIN

_MODULES = (
    "/usr/lib/baresip/modules",
    "/usr/lib64/baresip/modules",
    "/usr/local/lib/baresip/modules",
)
_CONFIG = """\
poll_method epoll
sip_listen {address}:{port}
module_path {modules}
module account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{control}
"""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SECONDS = 15.0


class Baresip:
    """One baresip on an address of its own, registered over TCP. ``buddy`` is whom it knows.

    Its presence begins with ``watch``: then it subscribes to its buddy, and may be subscribed to.
    """

    def __init__(
        self,
        folder: Path,
        user: str,
        *,
        address: str,
        password: str,
        buddy: str,
        sipx: tuple[str, int],
    ) -> None:
        self.user = user
        self.buddy = f"sip:{buddy}@{DOMAIN}"
        self.folder = folder / user
        self.folder.mkdir(parents=True)
        self.address = address
        self.control = free_port(address)
        argv = [program("baresip"), "-f", str(self.folder), "-s"]
        modules = next((path for path in _MODULES if Path(path).is_dir()), _MODULES[0])
        (self.folder / "config").write_text(
            _CONFIG.format(
                address=address, port=free_port(address), control=self.control, modules=modules
            )
        )
        (self.folder / "accounts").write_text(
            f"<sip:{user}@{DOMAIN};transport=tcp>;auth_user={user};auth_pass={password};"
            f'outbound="sip:{sipx[0]}:{sipx[1]};transport=tcp";regint=600\n'
        )
        (self.folder / "contacts").write_text(f'"{buddy}" <{self.buddy}>;presence=p2p\n')
        self.process = Process(f"baresip-{user}", argv, self.folder)
        wait_bound(address, self.control, "tcp", self.process)
        self._control = socket.create_connection((address, self.control), SECONDS)
        self._waiting = b""

    def command(self, name: str, parameters: str = "") -> str:
        """What baresip answers to a command, without its colours."""
        text = json.dumps({"command": name, "params": parameters}).encode()
        self._control.sendall(b"%d:%b," % (len(text), text))
        while not (answers := [one for one in self._take() if one.get("response")]):
            pass
        return _COLOUR.sub("", str(answers[0]["data"]))

    def _take(self) -> list[dict[str, Any]]:
        """Wait for the next documents (netstrings) on the control socket."""
        data = self._control.recv(65535)
        assert data, "baresip closed its control connection"
        self._waiting += data
        found = []
        while True:
            size, colon, rest = self._waiting.partition(b":")
            if not colon or len(rest) <= int(size):
                break
            text, self._waiting = rest[: int(size)], rest[int(size) + 1 :]
            found.append(json.loads(text.decode(errors="replace"), strict=False))
        return found

    def wait_registered(self) -> None:
        """Until its registrar has answered 200."""
        wait_until(lambda: "OK" in self.command("reginfo"), f"the logon of {self.user}", 30)

    def watch(self) -> None:
        """Load the module that has to do with presence, and be online."""
        self.command("insmod", "presence.so")
        self.command("presence_online")

    def presence_of_buddy(self) -> str:
        """What it knows of its buddy: Unknown, Online, Offline ..."""
        line = next(ln for ln in self.command("contacts").splitlines() if self.buddy in ln)
        return line.replace(">", " ").split()[0]

    def say(self, text: str) -> None:
        """Send a message to the buddy."""
        self.command("message", text)

    def wait_heard(self, text: str) -> None:
        """Until a message with this text has come: the trace of its SIP is in its log."""
        wait_until(
            lambda: text in self.process.log.read_text(errors="replace"),
            f"the message for {self.user}: {text}",
        )

    def end(self) -> None:
        """End it."""
        self._control.close()
        self.process.end()
