"""``sipx partners`` and ``sipx federation status`` as the operator sees them."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from sipx_open_federation import partners_commands
from sipx_open_federation.federation_commands import lines_of
from sipx_open_federation.federation_state import (
    CertificateShown,
    FederationState,
    FindingShown,
    InterfaceShown,
    NameShown,
    RecordShown,
)
from sipx_open_federation.partners_commands import partners
from sipx_open_federation.partners_state import PartnerList, PartnersParams, PartnerState

from sipx import CommandLine, ControlError, Done

NEAR = PartnerState(
    domain="partner.example",
    standing="discovered",
    first=1_790_000_000.0,
    last=1_790_000_100.0,
    last_in=1_790_000_100.0,
    last_out=None,
    identity="sip.partner.example",
    profile="ms-suffix",
    weakness="",
    subject="CN=sip.partner.example\x1b[2J",
    issuer="CN=Some Authority",
    certificate_until=1_800_000_000.0,
    messages_in=12,
    messages_out=3,
    refused=1,
    slowed=4,
    limited=2,
    over=7.0,
    messages_per_second=20.0,
    burst=40,
    users_per_day=1000,
    flows=("mtls:192.0.2.1:5061",),
    flow_ids=(7,),
    subscriptions=2,
    next_try=None,
    trouble="",
)
FREE = NEAR.model_copy(
    update={
        "domain": "free.example",
        "standing": "allowed",
        "last": None,
        "profile": "",
        "messages_per_second": 0.0,
        "users_per_day": 0,
        "over": 0.0,
        "flows": (),
        "flow_ids": (),
        "next_try": 20.0,
    }
)


@pytest.fixture
def calls(monkeypatch):
    """What the command asks the running service, which knows two partners."""
    asked: list[tuple[str, Any]] = []

    def call(name, params, result):
        asked.append((name, params))
        if name == "federation.forget":
            return Done(text=f"{params.domain} is forgotten")
        known = [one for one in (NEAR, FREE) if params.domain in ("", one.domain)]
        return PartnerList(partners=tuple(known[: params.limit]), total=len(known))

    @contextmanager
    def control(line):
        yield SimpleNamespace(call=call)

    monkeypatch.setattr(CommandLine, "control", control)
    return asked


def _run(*words: str):
    return CliRunner().invoke(partners, [*words], obj=CommandLine())


# ---------------------------------------------------------------- partners


def test_all_partners_in_a_table(calls):
    result = _run()
    assert result.exit_code == 0
    head, near, free = result.stdout.splitlines()
    assert head.split() == [
        "partner", "standing", "last", "contact", "in", "out", "limited", "open", "subs"
    ]  # fmt: skip
    assert near.split()[0] == "partner.example"
    assert re.fullmatch(r"2026-09-2\d", near.split()[2])
    assert free.split()[2] == "-"


def test_the_table_has_room_for_names_in_80_columns():
    long = NEAR.model_copy(update={"domain": "x" * 15 + ".example", "last": time.time()})
    found = PartnerList(partners=(long,), total=1)
    head, row = partners_commands.lines_of(found, PartnersParams())
    assert max(len(head), len(row)) <= 80
    assert re.fullmatch(r"\d\d:\d\d:\d\d", row.split()[2])


def test_a_domain_shows_all_that_is_known_of_it(calls):
    text = _run("partner.example").stdout
    assert calls[0][1].domain == "partner.example"
    assert "proof          ms-suffix: its certificate names sip.partner.example" in text
    assert "connections    mtls:192.0.2.1:5061 (flow 7)" in text
    assert "limits         20 messages a second, 40 at once, 1000 users a day; over them" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_partner_without_limits_and_without_a_connection(calls):
    text = _run("free.example").stdout
    assert "limits         none\n" in text
    assert "connections    none; tried in 20 s" in text
    assert "proof          none yet" in text


def test_a_partner_that_nobody_knows(calls):
    result = _run("nobody.example")
    assert result.exit_code == 1
    assert result.stdout == "there is no partner nobody.example\n"


def test_json(calls):
    found = json.loads(_run("--json").stdout)
    assert found["total"] == 2
    assert found["partners"][0]["identity"] == "sip.partner.example"


def test_what_is_left_out_is_said(calls):
    assert _run("--limit", "1").stdout.splitlines()[-1] == (
        "and 1 more; --limit shows more of them"
    )


def test_watching_in_json_is_a_document_per_line(calls, monkeypatch):
    looks = 0

    def sleep(seconds):
        nonlocal looks
        looks += 1
        assert seconds == 0.5
        if looks == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(partners_commands, "time", SimpleNamespace(sleep=sleep))
    result = _run("--watch", "--interval", "0.5", "--json")
    assert result.exit_code == 0
    assert [json.loads(each)["total"] for each in result.stdout.splitlines()] == [2, 2, 2]


def test_watching_as_text_needs_a_terminal(calls):
    result = _run("--watch")
    assert result.exit_code == 2
    assert "--watch needs a terminal, or --json" in result.output


def test_forgetting(calls):
    result = _run("forget", "partner.example")
    assert result.stdout == "partner.example is forgotten\n"
    assert calls[0][0] == "federation.forget"


@pytest.mark.parametrize(
    "words", [(), ("partner.example",), ("forget", "x.example"), ("--watch", "--json")]
)
def test_a_running_sipx_without_open_federation_is_told(monkeypatch, words):
    def call(name, params, result):
        raise ControlError("method", f"there is no method '{name}'")

    @contextmanager
    def control(line):
        yield SimpleNamespace(call=call)

    monkeypatch.setattr(CommandLine, "control", control)
    result = _run(*words)
    assert result.exit_code == 1
    assert "open federation is off in the running sipx" in result.output
    assert "`sipx federation enable`" in result.output


# ---------------------------------------------------------------- federation status


RECORD = RecordShown(
    domain="home.example",
    host="sip.home.example",
    port=5061,
    priority=0,
    weight=0,
    addresses=("203.0.113.7",),
    interface="open-federation",
    profile="ms-suffix",
    good=True,
)
STATE = FederationState(
    enabled=True,
    running=True,
    certificate=CertificateShown(
        name="main", subject="CN=sip.home.example", issuer="CN=CA", since=1.0, until=1e9
    ),
    match=RECORD,
    records=(RECORD,),
    names=(NameShown(name="sip.home.example", good=True, why="the SRV record leads to it"),),
    findings=(FindingShown(code="SIPX-D001", severity="ok", text="all is well", remedy=""),),
    interface=InterfaceShown(name="open-federation", state="listening", bind="*", port=5061),
    public_address="203.0.113.7 port 5061",
    allow=("*",),
    deny=(),
    known=12,
    connected=3,
    partners=("a.example", "b.example"),
)


def _lines(**changes: Any) -> list[str]:
    return [click.unstyle(line) for line in lines_of(STATE.model_copy(update=changes))]


def test_a_status_where_all_is_well():
    lines = _lines()
    assert lines[0] == "open federation is on"
    for said in (
        "  subject         CN=sip.home.example",
        "  SRV record      _sipfederationtls._tcp.home.example matches",
        "  host            sip.home.example",
        "  IP              203.0.113.7",
        "  port            5061",
        "  interface       open-federation: * port 5061, listening",
        "  public address  203.0.113.7 port 5061",
        "  partners        12 known, 3 connected now: a.example, b.example and 1 more",
        "  ok  sip.home.example: the SRV record leads to it",
    ):
        assert said in lines
    assert "to be done" not in lines


def test_a_status_of_what_is_off_says_that_it_is_not_so_now():
    assert (
        _lines(enabled=False, running=False)[0] == "open federation is off; this is how it would be"
    )


def test_a_status_where_no_record_matches_says_why_and_what_to_do():
    finding = FindingShown(
        code="SIPX-D002", severity="failure", text="there is no record " * 6, remedy="publish it"
    )
    name = NameShown(name="sip.home.example", good=False, why="no SRV record leads to it")
    lines = _lines(match=None, findings=(finding,), names=(name,))
    assert "  SRV record      none matches: no partner finds its way here" in lines
    assert "  no  sip.home.example: no SRV record leads to it" in lines
    assert "    -> publish it" in lines
    assert max(map(len, lines)) <= 80


def test_a_status_without_a_certificate_and_with_an_interface_that_failed():
    lines = _lines(
        certificate=CertificateShown(name="main", error="the file is gone"),
        interface=InterfaceShown(
            name="open-federation", state="failed", reason="address in use", bind="*", port=5061
        ),
    )
    assert "  certificate     main: the file is gone" in lines
    assert "  interface       open-federation: * port 5061, failed (address in use)" in lines


def test_a_status_of_an_interface_that_is_not_there():
    gone = InterfaceShown(name="federation", state="", reason="there is none of this name")
    assert "  interface       federation: there is none of this name" in _lines(interface=gone)
