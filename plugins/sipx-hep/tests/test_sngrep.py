"""What the programs make of it that HEP is for: sngrep and tshark."""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from .conftest import HERE

DISSECTOR = Path(__file__).parent / "hep.lua"
pytestmark = pytest.mark.interop


@pytest.fixture
def program():
    """The path of a program; without it the test is skipped."""

    def find(name):
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return find


@asynccontextmanager
async def sngrep(path, port, file):
    """sngrep that writes what it is sent into a file."""
    command = [path, "-F", "-N", "-q", "-L", f"udp:{HERE}:{port}", "-O", str(file)]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with trio.fail_after(20):
            while not _is_bound(port):
                await trio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _is_bound(port):
    # Looked up, not tried: a probe could take the port from sngrep.
    table = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()
    return any(int(line.split()[1].partition(":")[2], 16) == port for line in table[1:])


def _free_port():
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind((HERE, 0))
        return probe.getsockname()[1]


async def _output(*command):
    done = await trio.run_process(list(command), capture_stdout=True, capture_stderr=True)
    return done.stdout.decode()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sngrep_writes_down_the_whole_call(
    sipx_on_loopback, program, tmp_path, eventually, transport
):
    path, tshark = program("sngrep"), program("tshark")
    port, file = _free_port(), tmp_path / "heard.pcap"
    proxy = await sipx_on_loopback(hep={"server": f"{HERE}:{port}"})
    async with sngrep(path, port, file) as process:
        home = await proxy.open_peer("home.example", transport=transport)
        await proxy.open_peer("partner.example", transport=transport)
        call = await home.call("sip:bob@partner.example")
        await call.hangup()
        await home.message("sip:bob@partner.example", "without its body")
        sent = proxy.plugin("hep").state
        await eventually(lambda: sent().waiting == 0 and sent().sent > 12)
        await eventually(lambda: file.exists() and _messages(file) == sent().sent)
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(20):
            await process.wait()
    # A port that the machine gave may be that of another protocol in Wireshark's tables.
    ports = ("-d", "udp.port==1-65535,sip", "-d", "tcp.port==1-65535,sip")
    shown = await _output(
        tshark, "-r", str(file), *ports, "-T", "fields",
        "-e", "_ws.col.Protocol", "-e", "sip.Call-ID", "-e", "sip.Method",
        "-e", "sip.Status-Code", "-e", "udp.srcport",
    )  # fmt: skip
    methods = [line.split("\t")[2] for line in shown.splitlines()]
    assert methods.count("INVITE") == methods.count("BYE") == methods.count("MESSAGE") == 2
    assert len(methods) == sent().sent


async def test_tshark_finds_every_chunk(
    sipx_on_loopback, program, tmp_path, datagrams, record_property
):
    """By tshark's own dissector of HEP where it has one. That of Debian 12 (4.0.17) has none: a
    dissector in Lua beside this test finds the chunks, and tshark's own one of SIP reads what is
    in them. So it is no second opinion on the chunks; sngrep is, in the test above.
    """
    tshark = program("tshark")
    own = "\thep\n" in await _output(tshark, "-G", "protocols")
    record_property("dissector", "tshark's own" if own else DISSECTOR.name)
    how = ("-d", "udp.port==9060,hep") if own else ("-X", f"lua_script:{DISSECTOR}")
    config = {"server": datagrams.server, "capture_id": 77, "password": "hush", "node_name": "n1"}
    proxy = await sipx_on_loopback(hep=config)
    home = await proxy.open_peer("home.example")
    await proxy.open_peer("partner.example")
    await home.message("sip:bob@partner.example", "hello")
    first, *_ = await datagrams.heard.of(4)
    file = tmp_path / "hep.pcap"
    _write_pcap(file, datagrams.heard.raw)
    shown = await _output(
        tshark, "-r", str(file), *how, "-T", "fields", "-E", "separator=|",
        "-e", "hep.src_ip4", "-e", "hep.src_port", "-e", "hep.dst_port",
        "-e", "hep.capture_agent_id", "-e", "hep.auth_key", "-e", "hep.uuid", "-e", "sip.Method",
        "-e", "hep.protocol_family", "-e", "hep.application_protocol_type", "-e", "_ws.malformed",
    )  # fmt: skip
    line, *others = shown.splitlines()
    assert len(others) == 3
    source, source_port, port, agent, key, uuid, method, family, kind, bad = line.split("|")
    assert (source, source_port) == (HERE, str(home.place[1]))
    assert port == str(proxy.place("udp")[1])
    assert (key, method, bad) == ("hush", "MESSAGE", "")
    assert int(agent, 0) == 77
    assert uuid == first.correlation.decode()
    assert (int(family, 0), int(kind, 0)) == (2, 1)


def _messages(file):
    return file.read_bytes().count(b"\r\nCall-ID: ")


def _write_pcap(file, packets):
    """Datagrams to port 9060 as a capture would have them."""
    with file.open("wb") as out:
        out.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        for packet in packets:
            udp = struct.pack("!HHHH", 40000, 9060, 8 + len(packet), 0) + packet
            head = struct.pack(
                "!BBHHHBBH4s4s",
                0x45,
                0,
                20 + len(udp),
                0,
                0,
                64,
                17,
                0,
                b"\x7f\0\0\1",
                b"\x7f\0\0\1",
            )
            data = head + udp
            out.write(struct.pack("=IIII", 1, 0, len(data), len(data)) + data)
