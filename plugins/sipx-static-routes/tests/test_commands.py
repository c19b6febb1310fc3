"""``sipx routes`` as the operator sees it, on real configuration files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from sipx_static_routes.commands import routes

from sipx import CommandLine
from sipx.testing import Authority
from sipx.testing.dns import dns_server

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
domains = ["example.com"]
plugins = ["udp", "tcp", "static-routes"]

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"

[interface.far]
bind = "127.0.0.1"
port = 0
protocol = "tcp"

[static-routes.route."example.com"]
trusted = true
server = "127.0.0.1"
port = 5070

[static-routes.route."partner.example"]
trusted = true
server = ["127.0.0.2", "127.0.0.3"]
protocol = "tcp"
comment = "contract 7"

[static-routes.route."stranger.example"]
server = "127.0.0.4"

[static-routes.route."off.example"]
enabled = false
server = "127.0.0.5"

[static-routes.route."*.lab.example"]
server = "127.0.0.6"
"""


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs on this machine is not asked."""
    monkeypatch.setenv("SIPX_SOCKET", str(tmp_path / "none"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sipx.toml"
    path.write_text(CONFIG)
    return path


def _run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(routes, [*words, "--config", str(config)], obj=CommandLine())


def _json(config: Path, *words: str) -> Any:
    return json.loads(_run(config, *words, "--json").stdout)


# ---------------------------------------------------------------- list


def test_list_shows_every_route_also_those_that_are_off(config):
    found = _json(config, "list")
    assert found["enabled"] is True
    rows = {row["domain"]: row for row in found["routes"]}
    assert rows["example.com"]["local"] is True
    assert rows["partner.example"]["server"] == ["127.0.0.2", "127.0.0.3"]
    assert rows["partner.example"]["trusted"] is True
    assert rows["partner.example"]["comment"] == "contract 7"
    assert rows["off.example"]["enabled"] is False
    text = _run(config, "list").stdout.splitlines()
    assert text[0].split()[:3] == ["domain", "active", "trusted"]
    assert any(line.startswith("off.example") and " no " in line for line in text)


def test_list_says_that_all_are_switched_off(config):
    config.write_text(CONFIG + "\n[static-routes]\nenabled = false\n")
    assert _json(config, "list")["enabled"] is False
    assert "static routes are switched off" in _run(config, "list").stdout


def test_list_without_the_plugin_is_a_bad_answer(config):
    head = CONFIG.partition("[static-routes")[0]
    config.write_text(head.replace(', "static-routes"', ""))
    assert _run(config, "list").exit_code == 1


def test_an_invalid_file_is_exit_code_3(config):
    config.write_text(CONFIG.replace("5070", "99999"))
    result = _run(config, "list")
    assert result.exit_code == 3
    assert "99999" in result.stderr


# ---------------------------------------------------------------- explain, outwards


def test_explain_tells_the_route_and_the_hops_in_order(config):
    result = _run(config, "explain", "bob@partner.example")
    assert result.exit_code == 0
    assert "route:  partner.example: the domain itself has a route" in result.stdout
    assert "hop 1:  tcp 127.0.0.2 port 5060, from interface far" in result.stdout
    assert "hop 2:  tcp 127.0.0.3 port 5060, from interface far" in result.stdout
    assert result.stdout.rstrip().endswith("It would be forwarded (outgoing row 6).")


def test_explain_names_the_pattern_that_matched(config):
    found = _json(config, "explain", "sip:a@x.lab.example")
    assert found["route"]["domain"] == "*.lab.example"
    assert found["forwarded"] is True


@pytest.mark.parametrize("uri", ["sip:a@nowhere.example", "sip:a@off.example"])
def test_no_route_is_exit_code_1(config, uri):
    result = _run(config, "explain", uri)
    assert result.exit_code == 1
    assert "route:  none" in result.stdout
    assert "refused with 403: federation off" in result.stdout
    assert ("route:  off.example is switched off (row 7)" in result.stdout) is ("off" in uri)


def test_a_sender_whose_route_is_switched_off_is_told_so(config):
    words = ("explain", "sip:a@example.com", "--from", "127.0.0.5", "--from", "sip:b@off.example")
    [udp] = [a for a in _json(config, *words)["arrivals"] if a["protocol"] == "udp"]
    assert (udp["accepted"], udp["row"], udp["through"]) == (False, 23, [24])
    assert "its route off.example is switched off (row 24)" in _run(config, *words).stdout


def test_sips_over_tcp_would_be_refused(config):
    result = _run(config, "explain", "sips:a@partner.example")
    assert result.exit_code == 1
    assert "416" in result.stdout


# ---------------------------------------------------------------- explain, inwards


def test_a_trusted_sender_is_accepted_by_its_row_on_the_interface_of_its_protocol(config):
    found = _json(config, "explain", "sip:a@example.com", "--from", "127.0.0.2")
    assert found["forwarded"] is True
    assert found["sender"]["from"] == "sip:explain@partner.example"
    near, far = found["arrivals"]
    assert (near["accepted"], near["status"]) == (False, 403)
    assert (far["accepted"], far["row"]) == (True, 18)
    assert far["decision"]["reason"] == "the route partner.example is trusted"


def test_a_from_uri_stands_for_the_address_of_its_route(config):
    found = _json(config, "explain", "sip:a@example.com", "--from", "bob@partner.example")
    assert found["sender"]["address"] == "127.0.0.2"
    assert found["forwarded"] is True


def test_a_sender_that_is_not_trusted_is_refused_with_its_row(config):
    result = _run(config, "explain", "sip:a@example.com", "--from", "127.0.0.4:5062")
    assert result.exit_code == 1
    assert "127.0.0.4 port 5062" in result.stdout
    assert "row 22" in result.stdout


def test_a_stranger_is_refused(config):
    words = ("explain", "sip:a@example.com", "--from", "127.0.0.99")
    assert _run(config, *words).exit_code == 1
    assert _json(config, *words)["why"] == "the sender is not known here"


def test_our_domain_in_a_partners_from_is_refused_by_row_25(config):
    words = ("--from", "127.0.0.2", "--from", "sip:a@example.com", "--interface", "far")
    found = _json(config, "explain", "sip:b@example.com", *words)
    [arrival] = found["arrivals"]
    assert (arrival["accepted"], arrival["row"]) == (False, 25)


def test_relaying_is_refused(config):
    result = _run(config, "explain", "sip:a@other.example", "--from", "127.0.0.2")
    assert result.exit_code == 1
    assert "relaying denied" in result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--from", "127.0.0.2", "--from", "127.0.0.3"),
        ("--from", "sip:"),
        ("--from", "sip:a@nowhere.example"),
        ("--interface", "other"),
        ("--method", "no method"),
    ],
)
def test_wrong_use_is_exit_code_2(config, words):
    assert _run(config, "explain", "sip:a@example.com", *words).exit_code == 2


# ---------------------------------------------------------------- over TLS


@pytest.fixture
def secured(tmp_path: Path) -> Path:
    ca = Authority("Lab CA")
    ca.write(tmp_path)
    ca.leaf(dns=["sip.example.com"]).write(tmp_path, "own")
    for name in ("partner.example", "other.example"):
        ca.leaf(dns=[name]).write(tmp_path, name)
    Authority("Lab CA").leaf(dns=["partner.example"]).write(tmp_path, "forged")
    path = tmp_path / "secured.toml"
    path.write_text(
        CONFIG.replace('["udp", ', '["tls", "udp", ')
        + """
