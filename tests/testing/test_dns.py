"""The DNS server for tests answers as a real one does."""

from __future__ import annotations

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest
import trio

from sipx.testing.dns import DnsServer, Query, dns_server

ZONE = """
example.com.      60 IN SOA ns.example.com. admin.example.com. 1 1 1 1 20
www.example.com      IN CNAME host.example.com.
host.example.com. 30 IN A 192.0.2.1
host.example.com. 30 IN A 192.0.2.2
"""


async def ask(server: DnsServer, name: str, kind: str = "A", *, tcp: bool = False):
    query = dns.message.make_query(name, kind)
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await send(query, server.host, port=server.port, timeout=2)


@pytest.mark.parametrize("tcp", [False, True])
async def test_records_come_over_udp_and_tcp_and_questions_are_counted(tcp: bool) -> None:
    async with dns_server(ZONE) as server:
        answer = await ask(server, "Host.Example.com", tcp=tcp)

        assert [r.to_text() for r in answer.answer[0]] == ["192.0.2.1", "192.0.2.2"]
        assert server.queries == [Query("host.example.com", "A", "tcp" if tcp else "udp")]
        assert (server.count("host.example.com"), server.count("host.example.com", "MX")) == (1, 0)


async def test_a_cname_brings_its_target_unless_told_otherwise() -> None:
    async with dns_server(ZONE) as server:
        assert len((await ask(server, "www.example.com")).answer) == 2
        server.chase = False
        assert len((await ask(server, "www.example.com")).answer) == 1


async def test_absent_names_absent_types_and_empty_nodes_differ_and_carry_the_soa() -> None:
    async with dns_server(ZONE) as server:
        absent = await ask(server, "nothing.example.com")
        assert absent.rcode() == dns.rcode.NXDOMAIN
        assert [rrset.ttl for rrset in absent.authority] == [60]
        assert (await ask(server, "host.example.com", "MX")).rcode() == dns.rcode.NOERROR
        assert (await ask(server, "com")).rcode() == dns.rcode.NOERROR
        assert (await ask(server, "other.example")).authority == []


async def test_faults_hold_for_one_name_and_type_until_they_are_healed() -> None:
    async with dns_server(ZONE) as server:
        server.fail("host.example.com", "A", rcode="REFUSED")
        assert (await ask(server, "host.example.com")).rcode() == dns.rcode.REFUSED
        assert (await ask(server, "host.example.com", "MX")).rcode() == dns.rcode.NOERROR

        server.truncate("host.example.com", "A")
        assert (await ask(server, "host.example.com")).flags & dns.flags.TC
        assert not (await ask(server, "host.example.com", tcp=True)).flags & dns.flags.TC

        server.heal("host.example.com", "A")
        assert (await ask(server, "host.example.com")).answer


async def test_a_silent_name_delays_no_other_and_new_records_hold_at_once() -> None:
    async with dns_server(ZONE) as server, trio.open_nursery() as nursery:
        server.silence("host.example.com")
        nursery.start_soon(ask, server, "host.example.com")
        await server.wait_asked("host.example.com", "A")
        server.load("other.example. IN A 192.0.2.9")

        assert (await ask(server, "other.example")).answer
        nursery.cancel_scope.cancel()


async def test_what_is_no_dns_message_is_passed_over() -> None:
    async with dns_server(ZONE) as server:
        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as socket:
            await socket.sendto(b"\xff", (server.host, server.port))
        assert (await ask(server, "host.example.com")).answer
