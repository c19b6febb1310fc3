"""Collectors on free ports, and a decoder of HEP3 that shares no line with the encoder."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
import trio

HERE = "127.0.0.1"


def decoded(packet):
    """The chunks of one packet, by what they say."""
    assert packet[:4] == b"HEP3"
    (length,) = struct.unpack_from("!H", packet, 4)
    assert length == len(packet)
    chunks, at = {}, 6
    while at < length:
        vendor, number, size = struct.unpack_from("!HHH", packet, at)
        assert (vendor, size >= 6) == (0, True)
        assert number not in chunks
        chunks[number] = packet[at + 6 : at + size]
        at += size
    assert at == length

    def number_of(chunk):
        return int.from_bytes(chunks[chunk], "big")

    source, destination = (3, 4) if number_of(1) == 2 else (5, 6)
    return SimpleNamespace(
        family=number_of(1),
        protocol=number_of(2),
        source=(str(ip_address(chunks[source])), number_of(7)),
        destination=(str(ip_address(chunks[destination])), number_of(8)),
        time=number_of(9) + number_of(10) / 1_000_000,
        kind=number_of(11),
        capture_id=number_of(12),
        key=chunks.get(14),
        payload=chunks[15],
        correlation=chunks[17],
        node=chunks.get(19),
    )


class Heard:
    """What a collector has got."""

    def __init__(self):
        self.packets = []
        self.raw = []
        self._more = trio.Event()

    def add(self, packet):
        """One more."""
        self.packets.append(decoded(packet))
        self.raw.append(packet)
        self._more.set()

    async def of(self, count):
        """The first so many; the deadline is far."""
        with trio.fail_after(20):
            while len(self.packets) < count:
                self._more = trio.Event()
                await self._more.wait()
        return self.packets


@pytest.fixture
async def datagrams(nursery):
    """A collector over UDP: its address, and what it has heard."""
    heard = Heard()
    sock = trio.socket.socket(type=trio.socket.SOCK_DGRAM)
    await sock.bind((HERE, 0))

    async def serve():
        while True:
            heard.add(await sock.recv(65536))

    nursery.start_soon(serve)
    with sock:
        yield SimpleNamespace(server=f"{HERE}:{sock.getsockname()[1]}", heard=heard, socket=sock)


async def packets_of(stream, heard):
    """Read a connection packet by packet."""
    data = b""
    async with stream:
        while more := await stream.receive_some(65536):
            data += more
            while len(data) >= 6 and len(data) >= (size := struct.unpack_from("!H", data, 4)[0]):
                heard.add(data[:size])
                data = data[size:]


@pytest.fixture
def eventually():
    """Wait for something to become true; the deadline is far."""

    async def wait(condition):
        with trio.fail_after(20):
            while not condition():
                await trio.sleep(0.01)

    return wait
