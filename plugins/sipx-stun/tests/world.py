"""A network without sockets: STUN servers on the internet, and a NAT of any kind before us.

The NAT does what RFC 4787 calls its mapping and its filtering, and nothing else. All happens at
once; time passes only for those who wait.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio
from sipx_stun.behaviour import Filtering, Mapping
from sipx_stun.sockets import IcmpError
from sipx_stun.testing import StunServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx_stun.codec import Address

INSIDE = "10.99.1.2"
PUBLIC = "203.0.113.1"
SERVER, OTHER = "203.0.113.10", "203.0.113.11"


class Nat:
    """Between us and the internet. With `Mapping.NO_NAT` it is a firewall only."""

    def __init__(self, mapping: Mapping, filtering: Filtering, public: str = PUBLIC) -> None:
        self.mapping = mapping
        self.filtering = filtering
        self.public = public
        self._ports: dict[object, Address] = {}
        self._owners: dict[Address, Address] = {}
        self._opened: set[object] = set()

    def outwards(self, local: Address, to: Address) -> Address:
        """The source that ``to`` sees."""
        key = {
            Mapping.NO_NAT: (),
            Mapping.ENDPOINT_INDEPENDENT: (local,),
            Mapping.ADDRESS_DEPENDENT: (local, to[0]),
            Mapping.ADDRESS_AND_PORT_DEPENDENT: (local, to),
        }[self.mapping]
        seen = local if not key else self._ports.setdefault(key, self._free())
        self._owners[seen] = local
        self._opened |= {seen, (seen, to[0]), (seen, to)}
        return seen

    def inwards(self, source: Address, to: Address) -> Address | None:
        """Who gets what comes from ``source``; None: it is dropped."""
        wanted = {
            Filtering.ENDPOINT_INDEPENDENT: to,
            Filtering.ADDRESS_DEPENDENT: (to, source[0]),
            Filtering.ADDRESS_AND_PORT_DEPENDENT: (to, source),
        }[self.filtering]
        return self._owners.get(to) if wanted in self._opened else None

    def _free(self) -> Address:
        return self.public, 20000 + len(self._ports)


@dataclass
class World:
    """Servers by their address, what is before us, and faults: ``lost`` and ``refused``."""

    nat: Nat
    servers: list[StunServer] = field(default_factory=list)
    lost: Callable[[Address, Address], bool] = lambda source, to: False
    """Whether a datagram from one to the other is lost; seen from outside the NAT."""
    refused: dict[str, str] = field(default_factory=dict)
    """Addresses for which ICMP says that nothing arrives, and from whom."""
    broken: dict[str, OSError] = field(default_factory=dict)
    """Addresses that this machine cannot send to."""
    sockets: list[WorldSocket] = field(default_factory=list)

    def open(self, bind: str, towards: Address) -> WorldSocket:
        """What `sipx_stun.sockets.UdpSocket` is on a real network."""
        if bind in self.broken:
            raise self.broken[bind]
        local = (INSIDE if bind in {"", "*"} else bind, 40000 + len(self.sockets))
        sock = WorldSocket(self, local)
        self.sockets.append(sock)
        return sock

    def outwards(self, sock: WorldSocket, data: bytes, to: Address) -> None:
        if to[0] in self.broken:
            raise self.broken[to[0]]
        if to[0] in self.refused:
            sock.put(IcmpError("Connection refused", self.refused[to[0]]))
            return
        source = self.nat.outwards(sock.local, to)
        for server in self.servers:
            if to in server.places and not self.lost(source, to):
                for reply in server.replies(data, source, to):
                    self._inwards(reply.data, reply.via, reply.to)

    def _inwards(self, data: bytes, source: Address, to: Address) -> None:
        local = None if self.lost(source, to) else self.nat.inwards(source, to)
        for sock in self.sockets:
            if sock.local == local and not sock.closed:
                sock.put((data, source))

    def spoken_to(self, sock: WorldSocket) -> set[Address]:
        """Whom a socket has sent anything to."""
        return {to for _, to in sock.sent}


class WorldSocket:
    """One socket of that network."""

    def __init__(self, world: World, local: Address) -> None:
        self.local = local
        self.closed = False
        self.sent: list[tuple[float, Address]] = []
        self._world = world
        self._in, self._out = trio.open_memory_channel[tuple[bytes, "Address"] | IcmpError](
            math.inf
        )

    def send(self, data: bytes, to: Address) -> None:
        assert not self.closed
        self.sent.append((trio.current_time(), to))
        self._world.outwards(self, data, to)

    async def receive(self) -> tuple[bytes, Address]:
        found = await self._out.receive()
        if isinstance(found, IcmpError):
            raise found
        return found

    def put(self, what: tuple[bytes, Address] | IcmpError) -> None:
        self._in.send_nowait(what)

    def close(self) -> None:
        self.closed = True


def server_at(first: str = SERVER, second: str | None = OTHER) -> StunServer:
    """A server with ports 3478 and 3479; without ``second`` it has nothing else to offer."""
    if second is None:
        return StunServer(((first, 3478),))
    return StunServer(tuple((host, port) for host in (first, second) for port in (3478, 3479)))


def certain() -> random.Random:
    """Random numbers that are the same each time."""
    return random.Random(7)
