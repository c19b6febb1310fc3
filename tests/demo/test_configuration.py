"""The files of the two proxies: each knows its own domain, and nobody else's."""

import tomllib

import pytest

from sipx.config import Document, check
from sipx.demo.configuration import configuration
from sipx.demo.people import HOME, PARTNER
from sipx.registry import Registry


@pytest.mark.parametrize(("domain", "other"), [(HOME, PARTNER), (PARTNER, HOME)])
def test_each_file_is_valid_and_says_nothing_of_the_other_domain(domain, other):
    text = configuration(domain, "127.0.0.1:5353")
    check(Document.from_text(text), Registry(), addresses=None)
    values = tomllib.loads(text)
    assert values["domains"] == [domain]
    assert other not in str(values)


def test_who_has_two_servers_may_be_registered_at_both():
    servers = tomllib.loads(configuration(HOME, "127.0.0.1:5353"))["lan"]["server"]
    assert {name: account["users"] for name, account in servers.items()} == {
        "berlin": ["alice", "bob"],
        "munich": ["bob", "carol"],
    }


def test_the_console_is_a_plugin_of_the_file():
    values = tomllib.loads(configuration(HOME, "127.0.0.1:5353", console=True))
    assert values["plugins"][-1] == "monitor"
    assert values["monitor"]["port"] == 0
    assert "monitor" not in tomllib.loads(configuration(HOME, "127.0.0.1:5353"))
