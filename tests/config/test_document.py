"""Where things stand in a TOML file, and editing one value of it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tomlkit.parser import Parser

from sipx.config import places as places_module
from sipx.config.document import Document, dotted
from sipx.config.errors import ConfigError
from sipx.config.places import PRIVATE, places_of
from sipx.errors import SipxError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
# the proxy of the laboratory
config_version = 1
domains = ["example.com", # ours
  "example.org"]

[interface.wan]   # towards the world
bind = "192.0.2.1"
  port = 5061 # the usual
tls.version = "1.2"

[static-routes.route."partner.example"]
server = { host = "a.example", ports = [5060, 5061] }
"""


def said(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Document.from_text(text)
    return str(caught.value)


def test_keys_headers_values_and_list_items_have_positions():
    document = Document.from_text(TEXT)
    assert document.position(("config_version",)) == (2, 1)
    assert document.position(("interface", "wan")) == (6, 2)
    assert document.position(("interface",)) == (6, 2)
    assert document.position(("interface", "wan", "port")) == (8, 3)
    assert document.value_position(("interface", "wan", "port")) == (8, 10)
    assert document.position(("domains", 1)) == (4, 3)
    assert document.position(("interface", "wan", "tls", "version")) == (9, 1)
    route = ("static-routes", "route", "partner.example")
    assert document.position(route) == (11, 2)
    assert document.position((*route, "server", "ports")) == (12, 32)
    assert document.value_position((*route, "server", "ports", 1)) == (12, 47)
    assert document.position(("interface", "lan")) is None


def test_the_private_methods_of_tomlkit_that_positions_lean_on_exist():
    assert all(callable(getattr(Parser, name)) for name in PRIVATE)
    assert Document.from_text("a = 1").position(("a",)) == (1, 1)


def test_without_those_methods_a_document_has_values_but_no_positions(monkeypatch):
    monkeypatch.setattr(places_module, "PRIVATE", (*PRIVATE, "_parse_gone"))
    document = Document.from_text(TEXT)
    assert document.values() == tomllib.loads(TEXT)
    assert document.position(("config_version",)) is None
    with pytest.raises(SipxError, match="cannot be edited"):
        document.set(("config_version",), 2)


def test_line_ends_of_windows_do_not_move_positions():
    document = Document.from_text(TEXT.replace("\n", "\r\n"))
    assert document.value_position(("interface", "wan", "port")) == (8, 10)


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("interface", "wan", "port"), 5062, "port = 5061 #", "port = 5062 #"),
        (("interface", "wan", "bind"), 'a"b', '"192.0.2.1"', '"a\\"b"'),
        (("interface", "wan", "tls", "version"), "1.3", '"1.2"', '"1.3"'),
        (("domains", 1), "example.net", '"example.org"', '"example.net"'),
        (
            ("static-routes", "route", "partner.example", "server", "ports", 0),
            True,
            "[5060,",
            "[true,",
        ),
    ],
)
def test_setting_a_value_changes_nothing_else(path, value, old, new):
    document = Document.from_text(TEXT)
    document.set(path, value)
    assert document.text == TEXT.replace(old, new)
    assert document.values() == tomllib.loads(document.text)
    document.set(path, value)
    assert document.text == TEXT.replace(old, new)


def test_setting_what_is_not_there_is_a_key_error_and_changes_nothing():
    document = Document.from_text(TEXT)
    with pytest.raises(KeyError):
        document.set(("interface", "wan"), {})
    with pytest.raises(KeyError):
        document.set(("domains", 3), "far.example")
    assert document.text == TEXT


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda t: all(0xD800 > ord(c) > 31 for c in t)),
        st.integers(-9, 9) | st.booleans(),
        max_size=6,
    )
)
def test_every_key_of_a_document_has_a_position(table):
    lines = []
    for key, value in table.items():
        quoted = key.replace("\\", "\\\\").replace('"', '\\"').replace("\x7f", "\\u007F")
        lines.append(f'"{quoted}" = {str(value).lower()}\n')
    document = Document.from_text("".join(lines))
    assert document.values() == table
    for number, key in enumerate(table, 1):
        assert document.position((key,)) == (number, 1)


def test_a_route_given_twice_is_named_with_both_lines():
    assert said(
        '[static-routes.route."x.example"]\nport = 1\n\n[static-routes.route."x.example"]\n'
    ) == (
        "sipx.toml:4:2: static-routes.route.\"x.example\": the table 'x.example' is given twice, "
        "first on line 1; allowed: one table of this name; join the two"
    )


def test_a_key_given_twice_is_named_with_both_lines():
    assert said("[wan]\npublic_port = 1\n# more\npublic_port = 2\n") == (
        "sipx.toml:4:1: wan.public_port: the key 'public_port' is given twice, first on line 2; "
        "allowed: one key of this name; remove one of the two"
    )


def test_a_key_given_twice_in_an_inline_table_is_named():
    assert said("password = { env = 'A', env = 'B' }").startswith(
        "sipx.toml:1:25: password.env: the key 'env' is given twice, first on line 1"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\nb = \n", "sipx.toml:2:5: not TOML: invalid value"),
        (
            "[wan\nb=1",
            "sipx.toml:1:5: not TOML: expected ']' at the end of a table declaration",
        ),
        ('x = "open\n', "sipx.toml:1:10: not TOML: illegal character '\\n'"),
        ("x = [1,\n2\n", "sipx.toml:2:2: not TOML: unclosed array"),
        ("= 1", "sipx.toml:1:1: not TOML: invalid statement"),
    ],
)
def test_a_syntax_error_has_line_and_column(text, expected):
    assert said(text) == expected


def test_a_file_that_cannot_be_read_is_a_problem_with_its_name(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        Document.read(tmp_path / "none.toml")
    assert str(caught.value) == f"{tmp_path}/none.toml: cannot be read: No such file or directory"


def test_a_file_that_is_not_utf_8_is_a_problem_with_its_place(tmp_path: Path):
    path = tmp_path / "sipx.toml"
    path.write_bytes(b'a = 1\nb = "\xfcber"\n')
    with pytest.raises(ConfigError, match=r"sipx\.toml:2:6: the byte 0xfc is not UTF-8"):
        Document.read(path)


def test_a_byte_order_mark_is_no_part_of_the_document(tmp_path: Path):
    path = tmp_path / "sipx.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert Document.read(path).position(("a",)) == (1, 1)


def test_paths_are_written_as_toml_writes_them():
    assert dotted(("static-routes", "route", "a.b", "server", 1)) == (
        'static-routes.route."a.b".server[1]'
    )


def test_places_are_looked_for_when_somebody_asks_and_once(monkeypatch):
    looked = []

    def counted(text):
        looked.append(text)
        return places_of(text)

    monkeypatch.setattr("sipx.config.document.places_of", counted)
    document = Document.from_text("a = 1\nb = 2\n")
    assert document.values() == {"a": 1, "b": 2}
    assert looked == []
    assert (document.position(("a",)), document.position(("b",))) == ((1, 1), (2, 1))
    document.set(("b",), 3)
    assert looked == ["a = 1\nb = 2\n"]
    assert document.value_position(("b",)) == (2, 5)
    assert len(looked) == 2
