"""The TOML table ``[stun]``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from sipx import Config, Duration, listed, refuse
from sipx_stun.client import Server, server_of

NAME: Final = "stun"
"""The name of the plugin, of its table, and of the area of its checks."""
LONGEST: Final = 39.5
"""Seconds after which RFC 8489 §6.2.1 gives a server up."""
MOST_SERVERS: Final = 8
_SPELLING: Final = '"NAME", "NAME:PORT", "192.0.2.1" or "[2001:db8::1]:3478"'


def _servers(value: object) -> tuple[object, ...]:
    return listed(value, f"{value!r} names no STUN servers", 'such as ["stun.example.net"]')


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    known: dict[Server, str] = {}
    for text in value:
        try:
            server = server_of(text)
        except ValueError as error:
            raise refuse(str(error), _SPELLING) from None
        if server in known:
            raise refuse(f"'{text}' is given twice", "each server once")
        known[server] = text
    if len(value) > MOST_SERVERS:
        raise refuse(f"{len(value)} servers are more than can be asked", f"{MOST_SERVERS} at most")
    return value


Servers = Annotated[tuple[str, ...], BeforeValidator(_servers), AfterValidator(_distinct)]


class StunConfig(Config):
    """The TOML table [stun]: the public address of this machine, and the kind of its NAT."""

    servers: Servers = ()
    """STUN servers, HOST or HOST:PORT; nothing is contacted until one is named."""

    detect_nat_type: bool = True
    """Find out which kind of NAT there is as well; the public address alone needs less."""

    interval: Annotated[Duration, Field(ge=60)] = 900.0
    """How often the public address is looked up again; at least 1m."""

    timeout: Annotated[Duration, Field(gt=0, le=LONGEST)] = LONGEST
    """How long a server may be silent."""

    answer: bool = True
    """Answer STUN Binding requests on the UDP ports of interfaces (RFC 5626 §8)."""

    @property
    def parsed(self) -> tuple[Server, ...]:
        """The servers as the client wants them."""
        return tuple(server_of(text) for text in self.servers)
