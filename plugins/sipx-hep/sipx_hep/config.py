"""The TOML table ``[hep]``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, Field

from sipx import Config, FilePath, Secret, Size, parse_address, refuse

NAME: Final = "hep"
"""The name of the plugin, of its table, and of the area of its checks."""
PORT: Final = 9060
"""Where Homer and ``sngrep -L`` listen if nothing else is said."""
_SPELLING: Final = '"NAME", "NAME:PORT", "192.0.2.1:9060" or "[2001:db8::1]:9060"'
_SERVER: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+))(?::(\d{1,5}))?\Z")

Bodies = Literal["none", "sdp", "all"]


class Server(NamedTuple):
    """Where the collector is."""

    host: str
    port: int


def server_of(text: str) -> Server:
    """The parts of HOST:PORT. Raises ValueError."""
    if (address := parse_address(text)) is not None:
        return Server(str(address), PORT)
    found = _SERVER.match(text)
    if found is None or not 1 <= int(found[3] or PORT) <= 65535:
        raise ValueError(f"'{text}' does not name a collector")
    return Server(found[1] or found[2], int(found[3] or PORT))


def _server(text: str) -> str:
    try:
        if text:
            server_of(text)
    except ValueError as error:
        raise refuse(str(error), _SPELLING) from None
    return text


class HepConfig(Config):
    """The TOML table [hep]: every message goes to Homer or sngrep as it passes."""

    server: Annotated[str, AfterValidator(_server)] = ""
    """The collector, HOST or HOST:PORT; nothing is sent until one is named."""

    protocol: Literal["udp", "tcp", "tls"] = "udp"
    """How packets go there: udp, tcp or tls."""

    ca: Literal["system"] | FilePath = "system"
    """With "tls": who may have signed the certificate of the collector; a PEM file, or "system"."""

    capture_id: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] = 2001
    """The number of this sipx for the collector."""

    node_name: Annotated[str, Field(max_length=64)] = ""
    """A name beside the number; empty: none."""

    password: Secret | None = None
    """The key that the collector asks for."""

    bodies: Bodies = "sdp"
    """Which bodies go with the messages: none, those of calls (SDP), or all with the text of
    chats."""

    mask: bool = True
    """Hide credentials: Authorization headers, digest responses, passwords in URIs, media keys."""

    queue: Annotated[Size, Field(ge=65_536)] = 8_000_000
    """Memory for messages that wait while the collector is slow or away; then the oldest are
    lost."""

    @property
    def address(self) -> Server:
        """The collector, where one is named."""
        return server_of(self.server)

    @property
    def ca_file(self) -> Path | None:
        """The file of authorities; None: those of the system."""
        return self.ca if isinstance(self.ca, Path) else None
