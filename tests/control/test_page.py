"""docs/control.md says what the code says."""

from __future__ import annotations

import json
import re
import runpy

import pytest
import trio

from sipx.control.errors import CODES
from sipx.control.kernel import serve_control

from .page import BEGIN, END, PAGE, generated

TEXT = PAGE.read_text(encoding="utf-8")


def test_every_method_and_model_stands_there_as_it_is():
    found = BEGIN + TEXT.partition(BEGIN)[2].partition(END)[0] + END
    assert found == generated(), "`make docs` writes it anew"


def test_every_kind_of_error_stands_there_with_its_code():
    rows = re.findall(r"^\| (-\d+) \| (.+?) \|", TEXT, re.M)
    said = {kind: int(code) for code, kinds in rows for kind in re.findall(r"`([\w ]+)`", kinds)}
    assert said == CODES


@pytest.fixture
async def socket_path(sipx_proxy, nursery, tmp_path):
    path = tmp_path / "control.sock"
    proxy = await sipx_proxy(service={"control_socket": str(path)})
    await nursery.start(serve_control, proxy.kernel)
    return path


async def test_the_example_client_is_one(socket_path):
    example = runpy.run_path(str(PAGE.parent / "examples/control/client.py"))

    def work():
        client = example["Sipx"](str(socket_path))
        try:
            assert client.call("status")["service"]["state"] == "running"
            assert client.call("flows.list", limit=5)["total"] == 0
            with pytest.raises(RuntimeError, match="there is no flow 7"):
                client.call("flows.show", id=7)
        finally:
            client.lines.close()
            client.socket.close()

    await trio.to_thread.run_sync(work)


async def test_one_request_and_half_a_close_get_an_answer(socket_path):
    """What socat and nc -N do."""
    [line, *_] = re.findall(r"echo '(.*?)' \|", TEXT)
    stream = await trio.open_unix_socket(str(socket_path))
    async with stream:
        await stream.send_all(line.encode() + b"\n")
        await stream.send_eof()
        answer = b""
        while chunk := await stream.receive_some():
            answer += chunk
    assert json.loads(answer)["result"]["healthy"] is True


def test_the_events_of_the_page_are_json():
    [block] = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    assert [json.loads(line)["method"] for line in block.splitlines()] == ["subscription"] * 3
