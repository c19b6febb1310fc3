"""The area dns of ``sipx check``."""

from __future__ import annotations

import json

import dns.resolver
import pytest

from sipx.cli import check_dns

A = "a.example"


@pytest.fixture
def found(beside):
    """The findings of the area: (code, severity), and their texts."""

    async def check(*words):
        result = await beside.alone("check", "dns", *words, "--json")
        findings = json.loads(result.stdout)["findings"]
        return [(f["code"], f["severity"]) for f in findings], [f["text"] for f in findings]

    return check


async def test_our_records_are_compared(sites, federated, found):
    federated(A, port=5061)
    sites.publish(A, 5061, "127.0.0.1")
    codes, texts = await found()
    assert codes[:2] == [("SIPX-D011", "ok"), ("SIPX-D001", "ok")]
    assert f"{sites.dns.server} answers in" in texts[0]
    assert "interface open-federation is to listen" in texts[1]
    sites.say(A)
    assert ("SIPX-D002", "failure") in (await found())[0]


async def test_name_servers_are_asked_one_by_one(sites, federated, found):
    federated(A, servers=[sites.dns.server, "127.0.0.1:1"], timeout="1s")
    sites.publish(A, 5061, "127.0.0.1")
    codes, texts = await found()
    assert codes[:2] == [("SIPX-D011", "ok"), ("SIPX-D011", "warning")]
    assert "127.0.0.1:1 gives no usable answer" in texts[1]
    federated(A, servers=["127.0.0.1:1"], timeout="1s")
    codes, _ = await found()
    assert codes == [("SIPX-D011", "failure")]


async def test_one_that_is_slow_is_a_warning(sites, federated, found, monkeypatch):
    federated(A)
    monkeypatch.setattr(check_dns, "SLOW", -1.0)
    codes, _ = await found()
    assert codes[0] == ("SIPX-D012", "warning")


async def test_those_of_the_system_are_asked_where_none_are_configured(
    sites, federated, found, monkeypatch
):
    federated(A, servers=[])

    class System:
        nameservers = ()

        def __init__(self):
            raise dns.resolver.NoResolverConfiguration("no file")

    monkeypatch.setattr(check_dns.dns.resolver, "Resolver", System)
    codes, texts = await found()
    assert codes == [("SIPX-D011", "failure")]
    assert "no name server" in texts[0]


def test_nobody_is_asked_where_no_plugin_discovers(line, two_domains):
    found = line.json("check", "dns")
    assert [f["code"] for f in found["findings"]] == ["SIPX-D013"]
