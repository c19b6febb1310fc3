"""SIP over TCP (RFC 3261 §18): connections taken and made, reused both ways, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import Config, StreamTransport, Transport, hookimpl
from sipx import Proxy as ProxyHandle

if TYPE_CHECKING:
    from collections.abc import Iterable


class TcpConfig(Config):
    """The TOML table ``[tcp]``."""

    backlog: int = 1024
    """Connections that may wait to be accepted."""


class TcpTransport(StreamTransport):
    """The transport ``tcp``: messages as they are, over connections."""


class Tcp:
    """SIP over TCP."""

    Config = TcpConfig

    def __init__(self, config: TcpConfig, proxy: ProxyHandle) -> None:
        self._transport = TcpTransport(config.backlog)

    @hookimpl
    def transports(self) -> Iterable[Transport]:
        """``tcp``."""
        return [self._transport]
