from __future__ import annotations

from importlib.resources import files
from types import SimpleNamespace

from sipx_busiest import KEPT, Busiest, BusiestConfig

from sipx.testing import check_plugin


def ended(uri):
    return SimpleNamespace(uri=uri)


def test_the_busiest_come_first_and_no_more_than_are_asked_for():
    plugin = Busiest(BusiestConfig(show=2), None)
    for uri in (b"sip:a@x", b"sip:b@x", b"sip:b@x", b"sip:c@x", b"sip:c@x", b"sip:c@x"):
        plugin.transaction_ended(ended(uri))
    assert plugin.busiest().model_dump() == {
        "addresses": [
            {"address": "sip:c@x", "requests": 3},
            {"address": "sip:b@x", "requests": 2},
        ]
    }


def test_strangers_cannot_fill_the_memory():
    plugin = Busiest(BusiestConfig(), None)
    for number in range(KEPT + 5):
        plugin.transaction_ended(ended(b"sip:%d@x" % number))
    plugin.transaction_ended(ended(b"sip:0@x"))
    [most, *_] = plugin.busiest().addresses
    assert (most.address, most.requests) == ("sip:0@x", 2)


def test_the_file_for_the_browser_is_where_the_panel_says():
    [panel] = Busiest(BusiestConfig(), None).console_panels()
    assert files(panel.package).joinpath(panel.module).is_file()


def test_the_contract():
    check_plugin("busiest")
