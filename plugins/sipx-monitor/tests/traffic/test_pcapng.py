"""pcapng: written, decoded by tshark, read again."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
import subprocess
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sipx_monitor.traffic.captures import CaptureError, CaptureReader, read_capture
from sipx_monitor.traffic.export.frames import end_of, udp_frame
from sipx_monitor.traffic.export.writing import write
from sipx_monitor.traffic.store import Store

KEPT = (
    "inwards", "way", "head", "body", "body_state", "method", "status", "marked", "note", "peer",
    "leg", "twin", "retransmission", "fault",
)  # fmt: skip
"""What a capture keeps of a message, beside the time."""


def kept(message):
    """All of it."""
    return {name: getattr(message, name) for name in KEPT}


def test_a_call_comes_back_as_it_was_written(recorder):
    call = recorder.call()
    call[0].marked, call[0].note = "red", "this one"
    capture = read_capture(write(call, "pcapng"), "call.pcapng")
    again = list(capture.store.between(1, 99))
    assert capture.ours
    assert len(again) == len(call)
    for one, other in zip(call, again, strict=True):
        assert kept(one) == kept(other)
        assert one.wall == pytest.approx(other.wall, abs=2e-6)


def test_joined_files_are_one_capture(recorder):
    calls = [recorder.call(number) for number in range(3)]
    data = b"".join(write(call, "pcapng") for call in calls)
    capture = read_capture(data)
    assert len(capture.store) == sum(map(len, calls))
    assert not any(message.fault for message in capture.store.between(1, 99))


def test_what_was_not_recorded_is_said_and_does_not_break_the_stream(recorder, lines):
    recorder.store.bodies = "none"
    one = recorder.add(lines.request("MESSAGE"), transport="tcp", body=b"secret")
    two = recorder.add(lines.request("MESSAGE", branch="b"), transport="tcp", body=b"secret")
    data = write([one, two], "pcapng")
    assert b"secret" not in data
    again = list(read_capture(data).store.between(1, 9))
    assert [message.body_state for message in again] == ["dropped", "dropped"]
    assert [message.body_type for message in again] == ["text/plain", "text/plain"]
    assert all(b"Content-Length: 0" in message.head for message in again)


def test_viewers_get_no_bodies(recorder, lines):
    one = recorder.add(lines.request("MESSAGE"), body=b"secret")
    for form in ("pcapng", "text", "jsonl", "csv"):
        assert b"secret" not in write([one], form, bodies=False)
    assert b"secret" in write([one], "pcapng")


token = st.from_regex(r"[a-zA-Z0-9]{1,20}", fullmatch=True)
end = st.sampled_from(("192.0.2.7:5060", "[2001:db8::7]:5061", "198.51.100.1:40000"))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            token, st.binary(max_size=5000), end, st.sampled_from(("udp", "tcp", "tls")),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)  # fmt: skip
def test_any_messages_come_back_as_they_were_written(make_recorder, rows, lines):
    recorder = make_recorder()
    written = []
    for call, body, remote, transport, inwards in rows:
        written.append(
            recorder.add(
                lines.request("MESSAGE", call=call, branch=call),
                body=body,
                remote=remote,
                transport=transport,
                inwards=inwards,
            )
        )
    again = list(read_capture(write(written, "pcapng")).store.between(1, 99))
    assert [(m.head, m.body, m.way, m.inwards) for m in again] == [
        (m.head, m.body, m.way, m.inwards) for m in written
    ]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_in_words_or_read(make_recorder, data):
    whole = bytearray(write(make_recorder().call(), "pcapng"))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    with contextlib.suppress(CaptureError):
        read_capture(bytes(whole[:cut]))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from((b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a", b"{")))
def test_anything_at_all_is_refused_in_words(junk, begin):
    with pytest.raises(CaptureError):
        read_capture(begin + junk)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"\x1f\x8b\x08\0", "it is compressed; unpack it with gunzip first"),
        (b"hello", "it is neither pcapng, pcap nor JSON lines of sipx"),
        (b'{"a": 1}', "line 1 is no message as sipx writes one: head is missing"),
        (b'{"sipx_capture": 9}', "written by a later sipx"),
        (b"\xd4\xc3\xb2\xa1" + b"\0" * 20, "it holds no packets"),
        (b"\xd4\xc3\xb2\xa1" + b"\0" * 21, "the file ends within packet 1, at byte 24"),
    ],
)
def test_what_is_no_capture_is_told_apart(data, said):
    with pytest.raises(CaptureError, match=said):
        read_capture(data)


def test_a_file_cut_short_names_the_place(recorder):
    data = write(recorder.call(), "pcapng")
    with pytest.raises(CaptureError, match=r"ends within block \d+, at byte \d+; it was not"):
        read_capture(data[:-5])


@pytest.fixture
def decoded(tmp_path):
    """What tshark makes of a file: a dictionary for each packet."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")

    def decoded(data):
        path = tmp_path / "capture.pcapng"
        path.write_bytes(data)
        checks = [f"-o{name}.check_checksum:TRUE" for name in ("ip", "udp", "tcp")]
        out = subprocess.run(
            [program, "-r", path, "-T", "json", *checks, "--no-duplicate-keys"],
            capture_output=True,
            check=True,
        )
        return [packet["_source"]["layers"] for packet in json.loads(out.stdout)]

    return decoded


