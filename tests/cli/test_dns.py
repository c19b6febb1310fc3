"""``sipx dns``: the running proxy is asked, and the configuration file where none runs."""

from __future__ import annotations

import json

import pytest

A, B = "a.example", "b.example"
SERVICE = "_sipfederationtls._tcp"

PLAIN = """
domains = ["a.example"]
plugins = ["tls"]
[wan]
certificate = "main"
[interface.far]
bind = "127.0.0.1"
port = 5061
protocol = "mtls"
"""


@pytest.fixture
def plain(sites, home):
    """A configuration file without open federation, for which nothing runs."""

    def write(*names, text=PLAIN):
        table = sites.certificate(*names)["main"]
        lines = [f'{key} = "{value}"' for key, value in table.items()]
        dns = f'[dns]\nservers = ["{sites.dns.server}"]\n'
        (home / "sipx.toml").write_text("\n".join([text, dns, "[certificate.main]", *lines, ""]))

    return write


# ---------------------------------------------------------------- record


async def test_the_record_in_three_forms(plain, beside):
    plain("a.example", "sip.a.example")
    found = await beside.alone("dns", "record")
    assert found.exit_code == 0, found.output
    assert "_sipfederationtls._tcp.a.example. 3600 IN SRV 1 0 5061 sip.a.example." in (
        found.stdout.splitlines()
    )
    assert "; a.example: interface far, certificate 'main'" in found.stdout
    assert "`sipx dns check a.example`" in found.stderr
    found = await beside.alone("dns", "record", "a.example", "--format", "powershell")
    assert 'Add-DnsServerResourceRecord -Srv -ZoneName "a.example" `' in found.stdout
    assert "  -Priority 1 -Weight 0 -Port 5061 -TimeToLive 01:00:00" in found.stdout
    found = await beside.alone("dns", "record", "--format", "plain")
    assert "  target    sip.a.example" in found.stdout
    told = json.loads((await beside.alone("dns", "record", "--json")).stdout)
    assert told["records"][0]["host"] == "sip.a.example"
    assert told["records"][0]["lines"][-1].endswith("5061 sip.a.example.")
    assert all(len(line) <= 80 for line in found.stdout.splitlines())


async def test_addresses_have_records_of_their_own(plain, beside):
    public = PLAIN.replace(
        "[wan]", '[wan]\nuse_public_address = true\npublic_address = "198.51.100.7"'
    )
    plain("sip.a.example", text=public)
    found = await beside.alone("dns", "record")
    assert "sip.a.example. 3600 IN A 198.51.100.7" in found.stdout
    found = await beside.alone("dns", "record", "--format", "powershell")
    assert '-Name "sip" -IPv4Address "198.51.100.7" -TimeToLive 01:00:00' in found.stdout
    found = await beside.alone("dns", "record", "--format", "plain")
    assert "  address   198.51.100.7" in found.stdout
    six = public.replace("198.51.100.7", "2001:db8::7")
    plain("sip.a.example", text=six)
    assert "IN AAAA 2001:db8::7" in (await beside.alone("dns", "record")).stdout
    found = await beside.alone(
        "dns", "record", "--host", "gate.host.example", "--format", "powershell"
    )
    assert "IPv6Address" not in found.stdout


async def test_what_is_not_known_is_asked_for(plain, beside):
    plain("a.example")
    found = await beside.alone("dns", "record")
    assert found.exit_code == 1
    assert found.stdout == ""
    assert "a.example: the host is not known: the certificate 'main' names a.example" in (
        found.stderr
    )
    assert "--host sip.a.example" in found.stderr
    found = await beside.alone("dns", "record", "--host", "sip.a.example", "--port", "5062")
    assert found.exit_code == 0
    assert "SRV 1 0 5062 sip.a.example." in found.stdout
    assert "; note: " in found.stdout
    assert all(len(line) <= 80 for line in found.stdout.splitlines())
    told = json.loads((await beside.alone("dns", "record", "--json")).stdout)
    assert told["records"][0]["lines"] == []
    found = await beside.alone("dns", "record", "b.example")
    assert found.exit_code == 2
    assert "none of the domains of this proxy" in found.stderr


# ---------------------------------------------------------------- check


async def test_our_domain_is_checked_by_the_running_proxy(sites, beside):
    a = await sites.site(A)
    run = await beside(a)
    found = await run("dns", "check")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("asked:  the running sipx\n\na.example, ours\n")
    assert f"{a.bind}: interface open-federation listens there" in found.stdout
    assert "sip.a.example of certificate 'main': good" in found.stdout
    assert "SIPX-D001" in found.stdout
    assert all(len(line) <= 80 for line in found.stdout.splitlines())
    sites.say(A)
    found = await run("dns", "check", A)
    assert found.exit_code == 1
    assert "FAILURE  SIPX-D002" in found.stdout
    told = await run.json("dns", "check", A)
    assert told["domains"][0]["findings"][0]["code"] == "SIPX-D002"


