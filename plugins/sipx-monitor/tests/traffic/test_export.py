"""Text, CSV, JSON lines and SVG; and JSON lines read again."""

from __future__ import annotations

import base64
import csv
import io
import json
from xml.etree import ElementTree as ET

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from sipx_monitor.traffic.captures import CaptureError, read_capture
from sipx_monitor.traffic.export import svg
from sipx_monitor.traffic.export.plain import COLUMNS
from sipx_monitor.traffic.export.writing import TYPES, write
from sipx_monitor.traffic.ladder import label_of

from sipx import ControlError

SVG = "{http://www.w3.org/2000/svg}"


def test_text_is_for_people(recorder):
    call = recorder.call()
    call[0].marked, call[0].note = "red", "look"
    text = write(call, "text").decode()
    first = text.partition("\n")[0]
    assert first == (
        "#1 | 2027-01-15T08:00:00.010000Z | udp | 192.0.2.7:5060 -> 10.0.0.1:5060 | in lan"
        " | marked red: look"
    )
    assert "INVITE sip:bob@far.example SIP/2.0\nVia: SIP/2.0/UDP ua.example" in text
    assert "m=audio 4000 RTP/AVP 0\n" in text
    assert text.count("#") == len(call)


def test_text_controls_no_terminal(recorder, lines):
    recorder.add(
        lines.request(uri="sip:a\x1b[2J@b", headers=("Subject: \x1b]0;mine\x07\u202e\ta",))
    )
    text = write(recorder.store.between(1, 9), "text").decode()
    assert text.replace("\n", "").replace("\t", "").isprintable()
    assert "INVITE sip:a\\x1b[2J@b SIP/2.0\nVia: " in text
    assert "Subject: \\x1b]0;mine\\x07\\u202e\ta\n" in text


def test_csv_is_a_table_and_no_program(recorder, lines):
    recorder.call()
    recorder.add(("=HYPERLINK(1) x SIP/2.0", ['Call-ID: =cmd|"/c calc"', "From: <+1>"]))
    rows = list(csv.DictReader(io.StringIO(write(recorder.store.between(1, 99), "csv").decode())))
    assert len(rows) == 10
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["method"], rows[0]["twin"], rows[1]["rtt"]) == ("INVITE", "3", "")
    assert rows[9]["call_id"].startswith("'=cmd")
    assert rows[9]["from_uri"] == "'+1"


def test_csv_is_no_program_either_where_cells_end_at_semicolons(recorder):
    recorder.add(("OPTIONS sip:a;=1+1;x=1; @b SIP/2.0", ["From: <sip:a@b;=HYPERLINK(1)>"]))
    text = write(recorder.store.between(1, 9), "csv").decode()
    [row] = csv.DictReader(io.StringIO(text))
    assert row["from_uri"] == "sip:a@b;'=HYPERLINK(1)"
    cells = [cell for line in csv.reader(io.StringIO(text), delimiter=";") for cell in line]
    assert [cell for cell in cells if cell.strip().startswith(("=", "+", "@"))] == []


def test_json_lines_hold_the_list_and_the_text(recorder):
    call = recorder.call()
    begin, *rest = write(call, "jsonl").decode().splitlines()
    assert json.loads(begin) == {"sipx_capture": 1}
    first = json.loads(rest[0])
    assert (first["method"], first["twin"], first["sdp"]) == ("INVITE", 3, True)
    assert first["head"].startswith("INVITE sip:bob@far.example SIP/2.0\r\n")


token = st.from_regex(r"[a-zA-Z0-9]{1,20}", fullmatch=True)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(token, st.binary(max_size=300), st.booleans(), st.text(max_size=5)),
             min_size=1, max_size=6)
)  # fmt: skip
def test_json_lines_come_back_as_they_were_written(make_recorder, lines, rows):
    recorder = make_recorder()
    for call, body, inwards, subject in rows:
        headers = (f"Subject: {''.join(c for c in subject if c.isprintable())}",)
        recorder.add(
            lines.request("MESSAGE", call=call, branch=call, headers=headers),
            body=body,
            inwards=inwards,
        )
    written = list(recorder.store.between(1, 99))
    written[0].marked, written[0].note = "blue", "a note"
    capture = read_capture(write(written, "jsonl"))
    assert capture.ours
    assert [(m.head, m.body, m.way, m.inwards, m.marked, m.note, m.twin, m.wall)
            for m in capture.store.between(1, 99)] == [
        (m.head, m.body, m.way, m.inwards, m.marked, m.note, m.twin, m.wall) for m in written
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"head": 7}', "line 2 is no message as sipx writes one: head is no text"),
        ('{"head": "x"}', "line 2 is no message as sipx writes one: time is missing"),
        ('{"head": "x", "time": NaN}', "time is not seconds since 1970"),
        ('{"head": "x", "time": -1}', "time is not seconds since 1970"),
        ('{"head_base64": "???", "time": 1}', "line 2 is no message as sipx writes one"),
        ("[1]", "line 2 is no JSON object; this was not written by sipx"),
        ("{", "line 2 is no JSON"),
        ("[" * 100_000, "line 2 is no JSON"),
    ],
)
def test_json_lines_that_are_damaged_name_the_line(line, said):
    with pytest.raises(CaptureError, match=said.replace("(", r"\(")):
        read_capture(b'{"sipx_capture": 1}\n' + line.encode())


