"""Settings as they count, and where they come from."""

from __future__ import annotations

from sipx.config.document import Document
from sipx.config.effective import field_at, known_keys, settings_of
from sipx.config.notation import dotted
from sipx.registry import Registry

TEXT = """\
domains = ["example.com"]
plugins = ["static-routes"]
[interface.near]
port = 5060
prot = "udp"
[certificate.main]
pkcs12_password = "hunter2"
[static-routes.route."x.example"]
server = ["a", "b"]
[unknown]
x = 1
"""


def shown(text: str = TEXT) -> dict[str, tuple[object, int | None]]:
    found = settings_of(Document.from_text(text), Registry())
    return {dotted(each.path): (each.value, each.line) for each in found}


def test_what_the_file_says_has_its_line_and_the_rest_its_default():
    found = shown()
    assert found["domains"] == (["example.com"], 1)
    assert found["interface.near.port"] == (5060, 4)
    assert found["interface.near.role"] == ("wan", None)
    assert found["dns.timeout"] == ("5s", None)
    assert found["wan.public_port"] == (None, None)
    assert found["limits.body"] == (262144, None)
    assert found['static-routes.route."x.example".server'] == (["a", "b"], 9)
    assert found['static-routes.route."x.example".protocol'] == ("udp", None)
    assert found["static-routes.enabled"] == (True, None)


def test_what_no_model_knows_is_shown_as_it_is_written():
    found = shown()
    assert found["interface.near.prot"] == ("udp", 5)
    assert found["unknown.x"] == ("**********", 11)  # whose it is, and what, nobody knows


def test_secrets_are_hidden():
    assert shown()["certificate.main.pkcs12_password"] == ("**********", 7)


def test_tables_of_the_wrong_kind_are_shown_too():
    found = shown(
        'domains = 5\nwan = 3\ninterface = [1]\nplugins = ["static-routes"]\nstatic-routes = 7\n'
    )
    assert found["wan"] == (3, 2)
    assert found["interface"] == ([1], 3)
    assert found["static-routes"] == (7, 5)


def test_known_keys_are_those_of_the_table():
    values = Document.from_text(TEXT).values()
    registry = Registry()
    assert {"wan", "interface", "static-routes"} <= set(known_keys((), values, registry))
    assert "public_port" in known_keys(("wan",), values, registry)
    assert known_keys(("interface",), values, registry) == []
    assert "role" in known_keys(("interface", "any"), values, registry)
    route = ("static-routes", "route", "any.example")
    assert "server" in known_keys(route, values, registry)
    assert known_keys(("nothing",), values, registry) == []


def test_a_field_is_found_below_names():
    values = Document.from_text(TEXT).values()
    field = field_at(("interface", "any", "port"), values, Registry())
    assert field is not None
    assert field.is_required()
    assert field_at(("interface", "any", "nothing"), values, Registry()) is None
    assert field_at(("static-routes", "route", "x", "server"), values, Registry()) is not None