def test_tshark_sees_a_call_with_its_addresses(recorder, decoded):
    call = recorder.call()
    packets = decoded(write(call, "pcapng"))
    assert len(packets) == len(call)
    for message, layers in zip(call, packets, strict=True):
        layer = layers["udp" if message.way.transport == "udp" else "tcp"]
        name = "udp" if message.way.transport == "udp" else "tcp"
        source = f"{layers['ip']['ip.src']}:{layer[f'{name}.srcport']}"
        target = f"{layers['ip']['ip.dst']}:{layer[f'{name}.dstport']}"
        assert (source, target) == (message.source, message.target)
        assert layers["sip"]["sip.msg_hdr_tree"]["sip.Call-ID"] == message.call_id
        assert layers["frame"]["frame.interface_id_tree"]["frame.interface_name"] == (
            message.way.interface
        )
        assert layers["ip"]["ip.checksum.status"] == "1"
        assert layer[f"{name}.checksum.status"] == "1"


def test_tshark_puts_long_messages_together_on_ipv6_and_ipv4(recorder, lines, decoded):
    recorder.add(lines.request("MESSAGE"), body=b"x" * 9000, transport="tls", inwards=False)
    recorder.add(
        lines.request("MESSAGE", call="six"),
        body=b"y" * 60_000,
        remote="[2001:db8::9]:5061",
        transport="tcp",
    )
    recorder.add(
        lines.request("MESSAGE", call="long"), body=b"z" * 60_000, remote="[2001:db8::9]:5060"
    )
    packets = decoded(write(list(recorder.store.between(1, 9)), "pcapng"))
    found = [layers for layers in packets if "sip" in layers]
    assert [layers["sip"]["sip.msg_hdr_tree"]["sip.Call-ID"] for layers in found] == [
        "call-1",
        "six",
        "long",
    ]
    assert found[1]["ipv6"]["ipv6.src"] == "2001:db8::9"
    for layers in packets:
        name = "tcp" if "tcp" in layers else "udp"
        assert layers[name][f"{name}.checksum.status"] == "1"


def test_tshark_reads_joined_files_as_one(recorder, decoded):
    calls = [recorder.call(number) for number in range(3)]
    packets = decoded(b"".join(write(call, "pcapng") for call in calls))
    assert sum("sip" in layers for layers in packets) == sum(map(len, calls))


def test_a_pcap_that_tshark_wrote_is_read(recorder, tmp_path):
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")
    call = recorder.call()
    path = tmp_path / "call.pcapng"
    path.write_bytes(write(call, "pcapng"))
    subprocess.run(
        [program, "-r", path, "-F", "pcap", "-w", tmp_path / "call.pcap"],
        check=True,
        capture_output=True,
    )
    capture = read_capture((tmp_path / "call.pcap").read_bytes())
    again = list(capture.store.between(1, 99))
    assert not capture.ours
    assert [(m.head, m.source, m.target) for m in again] == [
        (m.head, m.source, m.target) for m in call
    ]
    # All messages have our address at one end, so it is taken for the place of the capture.
    assert [m.inwards for m in again] == [m.inwards for m in call]


