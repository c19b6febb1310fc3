"""``sipx trace``: files without a service, and one that is recorded."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner
from sipx_monitor.terminal.trace import trace

from sipx import CommandLine


def alone(*words):
    return CliRunner().invoke(trace, list(words), obj=CommandLine())


@pytest.fixture(scope="module")
def capture(service, tmp_path_factory):
    """A recorded file with one message from side to side, and the Call-ID."""
    file = tmp_path_factory.mktemp("trace") / "one.pcapng"
    call_id = service.message()
    words = ("record", str(file), "--kept", "--count", "4", "-f", f"callid:{call_id}")
    result = service("trace", *words)
    assert result.exit_code == 0, result.output
    assert f"4 messages in {file}" in result.stderr
    return file, call_id


def test_nobody_else_may_read_what_was_recorded(capture):
    assert capture[0].stat().st_mode & 0o077 == 0


def test_what_passes_is_recorded_until_it_is_enough(service, tmp_path):
    file = tmp_path / "more.jsonl"
    results = []
    words = ("trace", "record", str(file), "--count", "3", "-f", "to:recorded")
    thread = threading.Thread(target=lambda: results.append(service(*words)))
    thread.start()
    while thread.is_alive():
        service.message("recorded@partner.example")
        thread.join(0.1)
    assert results[0].exit_code == 0, results[0].output
    assert len(alone("open", str(file)).stdout.splitlines()) == 3
    assert len(file.read_text().splitlines()) == 4  # with one that says what it is


def test_it_goes_on_when_sipx_is_there_again(own_service, tmp_path):
    file = tmp_path / "both.pcapng"
    words = ["trace", "record", str(file), "--count", "8", "--socket", str(own_service.socket)]
    command = [sys.executable, "-m", "sipx", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as recording:

        def said(words):
            for line in recording.stderr:
                if words in line:
                    return
            raise AssertionError(f"it has ended, and did not say {words!r}")

        said("recording into")
        calls = [own_service.message()]
        while len(alone("open", str(file)).stdout.splitlines()) < 4:
            assert recording.poll() is None
        own_service.end(signal.SIGKILL)
        said("trying again, Ctrl-C ends it")
        own_service.start()
        said("sipx is there again; sipx was started anew")
        calls.append(own_service.message())
        said(f"8 messages in {file}")
    assert recording.returncode == 0
    found = alone("open", str(file), "--json").stdout.splitlines()
    assert [json.loads(line)["call_id"] for line in found] == [calls[0]] * 4 + [calls[1]] * 4


def test_without_a_service_there_is_no_file(tmp_path):
    file = tmp_path / "none.pcapng"
    result = alone("record", str(file), "--socket", str(tmp_path / "nobody.sock"))
    assert result.exit_code == 4
    assert "messages in" not in result.stderr
    assert not file.exists()


def test_it_ends_when_the_time_is_over(service, tmp_path):
    file = tmp_path / "empty.txt"
    result = service("trace", "record", str(file), "--for", "1ms", "-f", "to:nobody")
    assert result.exit_code == 0, result.output
    assert f"0 messages in {file}" in result.stderr


def test_a_file_that_is_there_is_not_replaced(service, capture):
    result = service("trace", "record", str(capture[0]))
    assert result.exit_code == 1
    assert "--force replaces it" in result.stderr


def test_stdout_is_pcapng_for_a_pipe(service, capture):
    words = ("record", "-", "--kept", "--count", "2", "-f", f"callid:{capture[1]}")
    result = service("trace", *words)
    assert result.stdout_bytes.startswith(b"\x0a\x0d\x0d\x0a")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x.pcap",), "the name has to end with one of .pcapng, .jsonl"),
        (("x.pcapng", "--for", "soon"), "--for soon"),
        (("x.pcapng", "-f", "(("), "--filter"),
    ],
)
def test_wrong_use_of_record(words, said):
    result = alone("record", *words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.interop
def test_tshark_reads_it(capture):
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    # A port that the machine gave may be that of another protocol in Wireshark's tables.
    ports = ("-d", "udp.port==1-65535,sip")
    command = [tshark, "-r", str(capture[0]), *ports, "-T", "fields", "-e", "sip.Call-ID"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [capture[1]] * 4


# ---------------------------------------------------------------- files


def test_open_lists_the_messages(capture):
    file, call_id = capture
    result = alone("open", str(file))
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 4
    assert len(alone("open", str(file), "-f", "code:200").stdout.splitlines()) == 2
    assert "chat" in alone("open", str(file), "--dialogs").stdout
    assert alone("open", str(file), "--ladder", call_id).stdout.count("MESSAGE") == 2
    assert alone("open", str(file), "--json").stdout.count('"call_id"') == 4


def test_diff_of_two_messages_and_what_sipx_changed(capture):
    changed = alone("diff", str(capture[0]), "1").stdout
    assert "- Max-Forwards: 70\n+ Max-Forwards: 69\n" in changed
    assert "RFC 3261" in changed
    both = alone("diff", str(capture[0]), "1", "4").stdout
    assert "\n+ SIP/2.0 200 OK\n" in both
    assert alone("diff", str(capture[0]), "1", "--json").stdout.startswith("{")
    missing = alone("diff", str(capture[0]), "1", "99")
    assert missing.exit_code == 1
    assert "message 99 is not kept" in missing.stderr


@pytest.mark.parametrize(
    ("form", "begin"),
    [("text", ""), ("jsonl", "{"), ("svg", "<svg"), ("csv", "seq,")],
)
def test_export_to_stdout(capture, form, begin):
    result = alone("export", str(capture[0]), "--format", form)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(begin)
    assert "MESSAGE" in result.stdout


def test_export_into_a_file_that_can_be_opened_again(capture, tmp_path):
    file = tmp_path / "again.pcapng"
    words = ("export", str(capture[0]), "--format", "pcapng", "--ladder", capture[1])
    result = alone(*words, "-o", str(file))
    assert f"4 messages in {file}" in result.stderr
    assert len(alone("open", str(file)).stdout.splitlines()) == 4


def test_a_file_that_others_could_read_is_for_its_owner_only_from_now_on(capture, tmp_path):
    file = tmp_path / "again.txt"
    file.write_text("x" * 100_000)
    file.chmod(0o644)
    words = ("export", str(capture[0]), "--format", "text", "-o", str(file))
    kept = alone(*words)
    assert kept.exit_code == 1
    assert f"{file} is there already; --force replaces it" in kept.stderr
    assert file.read_text() == "x" * 100_000
    assert alone(*words, "--force").exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert "xxx" not in file.read_text()


def test_a_file_from_stdin(capture):
    data = capture[0].read_bytes()
    result = CliRunner().invoke(trace, ["open", "-"], obj=CommandLine(), input=data)
    assert len(result.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "the file is empty"), (b"text", "neither pcapng, pcap nor JSON lines")]
)
def test_what_is_no_capture(tmp_path, data, said):
    file = tmp_path / "file"
    file.write_bytes(data)
    result = alone("open", str(file))
    assert result.exit_code == 1
    assert said in result.stderr


def test_nothing_to_export(capture):
    result = alone("export", str(capture[0]), "--format", "text", "-f", "method:REGISTER")
    assert result.exit_code == 1
    assert "no message is to be exported" in result.stderr


def test_a_file_that_cannot_be_written(capture, tmp_path):
    words = ("export", str(capture[0]), "--format", "text", "-o", str(tmp_path / "no" / "file"))
    result = alone(*words)
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.stderr
