"""``sipx demo``: real proxies, real sockets, and a verdict that has to be earned."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sipx.cli.command_line import CommandLine
from sipx.cli.demo import _opens_browser
from sipx.demo import stage
from sipx.demo.observer import Observer
from sipx.plugin import hookimpl
from sipx.sip import Response

METHODS = {"REGISTER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "INVITE", "ACK", "BYE"}


def test_all_that_is_sent_is_delivered_or_answered_as_it_has_to_be(line, home):
    found = line.json("demo", "--seconds", "1", "--rate", "10", "--quiet")
    assert found["complete"]
    assert found["missing"] == []
    assert set(found["methods"]) == METHODS
    for method, tally in found["methods"].items():
        assert tally["sent"] == tally["delivered"] + tally["by_proxy"] > 0, method
        assert tally["answered"] == (0 if method == "ACK" else tally["sent"]), method
    assert found["methods"]["REGISTER"]["delivered"] == 0
    total = found["total"]
    assert 0 < total["round_trip_ms"]["p50"] <= total["round_trip_ms"]["p95"]
    assert set(found["proxies"]) == set(found["domains"]) == {"home.example", "partner.example"}
    answers = {domain: proxy["answers"] for domain, proxy in found["proxies"].items()}
    assert set(answers["home.example"]) == {"200", "401", "403", "480"}
    assert set(answers["partner.example"]) == {"200", "401", "480"}
    for proxy in found["proxies"].values():
        assert (proxy["dropped"], proxy["faults"]) == ({}, {})
    assert found["seconds"] > 0.5
    assert list(home.iterdir()) == []


def test_who_says_that_he_is_somebody_else_is_refused(line):
    found = line.json("demo", "--seconds", "1", "--quiet")
    refusal = found["refusal"]
    assert (refusal["who"], refusal["claimed"]) == ("sip.stranger.example", "dave@partner.example")
    assert refusal["status"] == 403
    assert refusal["why"].startswith("the certificate of the peer is not good for the From domain")
    assert refusal["why"] in found["proxies"]["home.example"]["refused"]


def test_open_federation_is_told_in_words(line):
    result = line("demo", "--seconds", "1")
    shown = " ".join(result.stdout.split())
    said = [
        "DNS: _sipfederationtls._tcp.partner.example SRV 0 0 ",
        "home.example asks the DNS who speaks for partner.example, and is told: "
        "sip.partner.example",
        "home.example has connected to sip.partner.example, and both have shown a certificate.",
        "Dave, can you read this?",
        "sip.stranger.example has connected to home.example, with a good certificate",
        "sip.stranger.example has written to alice as dave@partner.example, "
        "and is refused with 403 Forbidden: the certificate",
        "sip.stranger.example, which said it was dave@partner.example, was refused with 403.",
    ]
    # That side asks as soon as it has seen the certificate, which the other may not know yet.
    asked = (
        "partner.example asks the DNS who speaks for home.example, and is told: sip.home.example"
    )
    assert asked in shown
    places = [shown.find(words) for words in said]
    assert -1 not in places, said[places.index(-1)]
    assert places == sorted(places)


# ---------------------------------------------------------------- the console


@pytest.fixture
def opened(monkeypatch):
    """What a browser is asked to open; nothing is."""
    urls = []
    monkeypatch.setattr("webbrowser.open", lambda url: not urls.append(url))
    return urls


def test_the_link_to_the_console_is_one_line(line, opened):
    shown = line("demo", "--seconds", "1").stdout
    assert re.search(r"^Console: http://127\.0\.0\.1:\d+/#token=\S+$", shown, re.MULTILINE)
    assert opened == []


def test_the_traffic_can_be_watched_in_another_terminal(line, opened, tmp_path):
    shown = line("demo", "--seconds", "1").stdout
    found = re.search(r"^In a terminal: sipx monitor --socket (/\S+)$", shown, re.MULTILINE)
    assert not Path(found[1]).parent.exists()


def test_without_a_control_socket_the_show_goes_on(line, opened, tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    result = line("demo", "--seconds", "1")
    assert result.exit_code == 0, result.output
    assert "there is no control socket: " in result.stdout


def test_the_browser_opens_where_somebody_sits_before_a_screen(line, opened, monkeypatch):
    monkeypatch.setattr("sipx.demo.console.has_display", lambda stream: True)
    result = line("demo", "--seconds", "1")
    assert result.exit_code == 0, result.output
    [url] = opened
    assert f"Console: {url}\n" in result.stdout


def test_who_wants_no_browser_gets_none(monkeypatch):
    monkeypatch.setattr("sipx.demo.console.has_display", lambda stream: True)
    asked = CommandLine()
    assert _opens_browser(asked, no_browser=False, quiet=False)
    assert not _opens_browser(asked, no_browser=True, quiet=False)
    assert not _opens_browser(asked, no_browser=False, quiet=True)
    asked.json = True
    assert not _opens_browser(asked, no_browser=False, quiet=False)


def test_without_a_browser_the_link_remains(line, monkeypatch):
    monkeypatch.setattr("sipx.demo.console.has_display", lambda stream: True)
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    result = line("demo", "--seconds", "1")
    assert result.exit_code == 0, result.output
    assert "no browser was found; open the link in one" in result.stdout


def test_without_the_plugin_there_is_no_console(line, opened, monkeypatch):
    monkeypatch.setattr("sipx.demo.console.is_installed", lambda registry: False)
    monkeypatch.setattr("sipx.demo.console.has_display", lambda stream: True)
    result = line("demo", "--seconds", "1")
    assert result.exit_code == 0, result.output
    assert "onsole" not in result.stdout
    assert opened == []


def test_the_server_that_is_stopped_gets_its_share_again(line):
    found = line.json("demo", "--seconds", "1", "--quiet")
    (berlin,), (before, after), _ = found["servers"].values()
    assert min(berlin, before, after) > 0
    # Six users, three servers, and one of these with its two users once more.
    assert found["methods"]["REGISTER"]["by_proxy"] == 12
    messages = found["methods"]["MESSAGE"]
    assert messages["by_proxy"] >= 1, "whoever wrote to carol while she was away was told so"


def test_the_traffic_is_shown_and_summed_up(line):
    result = line("demo", "--seconds", "1", "--rate", "5")
    assert result.exit_code == 0, result.output
    shown = result.stdout
    for method in METHODS:
        assert re.search(rf"^\d\d:\d\d:\d\d\.\d{{3}} .* → .* {method} ", shown, re.MULTILINE)
    assert re.search(r"bob → erin +200 SUBSCRIBE +partner.example +tcp→mtls→tcp +\d+\.\d ms", shown)
    assert re.search(r" 180 INVITE ", shown)
    assert re.search(r"carol → frank +NOTIFY +partner.example +tcp→mtls→tcp +available", shown)
    assert re.search(r"alice → carol +MESSAGE +home.example +tcp→tcp +Hello Munich!", shown)
    assert re.search(r"✓ All \d+ requests were delivered", shown)
    assert "sipx init" in shown
    assert "\x1b" not in shown


def test_what_becomes_of_the_stopped_server_is_told(line):
    shown = line("demo", "--seconds", "1").stdout
    stopped = shown.index("munich has stopped: bob is served by berlin, carol cannot be reached")
    back = shown.index("munich is back and has registered bob and carol")
    assert re.search(r"UC server munich: suspect, was up: the connection .* was lost", shown)
    assert stopped < shown.index("munich is up, was ") < back
    assert re.search(r"carol → frank +480 MESSAGE +partner.example +→mtls→tcp", shown)
    assert re.search(
        r"erin → bob +MESSAGE +home.example +tcp→mtls→tcp +Bob, are you there\?", shown
    )


def test_with_json_the_traffic_is_on_stderr(line):
    result = line("demo", "--seconds", "1", "--json")
    assert result.stdout.startswith("{")
    assert "alice → dave" in result.stderr


class Refusing(Observer):
    """An observer that also refuses every MESSAGE."""

    @hookimpl
    def validate_request(self, request, flow) -> Response | None:
        return request.reply(403) if request.method == b"MESSAGE" else None


class Rewriting(Observer):
    """An observer that also changes what is written."""

    @hookimpl
    def forward_request(self, request, target) -> None:
        if request.method == b"MESSAGE":
            request.body = request.body[::-1]


@pytest.mark.parametrize(
    ("observer", "words"), [(Refusing, "was answered 403"), (Rewriting, "with another body")]
)
def test_what_does_not_arrive_as_it_was_sent_costs_the_exit_code(
    line, monkeypatch, observer, words
):
    monkeypatch.setattr(stage, "Observer", observer)
    result = line("demo", "--seconds", "1", "--rate", "4", "--quiet")
    assert result.exit_code == 1
    assert re.search(r"MESSAGE from \w+@\S+ to \w+@\S+: ", result.stdout)
    assert words in result.stdout
    assert re.search(r"✗ Of \d+ requests \d+ were delivered", result.stdout)
    assert "not all that was sent was delivered" in result.stderr


def test_the_configuration_shown_is_one_that_loads(line, tmp_path: Path):
    result = line("demo", "--show-config")
    assert result.exit_code == 0
    values = tomllib.loads(result.stdout)
    assert values["plugins"] == ["tcp", "tls", "lan", "registrar", "open-federation", "monitor"]
    path = tmp_path / "shown.toml"
    path.write_text(result.stdout)
    assert line("check", "config", "--config", str(path)).exit_code == 0
    assert line.json("demo", "--show-config")["domains"] == values["domains"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seconds", "0.5"), "at least 1"),
        (("--seconds", "-1"), "range"),
        (("--rate", "0"), "range"),
        (("--config", "sipx.toml"), "--show-config"),
    ],
)
def test_wrong_use_is_told(line, words, said):
    result = line("demo", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_where_nothing_can_listen_the_demo_does_not_start(line, monkeypatch):
    monkeypatch.setattr("sipx.demo.servers.ADDRESS", "192.0.2.1")
    result = line("demo", "--seconds", "1")
    assert result.exit_code == 6
    assert "no server can listen on 192.0.2.1" in result.stderr


def started(*words: str, stdout=subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sipx", "demo", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """The output up to the line with ``words``."""
    assert process.stdout is not None
    read = ""
    for text in process.stdout:
        read += text
        if words in text:
            return read
    raise AssertionError(f"ended without {words!r}:\n{read}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_early_with_its_summary(number):
    with started("--seconds", "0") as process:
        wait_for(process, " MESSAGE ")
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "ending: what is under way comes to its end" in rest
    assert "ended early" in rest
    assert "✓ All" in rest


def test_a_reader_that_goes_away_leaves_no_report_behind():
    with started("--seconds", "3") as process:
        wait_for(process, "SUBSCRIBE")
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        process.wait(timeout=20)
    assert process.returncode == 1
    assert "report" not in errors
    assert "Traceback" not in errors
