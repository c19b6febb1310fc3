"""The table ``[stun]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from sipx import Config, Duration, listed


def _servers(value: object) -> tuple[object, ...]:
    return listed(value, f"{value!r} names no STUN servers", 'a list such as ["stun.example.net"]')


class StunConfig(Config):
    """The TOML table [stun]."""

    servers: Annotated[tuple[str, ...], BeforeValidator(_servers)] = ()
    """STUN servers, HOST or HOST:PORT; nothing is contacted until one is named."""

    detect_nat_type: bool = True
    """Find out which kind of NAT there is as well; the public address alone needs less."""

    interval: Annotated[Duration, Field(ge=60)] = 900.0
    """How often the public address is looked up again; at least 1m."""

    timeout: Annotated[Duration, Field(gt=0)] = 39.5
    """How long a server may be silent."""

    answer: bool = True
    """Answer STUN Binding requests on the UDP ports of interfaces (RFC 5626 §8)."""
