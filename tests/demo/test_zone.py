"""The records of the show are such as a resolver reads them."""

from sipx.demo.zone import zone
from sipx.lookup import DnsSettings
from sipx.resolver import Resolver
from sipx.testing.dns import dns_server


async def test_each_domain_has_its_record_and_its_host_an_address():
    text = zone({"home.example": ("127.0.0.1", 4001), "partner.example": ("127.0.0.1", 4002)})
    async with dns_server(text) as dns:
        resolver = Resolver(DnsSettings(servers=(dns.server,)))
        for domain, port in (("home.example", 4001), ("partner.example", 4002)):
            answer = await resolver.service(f"_sipfederationtls._tcp.{domain}")
            (record,) = answer.records
            assert (record.port, record.target) == (port, f"sip.{domain}")
