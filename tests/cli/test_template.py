from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipx.cli import template
from sipx.config import Document, check
from sipx.config.model import (
    InterfaceConfig,
    KernelConfig,
    LimitsConfig,
    ServiceConfig,
    TrustConfig,
    WanConfig,
)
from sipx.registry import Registry

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sipx.config import Settings


@pytest.fixture(autouse=True)
def free_ports(monkeypatch):
    """The written port is 5060, which may be in use where tests run: it is not bound here."""
    monkeypatch.setattr("sipx.checks.ports._bind", lambda interface: None)


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


# ---------------------------------------------------------------- each mark by itself

_OFF = re.compile(r"#(?:(\w+) = .*|\[[^]]+\])")
_NAMES_OTHERS = {
    "certificate": ("[certificate.main]", "cert_file", "key_file"),
    "client_certificate": ("[certificate.main]", "cert_file", "key_file"),
    "[certificate.main]": ("cert_file", "key_file"),
    "cert_file": ("[certificate.main]", "key_file"),
    "key_file": ("[certificate.main]", "cert_file"),
    "warn_before": ("[certificate.main]", "cert_file", "key_file"),
    "pkcs12_file": ("[certificate.main]",),
    "pkcs12_password": ("[certificate.main]", "pkcs12_file"),
    "password": ("user", "user"),
    "port": ("server", "server"),
    "protocol": ("server", "server"),
}
"""Marks that have to be taken off together: what names a certificate needs its table."""


def _written() -> list[str]:
    return template.template(Registry(), "uc.example", ("127.0.0.1",)).split("\n")


MARKED = [number for number, each in enumerate(_written()) if _OFF.fullmatch(each)]


def _key(line: str) -> str:
    return line.removeprefix("#").partition(" = ")[0]


def _loaded(lines: list[str], home: Path) -> Settings:
    document = Document.from_text("\n".join(lines), home / "sipx.toml")
    return check(document, Registry(), addresses=lambda: frozenset({"127.0.0.1"}))


@pytest.mark.parametrize(
    "number", MARKED, ids=lambda number: f"{number}-{_key(_written()[number])}"
)
def test_each_line_behind_a_mark_is_valid_without_it(home, number):
    (home / "tls").mkdir()
    for name in ("tls/main.p12.password", "lan.password", "berlin.password", "hep.password"):
        (home / name).write_text("secret")  # a secret is read with the file
    lines = _written()
    key = _key(lines[number])
    others = [n for n in MARKED if _key(lines[n]) in _NAMES_OTHERS.get(key, ())]
    assert len(others) == len(_NAMES_OTHERS.get(key, ()))
    for each in (number, *others):
        lines[each] = lines[each].removeprefix("#")
    assert "None" not in lines[number]
    _loaded(lines, home)


def test_a_default_behind_a_mark_means_the_same_as_the_mark(home):
    """All lines but examples: the file without any mark is the file with all of them."""
    examples = {key.rpartition(".")[2] for key in template._EXAMPLES}
    lines = [
        each.removeprefix("#")
        if _OFF.fullmatch(each)
        and _key(each) not in {*examples, "[certificate.main]"}
        and not each.startswith("#warn_before")
        else each
        for each in _written()
    ]
    settings, before = _loaded(lines, home), _loaded(_written(), home)
    assert settings.kernel == before.kernel
    assert settings.plugins == before.plugins


def test_durations_are_written_as_people_write_them():
    text = "\n".join(_written())
    assert '#warn_before = "21d"' in text
    assert '#idle_timeout = "10m"' in text
    assert '#stop_timeout = "15s"' in text


def test_keys_of_tls_stand_in_a_table_where_they_say_something():
    table = "\n".join(_written()).partition('route."partner.example"]\n')[2].partition("\n\n")[0]
    for key in template._ONLY_TLS:
        assert f"\n#{key} = " in table
    assert 'protocol = "mtls"' in table
