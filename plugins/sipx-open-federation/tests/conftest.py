"""Proxies of several domains on loopback, with certificates and a name server of their own."""

from __future__ import annotations

import pytest
import trio

from sipx.testing import Authority, DnsServer

LOOPBACK = {"networks": ["127.0.0.0/8"]}


class Site:
    """One domain: its proxy, its UC server, and what its records say."""

    def __init__(self, domain, proxy, agent, bind):
        self.domain, self.proxy, self.agent, self.bind = domain, proxy, agent, bind

    @property
    def port(self):
        return self.proxy.place("open-federation")[1]

    @property
    def plugin(self):
        return self.proxy.plugin("open-federation")

    @property
    def flows(self):
        return [flow for flow in self.proxy.kernel.flows if flow.transport == "mtls"]

    async def message(self, to, text="hello", **more):
        return await self.agent.message(f"sip:peer@{to.domain}", text, **more)


class Lab:
    """Sites, an authority that vouches for them, and the DNS they all ask."""

    def __init__(self, directory, start, nursery):
        self.directory, self.start, self.nursery = directory, start, nursery
        self.ca = Authority("Lab CA")
        self.ca_file = self.ca.write(directory)
        self.dns = DnsServer()
        self.sites = {}
        self.records = {}
        self._made = 0

    async def begin(self):
        await self.nursery.start(self.dns.serve)
        return self

    def certificate(self, *names, issuer=None, **more):
        """A table [certificate.main] for these names."""
        self._made += 1
        issued = (issuer or self.ca).leaf(dns=names, **more)
        cert, key = issued.write(self.directory, f"cert-{self._made}")
        return {"main": {"cert_file": cert, "key_file": key}}

    async def site(
        self,
        domain,
        *,
        names=None,
        issuer=None,
        plugins=("tls",),
        tables=None,
        trust=None,
        cert=None,
        **federation,
    ):
        """A proxy that serves ``domain``; its certificate names ``names``, or the domain.

        Its records name sip.DOMAIN, unless ``records`` is changed and published anew.
        """
        bind = f"127.0.0.{len(self.sites) + 11}"
        proxy = await self.start(
            domains=[domain],
            plugins=list(plugins),
            certificate=self.certificate(*(names or [domain]), issuer=issuer, **(cert or {})),
            trust={"ca": str(self.ca_file), **LOOPBACK, **(trust or {})},
            dns={"servers": [self.dns.server], "timeout": "10s"},
            limits={"connect_timeout": 20},
            **{
                **(tables or {}),
                "open-federation": {
                    "certificate": "main",
                    "bind": bind,
                    "port": 0,
                    "ports": [],
                    **federation,
                },
            },
        )
        agent = await proxy.open_peer(domain)
        site = self.sites[domain] = Site(domain, proxy, agent, bind)
        if "interface" not in federation:
            self.publish(site)
        return site

    def publish(self, site, *, target=None, address=None, port=None, ttl=300, more=""):
        """The records of a site, with what is different about them."""
        target = target or f"sip.{site.domain}"
        port = site.port if port is None else port
        lines = [f"_sipfederationtls._tcp.{site.domain}. {ttl} IN SRV 0 0 {port} {target}."]
        if address != "":
            lines.append(f"{target}. 300 IN A {address or site.bind}")
        self.records[site.domain] = "\n".join([*lines, more])
        self.load()

    def say(self, domain, text):
        """These records for a domain, in the place of those it had."""
        self.records[domain] = text
        self.load()

    async def impatient(self, site, timeout="500ms"):
        """A name server that is silent is given up soon; else a busy machine has its time."""
        await site.proxy.reload(dns={"servers": [self.dns.server], "timeout": timeout})

    def load(self):
        self.dns.load("\n".join(self.records.values()) + "\n")

    def forget(self):
        """Everybody asks the DNS anew."""
        for site in self.sites.values():
            site.proxy.kernel.resolver.flush()


@pytest.fixture
async def lab(tmp_path, nursery, sipx_on_loopback):
    return await Lab(tmp_path, sipx_on_loopback, nursery).begin()


def said(response):
    """The sentence of a refusal."""
    return (response.get(b"Warning") or b"").decode()


@pytest.fixture
def eventually():
    """Wait for something to become true, by turns of the loop; the deadline is far."""

    async def wait(condition):
        with trio.fail_after(10):
            while not condition():
                await trio.sleep(0.005)

    return wait
