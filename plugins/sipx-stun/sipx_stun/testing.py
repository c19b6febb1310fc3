"""A STUN server for tests: two addresses and two ports each, RFC 5780 and RFC 3489.

In a test, on addresses of this machine and free ports:

    async with stun_server("127.0.0.1", "127.0.0.2") as server:
        server_of(server.name)

As a program, where a laboratory needs one; with one address it has no second one to offer:

    python -m sipx_stun.testing 203.0.113.10 203.0.113.11 3478 3479

It is for tests alone: it answers everybody, and sends an answer from wherever it is asked to.
"""

from __future__ import annotations

import argparse
import errno
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from sipx_stun.codec import (
    BINDING,
    CHANGE_IP,
    CHANGE_PORT,
    Address,
    Attr,
    Kind,
    StunError,
    StunMessage,
    address_value,
    decode,
    encode,
    mapped_address,
    unknown_attributes,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

_PORT_TRIES: Final = 10
_CANNOT: Final = (Attr.RESPONSE_ADDRESS, Attr.PADDING, Attr.RESPONSE_PORT)


class Reply(NamedTuple):
    """One datagram of a server: what, from which of its places, and to whom."""

    data: bytes
    via: Address
    to: Address


def reply_to(
    data: bytes, source: Address, at: Address, other: Address | None = None
) -> Reply | None:
    """The answer to what arrived from ``source`` at ``at``; None: no answer.

    ``other`` is the other address with the other port: "Ca" and "Cp" of RFC 5780 §6.1.
    """
    try:
        request = decode(data)
    except StunError:
        return None
    if request.kind is not Kind.REQUEST or request.method != BINDING:
        return None
    refused = [*request.unknown, *(kind for kind in _CANNOT if kind in request.attributes)]
    # "If the Request contains the CHANGE-REQUEST attribute and the server does not have an
    # alternate address and port as described above, the server MUST generate an error response of
    # type 420." Clients of RFC 3489 send one that asks for nothing, and are answered.
    if request.change and other is None:
        refused.append(Attr.CHANGE_REQUEST)
    if refused:
        return Reply(unknown_attributes(request, refused), at, source)
    via = at
    if other is not None:
        via = (
            other[0] if request.change & CHANGE_IP else at[0],
            other[1] if request.change & CHANGE_PORT else at[1],
        )
    answer = encode(
        Kind.SUCCESS,
        request.transaction,
        _attributes(request, source, via, other),
        fingerprint=request.fingerprint,
    )
    return Reply(answer, via, source)


def _attributes(
    request: StunMessage, source: Address, via: Address, other: Address | None
) -> Iterable[tuple[int, bytes]]:
    # "The server MUST include both MAPPED-ADDRESS and XOR-MAPPED-ADDRESS in its Response."
    yield Attr.MAPPED_ADDRESS, address_value(source)
    if request.classic:
        yield Attr.SOURCE_ADDRESS, address_value(via)
        # RFC 3489 §11.2 wants CHANGED-ADDRESS of every server.
        yield Attr.CHANGED_ADDRESS, address_value(other or via)
        return
    yield mapped_address(request.transaction, source)
    yield Attr.RESPONSE_ORIGIN, address_value(via)
    if other is not None:
        yield Attr.OTHER_ADDRESS, address_value(other)


def honest(reply: Reply) -> Iterable[Reply]:
    """Send what is right."""
    return (reply,)


class StunServer:
    """The running server; made by `stun_server`.

    ``twist`` makes of each right reply what is sent: nothing, something else, several. All may be
    changed at any time. ``requests`` are the datagrams that came: what, from whom, to which place.
    """

    def __init__(self, places: tuple[Address, ...]) -> None:
        self.places = places
        """The first address with both ports, then the second, if there is one, with both."""
        self.twist: Callable[[Reply], Iterable[Reply]] = honest
        self.requests: list[tuple[bytes, Address, Address]] = []
        self._sockets: dict[Address, trio.socket.SocketType] = {}

    @property
    def address(self) -> Address:
        """Where it is asked first."""
        return self.places[0]

    @property
    def name(self) -> str:
        """The same, as it stands in a configuration."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def other_of(self, at: Address) -> Address | None:
        """The other address with the other port, seen from one of its places."""
        found = [p for p in self.places if p[0] != at[0] and p[1] != at[1]]
        return found[0] if found else None

    def replies(self, data: bytes, source: Address, at: Address) -> Iterable[Reply]:
        """What is sent because of a datagram."""
        self.requests.append((data, source, at))
        reply = reply_to(data, source, at, self.other_of(at))
        return () if reply is None else self.twist(reply)

    async def _serve(self, at: Address) -> None:
        sock = self._sockets[at]
        while True:
            data, source = await sock.recvfrom(2048)
            for reply in self.replies(data, (source[0], source[1]), at):
                await self._sockets[reply.via].sendto(reply.data, reply.to)


@asynccontextmanager
async def stun_server(
    first: str = "127.0.0.1",
    second: str | None = "127.0.0.2",
    port: int = 0,
    other_port: int = 0,
) -> AsyncIterator[StunServer]:
    """A server on addresses of this machine; port 0 takes a free one. Raises OSError.

    Without ``second`` it has one address and one port, and nothing else to offer.
    """
    async with AsyncExitStack() as stack:
        addresses = (first,) if second is None else (first, second)
        sockets: dict[Address, trio.socket.SocketType] = {}
        for wanted in (port,) if second is None else (port, other_port):
            sockets |= await _bound(stack, addresses, wanted)
        places = sorted(sockets, key=lambda place: addresses.index(place[0]))
        server = StunServer(tuple(places))
        server._sockets = sockets  # noqa: SLF001 - this makes it
        nursery = await stack.enter_async_context(trio.open_nursery())
        for place in places:
            nursery.start_soon(server._serve, place)  # noqa: SLF001
        yield server
        nursery.cancel_scope.cancel()


async def _bound(
    stack: AsyncExitStack, addresses: Iterable[str], port: int
) -> dict[Address, trio.socket.SocketType]:
    """A socket on one port of each address. A free one of the first may not be one of the next."""
    for tried in range(1, _PORT_TRIES + 1):
        found: dict[Address, trio.socket.SocketType] = {}
        number = port
        try:
            for address in addresses:
                family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
                sock = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
                stack.callback(sock.close)
                await sock.bind((address, number))
                number = sock.getsockname()[1]
                found[address, number] = sock
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or tried == _PORT_TRIES:
                raise
        else:
            return found
    raise AssertionError("the last try returns or raises")


def _address(text: str) -> str:
    return str(ip_address(text))


async def _main(first: str, second: str | None, port: int, other_port: int) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with stun_server(first, second, port, other_port) as server:
            for address, number in server.places:
                sys.stdout.write(f"listening on {address} port {number}\n")
            sys.stdout.flush()
            async for _ in signals:
                return


def main() -> None:
    """``python -m sipx_stun.testing``: serves until it is stopped."""
    parser = argparse.ArgumentParser(description="A STUN server for tests.")
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS", help="one or two, then ports")
    words = parser.parse_args().addresses
    addresses = [_address(word) for word in words if not word.isdigit()]
    ports = [int(word) for word in words if word.isdigit()]
    if not 1 <= len(addresses) <= 2 or len(ports) > 2:
        parser.error("one or two addresses, and one port for each, are expected")
    port, other_port = [*ports, 3478, 3479][:2] if len(ports) != 1 else (ports[0], ports[0] + 1)
    second = addresses[1] if len(addresses) == 2 else None
    trio.run(_main, addresses[0], second, port, other_port)


if __name__ == "__main__":
    main()
