"""Two domains, one of which is found by NAPTR and _sips._tcp only."""

from __future__ import annotations

import pytest
import trio

from sipx import ConfigError, certificate_facts
from sipx.testing import Authority, DnsServer, check_plugin, read_configuration

A, B = "a.example", "b.example"
FEDERATION = "_sipfederationtls._tcp.b.example"


class Lab:
    """A proxy with the plugin, one that it may find, and their DNS."""

    def __init__(self, directory, start):
        self.directory, self.start = directory, start
        self.ca = Authority("Lab CA")
        self.ca.write(directory)
        self.dns = DnsServer()
        self.issued = {}
        self.patience = "10s"  # for a name server: a test of silent ones asks for less

    async def proxy(self, domain, *names, bind, **tables):
        issued = self.issued.get(domain) or self.ca.leaf(dns=names or [domain])
        cert, key = issued.write(self.directory, f"cert-{bind}")
        return await self.start(
            domains=[domain],
            plugins=["tls"],
            interface={
                "near": {"bind": "127.0.0.1", "port": 0, "protocol": "udp"},
                "far": {"bind": bind, "port": 0, "protocol": "mtls"},
            },
            certificate={"main": {"cert_file": cert, "key_file": key}},
            wan={"certificate": "main"},
            trust={"ca": str(self.directory / "ca.crt"), "networks": ["127.0.0.0/8"]},
            dns={"servers": [self.dns.server], "timeout": self.patience},
            **tables,
        )

    async def begin(self, *names, partner=None, **settings):
        federation = {"interface": "far", "ports": []}
        self.b = await self.proxy(B, *names, bind="127.0.0.12", **{"open-federation": federation})
        await self.b.open_peer(B)
        self.a = await self.proxy(
            A,
            bind="127.0.0.11",
            **{"open-federation": {**federation, "partner": partner or {}}, "rfc3263": settings},
        )
        self.agent = await self.a.open_peer(A)
        self.port = self.b.place("far")[1]
        return self

    def publish(self, service="_sips._tcp.b.example", target="sip.b.example", more=""):
        lines = [
            f"{service}. 300 IN SRV 0 0 {self.port} {target}.",
            f"{target}. 300 IN A 127.0.0.12",
            more,
        ]
        self.dns.load("\n".join(lines) + "\n")

    async def message(self):
        response = await self.agent.message(f"sip:peer@{B}", "hello")
        return response.status, (response.get(b"Warning") or b"").decode()


@pytest.fixture
async def lab(tmp_path, nursery, sipx_on_loopback):
    made = Lab(tmp_path, sipx_on_loopback)
    await nursery.start(made.dns.serve)
    return made


async def test_the_sips_record_leads_to_the_domain(lab):
    await lab.begin()
    lab.publish()
    assert (await lab.message())[0] == 200


async def test_naptr_names_the_service(lab):
    await lab.begin()
    naptr = 'b.example. 300 IN NAPTR 10 10 "s" "SIPS+D2T" "" _sips._tcp.hosted.example.'
    lab.publish("_sips._tcp.hosted.example", more=naptr)
    assert (await lab.message())[0] == 200


async def test_of_many_servers_eight_are_looked_for_and_all_at_once(lab):
    """Names whose DNS is silent: whoever writes them does not make a message wait for each."""
    lab.patience = "2s"
    await lab.begin()
    silent = [f"s{number}.b.example" for number in range(20)]
    service = "_sips._tcp.b.example. 300 IN SRV"
    lab.publish(more="\n".join(f"{service} {n} 0 5061 {host}." for n, host in enumerate(silent, 1)))
    for host in silent:
        lab.dns.silence(host)
    began = trio.current_time()
    assert (await lab.message())[0] == 200
    assert trio.current_time() - began < 10
    assert [lab.dns.count(host, "A") > 0 for host in silent] == [True] * 7 + [False] * 13


async def test_a_host_in_the_domain_proves_nothing(lab):
    await lab.begin("sip.b.example")
    lab.publish()
    status, said = await lab.message()
    assert status == 502
    assert "it names sip.b.example; wanted was b.example" in said


async def test_where_there_is_a_federation_record_it_alone_counts(lab):
    await lab.begin()
    lab.publish(more=f"{FEDERATION}. 300 IN SRV 0 0 0 .")
    status, said = await lab.message()
    assert status == 404
    assert "it publishes no federation service" in said


@pytest.mark.parametrize(
    ("fault", "row"), [(FEDERATION, "_sipfederationtls"), ("_sips._tcp.b.example", "_sips")]
)
async def test_name_servers_that_fail_are_504(lab, fault, row):
    await lab.begin()
    lab.publish()
    lab.dns.fail(fault)
    status, said = await lab.message()
    assert status == 504
    assert row in said


async def test_nothing_is_404_and_there_is_no_fallback_to_the_address_of_the_domain(lab):
    await lab.begin()
    lab.dns.load("b.example. 300 IN A 127.0.0.12\n")
    assert (await lab.message())[0] == 404
    assert lab.dns.count("b.example", "A") == 0


async def test_a_record_that_refuses_is_404(lab):
    await lab.begin()
    lab.dns.load("_sips._tcp.b.example. 300 IN SRV 0 0 0 .\n")
    status, said = await lab.message()
    assert (status, "this service is not available" in said) == (404, True)


async def test_ports_may_be_restricted(lab):
    await lab.begin(ports=[5061])
    lab.publish()
    status, said = await lab.message()
    assert status == 403
    assert f"sip.b.example port {lab.port}, and ports = [5061]" in said


@pytest.mark.parametrize("right", [True, False])
async def test_pins_hold_whichever_record_is_there(lab, right):
    lab.issued[B] = lab.ca.leaf(dns=[B])
    pin = certificate_facts(lab.issued[B].certificate).spki if right else "ab" * 32
    await lab.begin(partner={B: {"pins": [pin]}})
    lab.publish()
    status, said = await lab.message()
    assert status == (200 if right else 502)
    assert right or "none of the pinned ones" in said


async def test_what_was_found_has_its_row(lab):
    await lab.begin()
    lab.publish()
    found = await lab.a.plugin("rfc3263").discover(B.encode())
    [[target]] = found.targets.groups
    assert (target.row, target.partner.sni, target.partner.profiles) == (9, B, ("rfc5922",))


# ---------------------------------------------------------------- configuration

HEAD = """\
config_version = 1
domains = ["home.example"]
plugins = {plugins}
[wan]
certificate = "main"
[certificate.main]
cert_file = "main.crt"
key_file = "main.key"
[interface.near]
port = 5060
protocol = "tcp"
[interface.off]
enabled = false
port = 5062
protocol = "mtls"
[rfc3263]
"""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('interface = "far"', "there is no [interface.far]; known: none yet"),
        ('interface = "near"', "[interface.near] speaks tcp"),
        ('interface = "off"', "[interface.off] is switched off"),
        ("ports = 5061", "5061 is no list of ports"),
    ],
)
def test_what_cannot_be_is_refused_with_words(tmp_path, text, wrong):
    with pytest.raises(ConfigError) as refused:
        read_configuration(HEAD.format(plugins='["tcp", "tls", "rfc3263"]') + text, tmp_path)
    assert wrong in str(refused.value)


def test_open_federation_is_asked_first(tmp_path):
    plugins = '["tcp", "tls", "rfc3263", "open-federation"]'
    with pytest.raises(ConfigError, match="rfc3263 stands before open-federation in plugins"):
        read_configuration(HEAD.format(plugins=plugins), tmp_path)


def test_the_contract():
    check_plugin("rfc3263")