[interface.tls]
bind = "127.0.0.1"
port = 0
protocol = "mtls"
certificate = "own"
[certificate.own]
cert_file = "own.crt"
key_file = "own.key"
[trust]
ca = "ca.crt"
[static-routes.route."*.secured.example"]
server = "partner.example"
protocol = "mtls"
"""
    )
    return path


@pytest.mark.parametrize(
    ("shown", "accepted", "words"),
    [
        ("partner.example", True, "is accepted as partner"),
        ("other.example", False, "no active static route matches this certificate"),
        ("forged", False, "the handshake fails, there is no SIP"),
        ("", False, "--certificate FILE"),
    ],
)
def test_a_sender_over_tls_is_judged_by_the_certificate_it_shows(
    secured, tmp_path, shown, accepted, words
):
    more = ("--certificate", str(tmp_path / f"{shown}.crt")) if shown else ()
    who = ("--from", "127.0.0.9", "--from", "sip:bob@a.secured.example", "--interface", "tls")
    found = _json(secured, "explain", "sip:a@example.com", *who, *more)
    [arrival] = found["arrivals"]
    assert arrival["accepted"] is accepted
    assert found["forwarded"] is accepted
    assert words in arrival["why"]


def test_a_certificate_needs_a_sender_and_has_to_be_one(secured, tmp_path):
    key = ("--certificate", str(tmp_path / "own.key"))
    assert _run(secured, "explain", "sip:a@example.com", *key).exit_code == 2
    result = _run(secured, "explain", "sip:a@example.com", "--from", "127.0.0.9", *key)
    assert result.exit_code == 2
    assert "holds no certificate" in result.stderr


# ---------------------------------------------------------------- names


ZONE = "sip.partner.example. 60 IN A 127.0.0.7"


def _with_name(config: Path, server: str) -> None:
    text = CONFIG.replace('["127.0.0.2", "127.0.0.3"]', '"sip.partner.example"')
    config.write_text(text + f'\n[dns]\nservers = ["{server}"]\ntimeout = 1\n')


async def test_dns_questions_are_told_with_answer_and_ttl(config):
    import trio

    async with dns_server(ZONE) as dns:
        _with_name(config, dns.server)
        found = await trio.to_thread.run_sync(
            _json, config, "explain", "sip:a@example.com", "--from", "127.0.0.7"
        )
    assert found["forwarded"] is True
    assert found["arrivals"][1]["accepted"] is True
    [answer] = [answer for answer in found["dns"] if answer["type"] == "A"]
    assert answer["name"] == "sip.partner.example"
    assert "127.0.0.7" in answer["answer"]
    assert 0 < answer["ttl"] <= 60


async def test_a_name_server_that_fails_is_exit_code_75(config):
    import trio

    async with dns_server(ZONE) as dns:
        dns.fail("sip.partner.example")
        _with_name(config, dns.server)
        result = await trio.to_thread.run_sync(_run, config, "explain", "sip:a@partner.example")
    assert result.exit_code == 75
    assert "refused with 504" in result.stdout


# ---------------------------------------------------------------- completion


def test_domains_and_interfaces_complete_from_the_file(config, monkeypatch):
    monkeypatch.setenv("SIPX_CONFIG", str(config))
    completes = ShellComplete(routes, {}, "routes", "_ROUTES_COMPLETE").get_completions
    domains = [item.value for item in completes(["explain"], "sip:p")]
    assert domains == ["sip:partner.example"]
    names = [item.value for item in completes(["explain", "x", "--interface"], "")]
    assert names == ["near", "far"]