def test_a_ladder_is_a_picture_without_scripts(recorder):
    call = recorder.call()
    call[0].note = "<script>alert(1)</script>"
    call[0].marked = "red"
    root = ET.fromstring(write(call, "svg"))
    assert {element.tag for element in root.iter()} == {
        SVG + name for name in ("svg", "title", "rect", "text", "line", "path")
    }
    texts = [element.text for element in root.iter(SVG + "text")]
    assert "INVITE (SDP)" in texts
    assert "far.example" in texts
    assert "<script>alert(1)</script>" in texts


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30))
def test_whatever_a_peer_writes_the_picture_stays_one(make_recorder, text):
    recorder = make_recorder()
    recorder.add((text or "x", [f"Call-ID: {text}", f"From: <{text}>;tag={text}"]))
    ET.fromstring(write(list(recorder.store.between(1, 9)), "svg"))


@pytest.mark.parametrize("form", list(TYPES))
async def test_monitor_export_gives_a_file(ask, form):
    ask.recorder.call(1)
    ask.recorder.call(2)
    whole = await ask("export", format=form)
    assert whole.filename == f"sipx-20270115-080000.{TYPES[form][0]}"
    assert (whole.content_type, whole.messages) == (TYPES[form][1], 18)
    assert base64.b64decode(whole.data_base64)
    one = await ask("export", format=form, call_id="call-1", filter="dir:in")
    assert (one.filename, one.messages) == (f"sipx-20270115-080000-call-1.{TYPES[form][0]}", 4)


async def test_there_has_to_be_something_to_export(ask):
    with pytest.raises(ControlError, match="no message is to be exported; widen the filter"):
        await ask("export", format="text")


async def test_viewers_export_no_bodies(ask):
    ask.recorder.call()
    for form in ("text", "jsonl", "pcapng"):
        data = base64.b64decode((await ask("export", role="viewer", format=form)).data_base64)
        assert b"m=audio" not in data


async def test_a_capture_is_opened_asked_and_closed(ask):
    ask.recorder.call()
    data = (await ask("export", format="pcapng")).data_base64
    opened = await ask("open", name=r"C:\tmp\call.pcapng", data_base64=data)
    assert (opened.id, opened.name, opened.messages, opened.directed) == (
        "capture1", "call.pcapng", 9, True,
    )  # fmt: skip
    found = await ask("messages", capture=opened.id, filter="method:ACK")
    assert (len(found.messages), found.capture) == (2, "capture1")
    assert len((await ask("dialogs", capture=opened.id)).dialogs) == 1
    assert len((await ask("ladder", capture=opened.id, call_id="call-1")).steps) == 9
    assert (await ask("message", capture=opened.id, seq=1)).body.startswith("v=0")
    assert (await ask("changes", capture=opened.id, seq=1)).b.seq == 3
    assert (await ask("state")).captures[0].messages == 9
    assert (await ask("close", capture=opened.id)).text == "call.pcapng is closed"
    with pytest.raises(ControlError, match="there is no open capture 'capture1'; open it again"):
        await ask("messages", capture=opened.id)


async def test_what_cannot_be_opened_says_why(ask):
    with pytest.raises(ControlError, match="data_base64 is not base64"):
        await ask("open", name="x", data_base64="???")
    with pytest.raises(ControlError, match=r"x\.pcap: it is compressed; unpack it with gunzip"):
        await ask("open", name="x.pcap", data_base64=base64.b64encode(b"\x1f\x8b").decode())


async def test_not_too_many_captures_are_open_at_once(ask):
    ask.recorder.call()
    data = (await ask("export", format="jsonl")).data_base64
    for number in range(4):
        await ask("open", name=f"{number}.jsonl", data_base64=data)
    with pytest.raises(ControlError, match="4 captures are open; close one of "):
        await ask("open", name="5.jsonl", data_base64=data)


async def test_a_picture_of_many_messages_gives_way_to_sip(ask, monkeypatch, nursery):
    for number in range(5):
        ask.recorder.call(number)
    monkeypatch.setattr("sipx_monitor.slices.LONGEST", 0.0)
    turns, made, drawn, real = [0], [], [], svg._arrow

    async def sip():
        while True:
            turns[0] += 1
            await trio.lowlevel.checkpoint()

    def labelled(message):
        made.append(turns[0])
        return label_of(message)

    def arrow(step, y):
        drawn.append(turns[0])
        return real(step, y)

    monkeypatch.setattr("sipx_monitor.traffic.ladder.label_of", labelled)
    monkeypatch.setattr(svg, "_arrow", arrow)
    nursery.start_soon(sip)
    await ask("export", format="svg")
    for seen in (made, drawn):
        # Two tasks of one turn run in any order: the other one had at least every second.
        assert len(seen) == 45
        assert all(before < after for before, after in zip(seen, seen[2:], strict=False))
    made.clear()
    await ask("ladder", seqs=list(range(1, 46)))
    assert all(before < after for before, after in zip(made, made[2:], strict=False))
