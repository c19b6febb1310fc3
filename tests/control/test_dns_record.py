"""The SRV record to create: its host from the certificate, its port from what listens."""

from __future__ import annotations

import pytest

from sipx.control.dns_record import DnsRecordParams, RecordMethods
from sipx.control.errors import ControlError

A = "a.example"
FAR = {"bind": "127.0.0.1", "port": 0, "protocol": "mtls"}


@pytest.fixture
def recorded(sites, sipx_on_loopback):
    """The record of a proxy with one mtls interface and a certificate for these names."""

    async def record(*names, live=True, interface=None, params=None, **tables):
        kernel = {
            "wan": {"certificate": "main"},
            "interface": {"far": {**FAR, **(interface or {})}},
            "trust": {"ca": str(sites.ca_file)},
            **tables,
        }
        if names:
            kernel["certificate"] = sites.certificate(*names)
        proxy = await sipx_on_loopback(domains=[A], plugins=["tls"], **kernel)
        methods = RecordMethods(proxy.kernel, live=live)
        [found] = methods.record(DnsRecordParams(**(params or {}))).records
        return proxy, found

    return record


async def test_the_host_and_the_port_are_known(recorded):
    proxy, found = await recorded("a.example", "x.a.example", "sip.a.example", "deep.x.a.example")
    assert (found.service, found.host, found.port) == (
        "_sipfederationtls._tcp.a.example",
        "sip.a.example",
        proxy.place("far")[1],
    )
    assert (found.interface, found.certificate, found.proven) == ("far", "main", True)
    assert found.missing == ()
    assert any("5061" in note for note in found.notes)
    assert any("cannot be known here" in note for note in found.notes)


async def test_the_public_name_and_address_go_first(recorded):
    wan = {
        "certificate": "main",
        "use_public_address": True,
        "public_address": "x.a.example",
        "public_port": 5061,
    }
    _, found = await recorded("x.a.example", "sip.a.example", wan=wan)
    assert (found.host, found.port) == ("x.a.example", 5061)
    wan["public_address"] = "198.51.100.7"
    _, found = await recorded("sip.a.example", wan=wan)
    assert found.addresses == ("198.51.100.7",)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("names", "said", "remedy"),
    [
        (("a.example",), "names a.example, and no host below it", "--host sip.a.example"),
        (("b.example",), "names b.example, which is not a.example", "names sip.a.example"),
        (("*.a.example",), "names no domain", "names sip.a.example"),
    ],
)
async def test_a_host_that_cannot_be_known_is_asked_for(recorded, names, said, remedy):
    _, found = await recorded(*names)
    assert (found.host, found.proven) == ("", names == ("a.example",))
    [missing] = found.missing
    assert (missing.what, said in missing.text, remedy in missing.remedy) == ("host", True, True)


async def test_what_is_given_counts(recorded):
    _, found = await recorded("a.example", params={"host": "Sip.A.example.", "port": 5061})
    assert (found.host, found.port, found.missing) == ("sip.a.example", 5061, ())
    assert any("does not name sip.a.example" in note for note in found.notes)
    _, found = await recorded("a.example", params={"host": "gate.b.example", "port": 5061})
    assert any("gate.b.example lies outside of a.example" in note for note in found.notes)
    _, found = await recorded("sip.a.example", params={"host": "other.a.example", "port": 5061})
    assert not found.proven
    assert any("partners will refuse it" in note for note in found.notes)


async def test_a_port_that_cannot_be_known_is_asked_for(recorded):
    _, found = await recorded("sip.a.example", live=False)
    [missing] = found.missing
    assert "takes a free port" in missing.text
    lan = {"role": "lan"}
    _, found = await recorded("sip.a.example", interface=lan)
    assert {missing.what for missing in found.missing} == {"host", "port"}
    assert "no interface with mutual TLS" in found.missing[1].text


async def test_a_listener_that_failed_has_no_port(recorded):
    proxy, found = await recorded("sip.a.example")
    proxy.kernel.interfaces.named("far").failed("Address already in use")
    [found] = RecordMethods(proxy.kernel).record(DnsRecordParams()).records
    [missing] = found.missing
    assert "far does not listen: it is failed, Address already in use" in missing.text


async def test_without_a_certificate_that_is_the_remedy(recorded, sites):
    broken = {"main": {"cert_file": "none.crt", "key_file": "none.key"}}
    _, found = await recorded(certificate=broken)
    assert "cannot be read" in found.missing[0].text
    assert "sipx check certs" in found.missing[0].remedy


async def test_other_domains_and_addresses_are_refused(recorded):
    with pytest.raises(ControlError, match="none of the domains of this proxy"):
        await recorded("sip.a.example", params={"domain": "b.example"})
    with pytest.raises(ControlError, match="is an address"):
        await recorded("sip.a.example", params={"host": "192.0.2.1"})
    with pytest.raises(ControlError):
        await recorded("sip.a.example", params={"domain": "a..b"})
