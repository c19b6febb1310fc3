"""TLS for testing user agents, by Python's own ssl module: independent of what the proxy uses."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import trio

from sipx.testing.carriers import Connections, Place, TcpCarrier

if TYPE_CHECKING:
    from pathlib import Path

    from trio.abc import Stream

HANDSHAKE: Final = 8.0
"""Seconds a handshake may take."""


class TlsCarrier(TcpCarrier):
    """Mutual TLS both ways: it shows ``cert_file`` and believes the authorities in ``ca``.

    As a server Python's ssl refuses certificates of clients that are for servers only; what it
    refused stands in ``refused``. Names are not checked: that is what the proxy is tested for.
    """

    via = b"TLS"

    def __init__(self, bind: str, port: int, *, cert_file: Path, key_file: Path, ca: Path) -> None:
        super().__init__(bind, port)
        self.refused: list[tuple[Place, str]] = []
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.check_hostname = False
        for context in (self._server, self._client):
            context.load_cert_chain(cert_file, key_file)
            context.load_verify_locations(ca)
            context.verify_mode = ssl.CERT_REQUIRED

    async def welcome(self, connections: Connections, stream: Stream, peer: Place) -> None:
        """A handshake in a task of its own, so that one that stalls delays nobody."""
        connections.nursery.start_soon(self._accept, connections, stream, peer)

    async def _accept(self, connections: Connections, stream: Stream, peer: Place) -> None:
        secured = trio.SSLStream(stream, self._server, server_side=True, https_compatible=True)
        try:
            with trio.fail_after(HANDSHAKE):
                await secured.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            self.refused.append((peer, str(error.__cause__ or error)))
            await trio.aclose_forcefully(stream)
            return
        connections.begin(secured, peer)

    async def secured(self, stream: Stream, place: Place) -> Stream:
        """Raises OSError when the handshake fails."""
        secured = trio.SSLStream(stream, self._client, https_compatible=True)
        try:
            with trio.fail_after(HANDSHAKE):
                await secured.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            await trio.aclose_forcefully(stream)
            raise OSError(f"TLS failed: {error.__cause__ or error}") from error
        return secured
