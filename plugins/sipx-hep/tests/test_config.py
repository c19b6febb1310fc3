"""The table ``[hep]``."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from sipx_hep import HepConfig
from sipx_hep.config import server_of

from sipx.testing import check_plugin


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("homer", ("homer", 9060)),
        ("homer.example.com:9061", ("homer.example.com", 9061)),
        ("192.0.2.1", ("192.0.2.1", 9060)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
        ("2001:db8::1", ("2001:db8::1", 9060)),
        ("[2001:db8::1]", ("2001:db8::1", 9060)),
        ("[2001:db8::1]:9062", ("2001:db8::1", 9062)),
    ],
)
def test_collectors(text, server):
    assert server_of(text) == server
    assert HepConfig(server=text).address == server


@pytest.mark.parametrize("text", [":9060", "a:0", "a:65536", "a b", "udp:a:1", "[::1", "a/b"])
def test_what_names_no_collector(text):
    with pytest.raises(ValidationError, match="does not name a collector"):
        HepConfig(server=text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", "sctp"), ("capture_id", -1), ("capture_id", 2**32), ("bodies", "some"),
        ("queue", "1kB"), ("ca", "/no/such/file"), ("node_name", "x" * 65),
    ],
)  # fmt: skip
def test_bounds(key, value):
    with pytest.raises(ValidationError, match=key):
        HepConfig.model_validate({key: value})


def test_the_contract_of_a_plugin():
    check_plugin("hep")
