"""STUN servers: how they are written, and where they are (RFC 8489 §8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx import ResolveError, parse_address

if TYPE_CHECKING:
    from sipx import Resolver
    from sipx_stun.codec import Address

PORT: Final = 3478
"""Where a server is that neither an SRV record nor anybody names a port of."""
MOST_ADDRESSES: Final = 4
"""Names, and addresses, of one server that are tried."""
_NO_NAME: Final = re.compile(r"[^\w.-]")
"""What stands in no host name, in whatever script; the rest is for the resolver to judge."""


@dataclass(frozen=True, slots=True)
class Server:
    """A STUN server by name or address. Without a port: by SRV ``_stun._udp``, else 3478."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def server_of(text: str) -> Server:
    """From "stun.example.net", "HOST:3478", "2001:db8::1" or "[2001:db8::1]:3478".

    Raises ValueError. A ``stun:`` in front (RFC 7064) may be there.
    """
    given = text.removeprefix("stun:")
    if (whole := parse_address(given)) is not None:
        return Server(str(whole))
    host, colon, digits = given.rpartition(":")
    if not colon:
        host, digits = given, ""
    elif not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 65536):
        raise ValueError(f"{text!r} has no port from 1 to 65535 behind its last colon")
    address = parse_address(host)
    if address is None and (not host or _NO_NAME.search(host)):
        raise ValueError(f"{text!r} is neither HOST nor HOST:PORT")
    return Server(host if address is None else str(address), int(digits) if digits else None)


class ServerError(Exception):
    """A server has no address to be asked at; ``temporary`` where later may be better."""

    def __init__(self, text: str, *, temporary: bool) -> None:
        super().__init__(text)
        self.temporary = temporary


async def addresses_of(server: Server, family: int, resolver: Resolver) -> list[Address]:
    """Where a server is, at least one place, in the order to be tried. Raises ServerError.

    RFC 8489 §8: by SRV records; without any by the name itself, at the default port.
    """
    found: list[Address] = []
    failure: ResolveError | None = None
    try:
        targets = await _targets(server, resolver)
    except ResolveError as error:
        targets, failure = [], error
    for host, port in targets[:MOST_ADDRESSES]:
        try:
            addresses = await resolver.addresses(host)
        except ResolveError as error:
            failure = error
        else:
            found += [(each, port) for each in addresses if (":" in each) == (family == 6)]
    if found:
        return list(dict.fromkeys(found))[:MOST_ADDRESSES]
    if failure is None:
        raise ServerError(f"it has no IPv{family} address", temporary=False)
    # Who asked says the name already.
    text = re.sub(rf"^(A|AAAA) {re.escape(server.host)}: ", "", failure.text)
    raise ServerError(text, temporary=failure.kind in {"servfail", "timeout"})


async def _targets(server: Server, resolver: Resolver) -> list[tuple[str, int]]:
    """Names and ports, in the order to be tried. Raises ResolveError."""
    itself = [(server.host, server.port or PORT)]
    if server.port is not None or parse_address(server.host) is not None:
        return itself
    try:
        records = await resolver.srv(f"_stun._udp.{server.host}")
    except ResolveError as error:
        # A target of "." says that there is no such service (RFC 2782); anything else that there
        # is no such record, or that none is to be had.
        if error.kind == "refused":
            raise
        return itself
    return [(record.target, record.port) for record in records]
