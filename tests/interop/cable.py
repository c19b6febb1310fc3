"""A TCP connection that can be cut: what a firewall does that forgets it."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Final

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""


class Cable:
    """Takes connections at ``place`` and leads them to ``to``, from the address ``source``."""

    def __init__(self, address: str, to: tuple[str, int], source: str) -> None:
        self._listener = socket.create_server((address, 0))
        self.place: tuple[str, int] = self._listener.getsockname()[:2]
        self._to = to
        self._source = source
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._to, source_address=(self._source, 0))
            self._sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    @staticmethod
    def _copy(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            return

    def cut(self) -> int:
        """Reset all connections, and take no new ones; how many there were."""
        self._listener.close()
        found, self._sockets = self._sockets, []
        for one in found:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            one.shutdown(socket.SHUT_RDWR)
            one.close()
        return len(found) // 2
