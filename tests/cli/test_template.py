from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipx.cli import template
from sipx.config.model import (
    InterfaceConfig,
    KernelConfig,
    LimitsConfig,
    ServiceConfig,
    TrustConfig,
    WanConfig,
)

if TYPE_CHECKING:
    from pydantic import BaseModel


@pytest.fixture(autouse=True)
def free_ports(monkeypatch):
    """The written port is 5060, which may be in use where tests run: it is not bound here."""
    monkeypatch.setattr("sipx.cli.ports._bind", lambda interface: None)


def test_the_servers_become_the_route_of_the_own_domain(line):
    line("init", "--domain", "uc.example", "--server", "127.0.0.1", "--server", "127.0.0.2")
    values = tomllib.loads(Path("sipx.toml").read_text())
    route = values["static-routes"]["route"]["uc.example"]
    assert route["server"] == ["127.0.0.1", "127.0.0.2"]
    assert route["enabled"] is True
    assert route["trusted"] is True
    assert values["domains"] == ["uc.example"]
    assert {table["protocol"] for table in values["interface"].values()} == {"udp", "tcp"}


def test_a_server_is_not_trusted_by_its_address_where_the_bind_is_public(line, monkeypatch):
    monkeypatch.setattr(template, "primary_address", lambda ipv6: "8.8.8.8")
    line("init", "--server", "10.0.0.5")
    values = tomllib.loads(Path("sipx.toml").read_text())
    assert values["static-routes"]["route"]["example.com"]["trusted"] is False


@pytest.mark.parametrize(
    "model", [KernelConfig, InterfaceConfig, LimitsConfig, ServiceConfig, TrustConfig, WanConfig]
)
def test_every_key_is_there(line, model: type[BaseModel]):
    line("init")
    text = Path("sipx.toml").read_text()
    for key in model.model_fields:
        assert f"\n{key} = " in text or f"\n#{key} = " in text or f"[{key}" in text


def test_the_defaults_behind_the_marks_are_valid_when_the_marks_are_taken_off(line):
    line("init")
    path = Path("sipx.toml")
    text = path.read_text()
    for name in ("log", "dns", "limits", "udp", "tcp"):
        head, mark, rest = text.partition(f"\n[{name}]\n")
        table, blank, after = rest.partition("\n\n")
        lines = [
            each[1:] if each.startswith("#") and not each.startswith("# ") else each
            for each in table.split("\n")
        ]
        text = head + mark + "\n".join(lines) + blank + after
    path.write_text(text)
    assert line("check", "config").exit_code == 0
