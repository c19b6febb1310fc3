"""The area dns of ``sipx check``."""

from __future__ import annotations

import json

import dns.resolver
import pytest

from sipx.checks import dns as check_dns
from sipx.cli import editing

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


@pytest.fixture
def advertised(sites, federated, home):
    """``advertised("auto")``: a public address that the record leads to; nobody here has it."""

    def write(public):
        federated(A, port=5061)
        file = home / "sipx.toml"
        told = f'[wan]\nuse_public_address = true\npublic_address = "{public}"\n'
        file.write_text(file.read_text().replace("[wan]\n", told))
        sites.publish(A, 5061, "198.51.100.7")

    return write


async def test_the_name_of_a_public_address_is_looked_up(advertised, found):
    advertised(f"sip.{A}")
    assert (await found())[0][1] == ("SIPX-D001", "ok")


async def test_what_auto_stands_for_is_known_to_who_runs(advertised, found, monkeypatch):
    advertised("auto")
    codes, texts = await found()
    assert codes[1] == ("SIPX-D006", "ok"), texts
    known = {"used": True, "addresses": ["198.51.100.7"], "found": {"127.0.0.1": "198.51.100.7"}}
    monkeypatch.setattr(editing, "running_status", lambda line, path: {"public": known})
    assert (await found())[0][1] == ("SIPX-D001", "ok")
    known["found"] = {"127.0.0.1": "198.51.100.8"}
    known["addresses"] = ["198.51.100.8"]
    assert (await found())[0][1] == ("SIPX-D006", "warning")


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