async def test_a_partner_is_checked_with_the_way_of_a_message(sites, beside):
    a = await sites.site(A)
    run = await beside(a)
    sites.publish(B, 5061, "127.0.0.9", f"{SERVICE}.{B}. 60 IN SRV 2 0 5061 two.b.example.")
    found = await run("dns", "check", B)
    assert found.exit_code == 0, found.output
    assert "127.0.0.9: may be sent to" in found.stdout
    assert "         no address" in found.stdout
    assert "It would be sent there (row 8)." in found.stdout
    assert all(len(line) <= 80 for line in found.stdout.splitlines())
    sites.publish(B, 5061, "10.1.2.3")
    await run("dns", "cache", "flush")
    found = await run("dns", "check", B)
    assert found.exit_code == 1
    assert "never sent to: 10.1.2.3 is a private address" in found.stdout
    sites.dns.fail(f"{SERVICE}.{B}")
    assert (await run("dns", "check", B)).exit_code == 75


async def test_what_the_proxy_remembers_is_told_beside_what_is_published(sites, beside):
    a = await sites.site(A)
    run = await beside(a)
    await a.kernel.resolver.service(f"{SERVICE}.{A}")
    sites.publish(A, a.port, a.bind, f"{SERVICE}.{A}. 60 IN SRV 2 0 5061 two.a.example.")
    found = await run("dns", "check")
    assert "cache: the running proxy still goes by another answer" in found.stdout


async def test_without_a_running_proxy_the_file_is_checked(sites, plain, beside):
    plain("sip.a.example")
    sites.publish(A, 5061, "127.0.0.1")
    found = await beside.alone("dns", "check")
    assert found.exit_code == 0, found.output
    assert "asked:  the configuration file" in found.stdout
    assert "interface far is to listen there" in found.stdout
    found = await beside.alone("dns", "check", B)
    assert found.exit_code == 1
    assert "federation off" in found.stdout


# ---------------------------------------------------------------- route, cache


async def test_the_way_of_a_uri(sites, beside):
    a = await sites.site(A)
    run = await beside(a)
    sites.publish(B, 5061, "127.0.0.9")
    found = await run("dns", "route", "bob@b.example")
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[:2] == ["MESSAGE sip:bob@b.example", "asked:  the running sipx"]
    assert lines[2].startswith(f"dns 1:  SRV {SERVICE}.{B}: 1 0 5061 sip.b.example.")
    assert "asked now)" in found.stdout
    assert "hop 1:  mtls 127.0.0.9 port 5061 (sip.b.example), from interface" in found.stdout
    assert all(len(line) <= 80 for line in lines)
    assert "from the" in (await run("dns", "route", "bob@b.example")).stdout
    told = await run.json("dns", "route", "sip:bob@b.example")
    assert told["steps"][0]["cached"] is True
    found = await run("dns", "route", "bob@none.example")
    assert (found.exit_code, "refused with 404 (row 8)" in found.stdout) == (1, True)
    sites.dns.fail(f"{SERVICE}.c.example")
    assert (await run("dns", "route", "bob@c.example")).exit_code == 75
    found = await run("dns", "route", "sip:")
    assert (found.exit_code, "the running sipx:" in found.stderr) == (2, True)
    own = await run("dns", "route", "sip:x@192.0.2.1")
    assert "nothing had to be asked" in own.stdout


async def test_the_file_is_asked_where_nothing_runs(plain, beside):
    plain("sip.a.example")
    found = await beside.alone("dns", "route", "bob@b.example")
    assert found.exit_code == 1
    assert "asked:  the configuration file; no sipx is asked" in found.stdout
    assert "403 (row 10)" in found.stdout


async def test_a_proxy_of_another_file_is_not_asked(sites, plain, beside):
    a = await sites.site(A)
    run = await beside(a)
    plain("sip.a.example")
    found = await run("dns", "route", "bob@b.example", "--config", "sipx.toml")
    assert f"the sipx that runs uses {a.kernel.settings.path}" in found.stderr
    assert "asked:  the configuration file" in found.stdout
    found = await run("dns", "route", "bob@b.example", "--offline")
    assert "asked:  the configuration file" in found.stdout


async def test_the_cache_of_the_running_proxy(sites, beside):
    found = await beside.alone("dns", "cache")
    assert found.exit_code == 4
    a = await sites.site(A)
    run = await beside(a)
    assert "nothing is remembered" in (await run("dns", "cache")).stdout
    sites.publish(B, 5061, "127.0.0.9")
    await run("dns", "route", "bob@b.example")
    found = await run("dns", "cache")
    assert f"SRV {SERVICE}.{B}: 1 0 5061 sip.b.example." in found.stdout
    assert "3 answers, " in found.stdout
    told = await run.json("dns", "cache")
    assert told["statistics"]["entries"] == 3
    found = await run("dns", "cache", "flush")
    assert "3 answers of the DNS forgotten" in found.stdout
    assert (await run.json("dns", "cache"))["entries"] == []
