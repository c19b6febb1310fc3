"""Which values of a configuration are secrets, and texts without them."""

from __future__ import annotations

import pytest

from sipx.config.document import Document
from sipx.config.hiding import hidden_text, hidden_values, restore_hidden, secrets_in
from sipx.config.notation import dotted
from sipx.registry import Registry

SOURCE = """
from sipx.plugin import Config, hookimpl
from sipx.config import ByDomain, Secret

class Server(Config):
    user: str = ""
    password: Secret | None = None

class LanConfig(Config):
    password: Secret | None = None
    keys: tuple[Secret, ...] = ()
    by_name: dict[str, Secret] = {}
    server: dict[str, Server] = {}
    route: ByDomain[Server] = {}
    several: list[Server] = []

class Lan:
    Config = LanConfig
    def __init__(self, config, proxy): pass
    @hookimpl
    def services(self): return ()
"""

TEXT = """\
domains = ["example.com"]
plugins = ["lan"]
[lan]
password = "S1"   # written out
keys = ["S2", { env = "OPEN" },
  "S3"]
by_name = { one = "S4", two = { file = "OPEN" } }
several = [{ user = "OPEN", password = "S5" }]
#password = "S6"
[lan.server.secret-one]
user = "OPEN"
password = 5007
[lan.route."x.example".password]
text = "S8"
[certificate.main]
pkcs12_file = "OPEN"
pkcs12_password = '''
S9'''
pkcs12_pasword = "S10"
[other]
words = ["S11"]
inner = { key = "S12", kept = { file = "OPEN" }, on = true }
[trust]
cas = "OPEN"
api_token = "S13"
token_file = "OPEN"
"""


@pytest.fixture
def registry(install) -> Registry:
    install("sipx-lan", {"lan": "fake_lan:Lan"}, fake_lan=SOURCE)
    return Registry()


def test_secrets_are_found_in_tables_lists_and_inline_tables(registry):
    found = secrets_in(Document.from_text(TEXT).values(), registry)
    assert {dotted(path) for path in found} == {
        "lan.password",
        "lan.keys[0]",
        "lan.keys[2]",
        "lan.by_name.one",
        "lan.several[0].password",
        "lan.server.secret-one.password",
        'lan.route."x.example".password.text',
        "certificate.main.pkcs12_password",
        "certificate.main.pkcs12_pasword",
        "other.words[0]",
        "other.inner.key",
        "trust.api_token",
    }


def test_a_hidden_text_has_none_and_the_rest_as_it_is(registry):
    document = Document.from_text(TEXT)
    text = hidden_text(document, secrets_in(document.values(), registry))
    assert not [n for n in range(1, 14) if f"S{n}" in text]
    assert "5007" not in text
    assert text.count("OPEN") == TEXT.count("OPEN")
    assert 'password = "**********"   # written out\n' in text
    assert '#password = "**********"\n' in text
    assert Document.from_text(text).values().keys() == document.values().keys()


def test_hidden_values_have_none(registry):
    values = Document.from_text(TEXT).values()
    hidden = str(hidden_values(values, secrets_in(values, registry)))
    assert not [n for n in range(1, 14) if f"S{n}'" in hidden]
    assert hidden.count("OPEN") == TEXT.count("OPEN")


def test_stars_that_come_back_mean_the_secret_that_was_there(registry):
    old = Document.from_text(TEXT)
    secrets = secrets_in(old.values(), registry)
    new = Document.from_text(hidden_text(old, secrets).replace("example.com", "example.org"))
    restore_hidden(new, {path: old.get(path) for path in secrets})
    assert new.values() == {**old.values(), "domains": ["example.org"]}


def test_values_that_are_no_tables_hurt_nothing(registry):
    text = 'plugins = ["lan", 5, "none"]\nlan = 3\ncertificate = []\nwan = "x"\nother = [[true]]\n'
    assert secrets_in(Document.from_text(text).values(), registry) == frozenset()