def pcap(*packets, link=1):
    """A pcap file of these packets."""
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)
    return data + b"".join(
        struct.pack("<IIII", 1_800_000_000, at, len(packet), len(packet)) + packet
        for at, packet in enumerate(packets)
    )


MESSAGE = (
    b"MESSAGE sip:bob@far.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\n"
    b"Content-Length: 600\r\n\r\n" + b"0123456789" * 60
)


def fragments(frame, size=304):
    """An Ethernet frame with IPv4, its datagram in parts (RFC 791 §3.2)."""
    head, body = frame[14:34], frame[34:]
    parts = []
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        place = at // 8 | (0x2000 if at + size < len(body) else 0)
        fields = struct.pack("!HHH", 20 + len(piece), 77, place)
        parts.append(frame[:14] + head[:2] + fields + head[8:] + piece)
    return parts


@pytest.mark.parametrize("order", ["as sent", "reversed"])
def test_fragments_of_a_datagram_are_put_together(order):
    frame = udp_frame(end_of("192.0.2.7:5060"), end_of("10.0.0.1:5060"), MESSAGE)
    parts = fragments(frame)
    assert len(parts) == 3
    if order == "reversed":
        parts.reverse()
    (found,) = read_capture(pcap(*parts)).store.between(1, 9)
    assert found.body == b"0123456789" * 60


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (1, b"\0" * 12 + b"\x81\0\0\x05\x08\0"),
        (113, b"\0" * 14 + b"\x08\0"),
        (276, b"\x08\0" + b"\0" * 18),
        (101, b""),
        (0, b"\x02\0\0\0"),
    ],
)
def test_link_layers_of_other_programs_are_read(link, head):
    frame = udp_frame(end_of("192.0.2.7:5060"), end_of("10.0.0.1:5060"), MESSAGE)
    (found,) = read_capture(pcap(head + frame[14:], link=link)).store.between(1, 9)
    assert (found.source, found.target) == ("192.0.2.7:5060", "10.0.0.1:5060")


def test_a_link_layer_that_nobody_reads_is_named():
    with pytest.raises(CaptureError, match="link type 147, which is not read; read are"):
        read_capture(pcap(b"hello", link=147))


def test_what_is_no_sip_is_counted_and_left_out():
    other = udp_frame(end_of("192.0.2.7:53"), end_of("10.0.0.1:4242"), b"\0\1dns")
    with pytest.raises(CaptureError, match="none of its 1 packets holds a SIP message"):
        read_capture(pcap(other))
    sip = udp_frame(end_of("192.0.2.7:5060"), end_of("10.0.0.1:5060"), MESSAGE)
    capture = read_capture(pcap(other, sip))
    assert (len(capture.store), capture.other) == (1, 1)


def test_bodies_of_a_capture_are_kept_and_credentials_are_not():
    line = b'Authorization: Digest username="bob", nonce="abc", response="0123"\r\nContent-Length:'
    frame = udp_frame(
        end_of("192.0.2.7:5060"),
        end_of("10.0.0.1:5060"),
        MESSAGE.replace(b"Content-Length:", line),
    )
    (found,) = read_capture(pcap(frame)).store.between(1, 9)
    assert found.body
    assert b"0123" not in found.head
    assert isinstance(read_capture(pcap(frame)).store, Store)


def times(reader):
    """Seconds that each step takes."""
    begun = thread_time()
    for _ in reader:
        yield thread_time() - begun
        begun = thread_time()


def block(kind, body):
    """One block of pcapng."""
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        (SECTION + block(5, b"") * 500_000, 500_000),
        (b'{"sipx_capture": 1}' + b"\n" * 500_000, 500_000),
        # One block with more options than anybody writes.
        (
            SECTION
            + block(1, struct.pack("<HHI", 101, 0, 0))
            + block(6, bytes(20) + struct.pack("<HH", 1, 0) * 3_000_000),
            3,
        ),
    ],
)
def test_no_step_of_reading_takes_long(data, steps):
    """A file is read where SIP runs: between two steps others do."""
    taken = []
    with pytest.raises(CaptureError, match=r"packets|SIP|messages"):
        taken.extend(times(CaptureReader(data)))
    assert len(taken) >= steps
    assert max(taken) < 0.1
