"""Real sockets on loopback: the client with the server for tests, and what ICMP says.

Where time has to pass it is virtual; what is sent on loopback has arrived before it does.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import socket
import subprocess
import sys

import pytest
import trio
from sipx_stun.behaviour import Filtering, Mapping, NatType
from sipx_stun.client import detect, server_of
from sipx_stun.codec import COOKIE, binding_answer, binding_request, decode
from sipx_stun.sockets import IcmpError, UdpSocket
from sipx_stun.testing import stun_server

from .test_client import Names

TRANSACTION = COOKIE + bytes(12)


async def found_at(*servers, **more):
    named = [server_of(each) for each in servers]
    return await detect(named, rng=random.SystemRandom(), resolver=Names(), **more)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux gives all of 127.0.0.0/8, and tells of ICMP"
)


def closed_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# ---------------------------------------------------------------- the server for tests


@needs_linux
@pytest.mark.parametrize("bind", ["", "*", "0.0.0.0", "127.0.0.1", "127.0.0.9"])
async def test_two_addresses_and_two_ports_tell_everything(bind):
    async with stun_server("127.0.0.1", "127.0.0.2") as server:
        found = await found_at(server.name, bind=bind)
    assert found.nat is NatType.OPEN_INTERNET, found.error
    assert (found.mapping, found.filtering) == (Mapping.NO_NAT, Filtering.ENDPOINT_INDEPENDENT)
    assert found.local == found.public
    assert found.local[0] == (bind if bind == "127.0.0.9" else "127.0.0.1")
    assert found.server_address == server.address


@needs_linux
async def test_one_address_tells_ours_and_not_the_kind():
    async with stun_server("127.0.0.1", None) as server:
        found = await found_at(server.name)
    assert (found.public, found.mapping) == (found.local, Mapping.NO_NAT)
    assert found.nat is NatType.UNKNOWN
    assert "no second address" in found.error


@needs_ipv6
async def test_it_works_over_ipv6():
    async with stun_server("::1", None) as server:
        found = await found_at(server.name, family=6)
    assert found.public == found.local
    assert found.public[0] == "::1"
    assert found.server == f"[::1]:{server.address[1]}"


@needs_linux
async def test_the_server_answers_from_where_it_is_asked_to():
    async with stun_server("127.0.0.1", "127.0.0.2") as server:
        places = {(host, port) for host, port in server.places}
        assert len(places) == 4
        sock = UdpSocket("", server.address)
        try:
            for at in server.places:
                for change in (0, 2, 4, 6):
                    sock.send(binding_request(TRANSACTION, change), at)
                    data, source = await sock.receive()
                    assert (source[0] != at[0]) is bool(change & 4)
                    assert (source[1] != at[1]) is bool(change & 2)
                    answer = decode(data)
                    assert answer.origin == source
                    assert (answer.mapped, answer.other) == (sock.local, server.other_of(at))
        finally:
            sock.close()


# ---------------------------------------------------------------- sockets and ICMP


@needs_linux
async def test_icmp_says_who_says_it():
    sock = UdpSocket("", ("127.0.0.1", 9))
    try:
        sock.send(b"x", ("127.0.0.1", closed_port()))
        with pytest.raises(IcmpError, match=r"connection refused \(ICMP from 127\.0\.0\.1\)"):
            await sock.receive()
    finally:
        sock.close()


@needs_linux
async def test_what_icmp_said_of_one_datagram_does_not_lose_the_next():
    async with stun_server("127.0.0.1", None) as server:
        sock = UdpSocket("", server.address)
        try:
            for _ in range(3):
                sock.send(b"x", ("127.0.0.1", closed_port()))
            sock.send(binding_request(TRANSACTION), server.address)
            data, source = await sock.receive()
            assert (decode(data).mapped, source) == (sock.local, server.address)
        finally:
            sock.close()


@needs_linux
async def test_errors_that_were_told_leave_the_socket_quiet(autojump_clock):
    # A queue of errors that nobody empties makes a socket readable for ever, and time stand still.
    sock = UdpSocket("", ("127.0.0.1", 9))
    try:
        port = closed_port()
        for _ in range(3):
            sock.send(b"x", ("127.0.0.1", port))
        with pytest.raises(IcmpError):
            await sock.receive()
        with trio.move_on_after(10) as scope:
            await sock.receive()
        assert scope.cancelled_caught
    finally:
        sock.close()


@needs_linux
async def test_a_port_that_nobody_listens_on_is_no_firewall(autojump_clock):
    found = await found_at(f"127.0.0.1:{closed_port()}")
    assert (found.public, found.nat) == (None, NatType.UNKNOWN)
    assert "connection refused (ICMP from 127.0.0.1)" in found.error


@needs_linux
async def test_a_silent_port_is_waited_for_and_named_a_firewall(autojump_clock):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        found = await found_at(f"127.0.0.1:{silent.getsockname()[1]}")
        assert found.nat is NatType.FIREWALL_BLOCKING_UDP
        assert trio.current_time() == 39.5
        silent.setblocking(False)
        sent = set()
        for _ in range(7):
            sent.add(silent.recv(100))
        assert len(sent) == 1
        with pytest.raises(BlockingIOError):
            silent.recv(100)


def test_an_address_that_this_machine_has_not_is_an_error_that_says_so():
    with pytest.raises(OSError) as refused:  # noqa: PT011 - the number says it
        UdpSocket("192.0.2.77", ("127.0.0.1", 9))
    assert refused.value.errno == errno.EADDRNOTAVAIL


# ---------------------------------------------------------------- programs of others


@needs_linux
@pytest.mark.skipif(shutil.which("stun") is None, reason="Debian's stun-client is not installed")
@pytest.mark.parametrize("minimal", [False, True])
async def test_debians_client_of_rfc_3489_understands_our_answers(minimal):
    """Its test 1 alone: a Binding request, with a CHANGE-REQUEST that asks for nothing."""
    async with stun_server("127.0.0.1", "127.0.0.2") as server:
        if minimal:
            asked = server.requests
            server.twist = lambda reply: [
                reply._replace(data=binding_answer(asked[-1][0], reply.to))
            ]
        done = await trio.run_process(
            ["stun", server.name, "1", "-v"], capture_stdout=True, stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
    text = done.stdout.decode()
    assert "MappedAddress = 127.0.0.1:" in text
    [mapped] = {line for line in text.splitlines() if line.strip().startswith("MappedAddress")}
    assert mapped.rpartition(":")[2].strip() == str(server.requests[-1][1][1])


@needs_linux
async def test_the_server_is_a_program_as_well():
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    command = [sys.executable, "-m", "sipx_stun.testing", "127.0.0.1", str(port)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    try:
        with trio.fail_after(30):
            line = await process.stdout.receive_some()
            assert line == f"listening on 127.0.0.1 port {port}\n".encode()
            found = await found_at(f"127.0.0.1:{port}", nat=False)
        assert found.public == found.local
    finally:
        os.kill(process.pid, signal.SIGINT)
        await process.wait()
        await process.stdout.aclose()
    assert process.returncode == 0
