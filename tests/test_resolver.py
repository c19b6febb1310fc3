"""RFC 3263 against a real DNS server on loopback; times are those of a clock that tests set."""

from __future__ import annotations

import errno
import math
import os
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sipx.resolver import (
    DnsSettings,
    Hop,
    Question,
    ResolveError,
    Resolver,
    SrvRecord,
    draw,
    question_of,
)
from sipx.sip.uri import SipUri
from sipx.testing.dns import DnsServer, dns_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ZONE = """
example.com.             60 IN SOA  ns.example.com. admin.example.com. 1 1 1 1 60
example.com.             60 IN A    192.0.2.80
_sip._udp.example.com.   60 IN SRV  10 0 5070 a.example.com.
_sip._tcp.example.com.   60 IN SRV  10 0 5071 b.example.com.
_sips._tcp.example.com.  60 IN SRV  10 0 5072 c.example.com.
a.example.com.           60 IN A    192.0.2.1
b.example.com.           60 IN A    192.0.2.2
c.example.com.           60 IN A    192.0.2.3
c.example.com.           60 IN AAAA 2001:db8::3

naptr.example.      60 IN NAPTR 50 20 "s" "SIP+D2T"  "" _sip._tcp.example.com.
naptr.example.      60 IN NAPTR 50 10 "S" "sip+d2s"  "" _sip._sctp.example.com.
naptr.example.      60 IN NAPTR 50 30 "s" "SIPS+D2T" "" _sips._tcp.example.com.
naptr.example.      60 IN NAPTR 90 10 "s" "SIP+D2U"  "" _sip._udp.example.com.
naptr.example.      60 IN NAPTR 10 10 "u" "E2U+sip"  "!^.*$!sip:x@example.com!" .

onlyhost.example.   60 IN A    192.0.2.9
onlyhost.example.   60 IN AAAA 2001:db8::9

alias.example.      60 IN CNAME onlyhost.example.
service.example.    60 IN TXT "no address here"
_sip._udp.lost.example. 60 IN SRV 1 0 5060 nowhere.example.
_sip._udp.closed.example. 60 IN SRV 0 0 0 .
closed.example.     60 IN A 192.0.2.66
"""
ALL = ("udp", "tcp", "tls")


class Clock:
    """A clock for the cache alone; packets travel in real time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with dns_server(ZONE) as server:
        yield server


@pytest.fixture
def resolver(dns: DnsServer, clock: Clock) -> Resolver:
    settings = DnsSettings(servers=(dns.server,), timeout=2.0)
    return Resolver(settings, clock=clock, rng=random.Random(1), ipv6_first=False)


def ask(uri: str, transports: tuple[str, ...] = ALL) -> Question:
    return question_of(SipUri.parse(uri.encode()), transports)


def shown(hops: tuple[Hop, ...]) -> list[str]:
    return [f"{hop.transport} {hop.address} {hop.port}" for hop in hops]


NUMERIC_OR_NOT = [
    # A numeric host: no DNS at all.
    ("sip:alice@192.0.2.5", ["udp 192.0.2.5 5060"], []),
    ("sip:192.0.2.5;transport=tcp", ["tcp 192.0.2.5 5060"], []),
    ("sip:192.0.2.5:5099", ["udp 192.0.2.5 5099"], []),
    ("sip:[2001:db8::5];transport=TLS", ["tls 2001:db8::5 5061"], []),
    ("sips:192.0.2.5", ["tls 192.0.2.5 5061"], []),
    ("sips:192.0.2.5:5099;transport=tcp", ["tls 192.0.2.5 5099"], []),
    ("sip:192.0.2.5;maddr=192.0.2.99", ["udp 192.0.2.5 5060"], []),
    # An explicit port: addresses only.
    ("sip:example.com:5099", ["udp 192.0.2.80 5099"], ["A", "AAAA"]),
    ("sip:example.com:5099;transport=tcp", ["tcp 192.0.2.80 5099"], ["A", "AAAA"]),
    ("sips:example.com:5099", ["tls 192.0.2.80 5099"], ["A", "AAAA"]),
    # The transport parameter wins: SRV of that transport, no NAPTR.
    ("sip:example.com;transport=udp", ["udp 192.0.2.1 5070"], ["SRV", "A", "AAAA"]),
    ("sip:Example.COM.;transport=tcp", ["tcp 192.0.2.2 5071"], ["SRV", "A", "AAAA"]),
    (
        "sip:example.com;transport=tls",
        ["tls 192.0.2.3 5072", "tls 2001:db8::3 5072"],
        ["SRV", "A", "AAAA"],
    ),
    (
        "sips:example.com;transport=tcp",
        ["tls 192.0.2.3 5072", "tls 2001:db8::3 5072"],
        ["SRV", "A", "AAAA"],
    ),
    (
        "sip:onlyhost.example;transport=tcp",
        ["tcp 192.0.2.9 5060", "tcp 2001:db8::9 5060"],
        ["SRV", "A", "AAAA"],
    ),
    # Nothing given: NAPTR, then SRV, then addresses.
    ("sip:naptr.example", ["tcp 192.0.2.2 5071"], ["NAPTR", "SRV", "SRV", "SRV", "A", "AAAA"]),
    (
        "sips:naptr.example",
        ["tls 192.0.2.3 5072", "tls 2001:db8::3 5072"],
        ["NAPTR", "SRV", "A", "AAAA"],
    ),
    ("sip:example.com", ["udp 192.0.2.1 5070"], ["NAPTR", "SRV", "SRV", "SRV", "A", "AAAA"]),
    (
        "sips:example.com",
        ["tls 192.0.2.3 5072", "tls 2001:db8::3 5072"],
        ["NAPTR", "SRV", "A", "AAAA"],
    ),
    (
        "sip:onlyhost.example",
        ["udp 192.0.2.9 5060", "udp 2001:db8::9 5060"],
        ["NAPTR", "SRV", "SRV", "SRV", "A", "AAAA"],
    ),
    (
        "sips:onlyhost.example",
        ["tls 192.0.2.9 5061", "tls 2001:db8::9 5061"],
        ["NAPTR", "SRV", "A", "AAAA"],
    ),
]


@pytest.mark.parametrize(("uri", "hops", "asked"), NUMERIC_OR_NOT)
async def test_d01_a_uri_leads_where_rfc_3263_says_and_asks_no_more_than_it_says(
    resolver: Resolver, dns: DnsServer, uri: str, hops: list[str], asked: list[str]
) -> None:
    question = ask(uri)

    assert shown(await resolver.resolve(question)) == hops
    assert sorted(q.type for q in dns.queries) == sorted(asked)
    assert shown(resolver.cached(question) or ()) == hops


@pytest.mark.parametrize("uri", [row[0] for row in NUMERIC_OR_NOT if not row[2]])
async def test_d01_numeric_hosts_are_known_at_once(resolver: Resolver, uri: str) -> None:
    assert resolver.cached(ask(uri)) is not None


async def test_d01_the_preference_of_the_proxy_orders_what_dns_leaves_open(
    resolver: Resolver,
) -> None:
    assert shown(await resolver.resolve(ask("sip:example.com", ("tcp", "udp")))) == [
        "tcp 192.0.2.2 5071"
    ]
    assert (await resolver.resolve(ask("sip:example.com", ("mtls", "tls"))))[0].transport == "mtls"
    assert shown(await resolver.resolve(ask("sip:192.0.2.5", ("tcp", "tls")))) == [
        "tcp 192.0.2.5 5060"
    ]


@pytest.mark.parametrize(
    ("uri", "transports", "needs"),
    [
        ("sip:192.0.2.5;transport=sctp", ALL, "transport sctp; this proxy has udp, tcp, tls"),
        ("sips:192.0.2.5;transport=udp", ALL, "transport udp"),
        ("sips:example.com", ("udp", "tcp"), "TLS; this proxy has udp, tcp"),
        ("sip:example.com:5060;transport=tls", ("udp",), "transport tls"),
    ],
)
async def test_a_transport_that_the_proxy_has_not_is_said_in_words(
    resolver: Resolver, uri: str, transports: tuple[str, ...], needs: str
) -> None:
    question = ask(uri, transports)

    assert resolver.cached(question) is None
    with pytest.raises(ResolveError, match=needs) as failure:
        await resolver.resolve(question)
    assert failure.value.kind == "nodata"


async def test_a_hop_carries_the_name_that_was_asked_for_not_one_that_dns_put_in_its_place(
    resolver: Resolver,
) -> None:
    [hop] = await resolver.resolve(ask("sip:EXAMPLE.com;transport=udp"))

    assert hop.name == "example.com"
    numeric = Question("[2001:DB8::5]", None, "tls", False, ALL)
    assert resolver.cached(numeric) == (Hop("2001:db8::5", 5061, "tls", "2001:db8::5"),)


@pytest.mark.parametrize("ipv6_first", [True, False])
async def test_the_family_that_comes_first_is_that_of_the_machine(
    dns: DnsServer, ipv6_first: bool
) -> None:
    resolver = Resolver(DnsSettings(servers=(dns.server,)), ipv6_first=ipv6_first)

    v4_then_v6 = ("192.0.2.9", "2001:db8::9")
    assert await resolver.addresses("OnlyHost.example.") == (
        v4_then_v6[::-1] if ipv6_first else v4_then_v6
    )


@pytest.mark.parametrize("chase", [True, False])
async def test_a_cname_is_followed_whether_the_server_followed_it_or_not(
    resolver: Resolver, dns: DnsServer, chase: bool
) -> None:
    dns.chase = chase

    assert await resolver.addresses("alias.example") == ("192.0.2.9", "2001:db8::9")


async def test_a_ring_of_cnames_ends(resolver: Resolver, dns: DnsServer) -> None:
    dns.load("a.example. IN CNAME b.example.\nb.example. IN CNAME a.example.")
    dns.chase = False

    with pytest.raises(ResolveError) as failure:
        await resolver.addresses("a.example")
    assert failure.value.kind == "servfail"
    assert dns.count("a.example") + dns.count("b.example") <= 16


async def test_a_truncated_answer_is_asked_for_again_over_tcp(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.truncate("onlyhost.example", "A")

    assert await resolver.addresses("onlyhost.example") == ("192.0.2.9", "2001:db8::9")
    assert [q.over for q in dns.queries if q.type == "A"] == ["udp", "tcp"]


# ---------------------------------------------------------------- SRV order


def within_3_sigma(count: int, draws: int, share: float) -> bool:
    return abs(count - draws * share) <= 3 * math.sqrt(draws * share * (1 - share))


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ((1, 1), (1 / 2, 1 / 2)),
        ((1, 3), (1 / 4, 3 / 4)),
        ((60, 20, 10, 10), (0.6, 0.2, 0.1, 0.1)),
        ((0, 10, 30), (1 / 41, 10 / 41, 30 / 41)),
        ((0, 0, 0), (1 / 3, 1 / 3, 1 / 3)),
        ((0, 0, 98), (1 / 198, 1 / 198, 98 / 99)),
    ],
)
def test_d02_first_places_follow_the_weights_in_10000_draws(
    weights: tuple[int, ...], shares: tuple[float, ...]
) -> None:
    rng = random.Random(2782)
    pool = [SrvRecord(1, weight, 5060, f"t{n}") for n, weight in enumerate(weights)]
    first = Counter(draw(pool, rng)[0].target for _ in range(10_000))

    for number, share in enumerate(shares):
        assert within_3_sigma(first[f"t{number}"], 10_000, share), (number, first)


def test_d02_second_places_follow_the_weights_that_are_left() -> None:
    rng = random.Random(2782)
    pool = [SrvRecord(1, weight, 5060, str(weight)) for weight in (20, 30, 50)]
    orders = [draw(pool, rng) for _ in range(10_000)]
    after_50 = [order[1].target for order in orders if order[0].target == "50"]

    assert within_3_sigma(after_50.count("30"), len(after_50), 30 / 50)
    assert all(sorted(order) == sorted(pool) for order in orders)


async def test_d02_each_use_of_cached_records_draws_anew_and_priorities_stay_in_order(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.load(
        """
        _sip._udp.pool.example. IN SRV 20 0 5060 backup.pool.example.
        _sip._udp.pool.example. IN SRV 10 3 5060 big.pool.example.
        _sip._udp.pool.example. IN SRV 10 1 5060 small.pool.example.
        big.pool.example.    IN A 192.0.2.3
        small.pool.example.  IN A 192.0.2.1
        backup.pool.example. IN A 192.0.2.20
        """
    )
    question = ask("sip:pool.example;transport=udp")
    await resolver.resolve(question)
    asked = len(dns.queries)
    orders = [resolver.cached(question) or () for _ in range(10_000)]

    assert {order[2].address for order in orders} == {"192.0.2.20"}
    first = Counter(order[0].address for order in orders)
    assert within_3_sigma(first["192.0.2.3"], 10_000, 3 / 4)
    assert len(dns.queries) == asked


async def test_the_failover_order_is_all_addresses_of_a_target_then_the_next_target(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.load(
        """
        _sip._tcp.ha.example. IN SRV 2 0 5062 second.ha.example.
        _sip._tcp.ha.example. IN SRV 1 0 5061 first.ha.example.
        _sip._tcp.ha.example. IN SRV 3 0 5063 gone.ha.example.
        first.ha.example.  IN A 192.0.2.1
        first.ha.example.  IN A 192.0.2.2
        second.ha.example. IN AAAA 2001:db8::2
        """
    )

    assert shown(await resolver.resolve(ask("sip:ha.example;transport=tcp"))) == [
        "tcp 192.0.2.1 5061",
        "tcp 192.0.2.2 5061",
        "tcp 2001:db8::2 5062",
    ]


async def test_a_transport_whose_targets_have_no_address_gives_way_to_the_next(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.load(
        """
        _sip._udp.half.example. IN SRV 1 0 5060 nowhere.half.example.
        _sip._tcp.half.example. IN SRV 1 0 5060 there.half.example.
        there.half.example. IN A 192.0.2.1
        """
    )

    assert shown(await resolver.resolve(ask("sip:half.example"))) == ["tcp 192.0.2.1 5060"]


async def test_srv_gives_the_records_by_priority(resolver: Resolver, dns: DnsServer) -> None:
    dns.load(
        "_x._tcp.example. IN SRV 2 0 1 Two.example.\n_x._tcp.example. IN SRV 1 0 1 one.example."
    )

    assert await resolver.srv("_X._tcp.example.") == (
        SrvRecord(1, 0, 1, "one.example"),
        SrvRecord(2, 0, 1, "two.example"),
    )


# ---------------------------------------------------------------- failures


async def test_a_target_of_dot_refuses_and_the_host_itself_is_not_tried(
    resolver: Resolver, dns: DnsServer
) -> None:
    for uri in ("sip:closed.example", "sip:closed.example;transport=udp"):
        with pytest.raises(ResolveError, match="not available") as failure:
            await resolver.resolve(ask(uri))
        assert failure.value.kind == "refused"
    with pytest.raises(ResolveError, match="not available") as failure:
        await resolver.srv("_sip._udp.closed.example")
    assert failure.value.kind == "refused"
    assert dns.count("closed.example", "A") == 0


async def test_the_text_of_a_failure_says_what_was_asked_of_whom_and_what_came(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.fail("broken.example")
    for host, kind, text in (
        ("missing.example", "nxdomain", f"A missing.example: .*NXDOMAIN.* says {dns.server}"),
        ("service.example", "nodata", f"service.example: .*no A record, says {dns.server}"),
        ("broken.example", "servfail", f"A broken.example: SERVFAIL from {dns.server}"),
    ):
        with pytest.raises(ResolveError, match=text) as failure:
            await resolver.addresses(host)
        assert failure.value.kind == kind


async def test_srv_targets_without_address_are_a_failure_not_a_reason_to_try_the_host(
    resolver: Resolver,
) -> None:
    with pytest.raises(ResolveError, match=r"nowhere\.example") as failure:
        await resolver.resolve(ask("sip:lost.example;transport=udp"))
    assert failure.value.kind == "nxdomain"


async def test_a_server_that_does_not_answer_is_a_timeout(clock: Clock) -> None:
    async with dns_server(ZONE) as dns:
        dns.silence("onlyhost.example")
        resolver = Resolver(DnsSettings(servers=(dns.server,), timeout=0.2), clock=clock)

        with pytest.raises(ResolveError, match=rf"no answer within 0\.2 s from {dns.server}") as no:
            await resolver.addresses("onlyhost.example")
        assert no.value.kind == "timeout"

        # Nobody is asked again at once; five seconds later the failure is forgotten.
        dns.heal("onlyhost.example")
        clock.now += 4.9
        with pytest.raises(ResolveError, match="no answer"):
            await resolver.addresses("onlyhost.example")
        clock.now += 0.2
        assert "192.0.2.9" in await resolver.addresses("onlyhost.example")


async def test_a_dead_first_server_leaves_time_for_the_second(clock: Clock) -> None:
    async with dns_server(ZONE) as dead, dns_server(ZONE) as good:
        dead.silence("onlyhost.example")
        settings = DnsSettings(servers=(dead.server, good.server), timeout=0.5)

        assert await Resolver(settings, clock=clock, ipv6_first=False).addresses(
            "onlyhost.example"
        ) == ("192.0.2.9", "2001:db8::9")


async def test_a_failing_srv_question_is_not_taken_for_no_srv(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.fail("_sip._udp.example.com")

    with pytest.raises(ResolveError, match="SERVFAIL") as failure:
        await resolver.resolve(ask("sip:example.com;transport=udp"))
    assert failure.value.kind == "servfail"
    assert dns.count("example.com", "A") == 0


async def test_a_server_that_fails_for_naptr_only_does_not_hide_the_srv_records(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.fail("example.com", "NAPTR", rcode="NOTIMP")

    assert shown(await resolver.resolve(ask("sip:example.com"))) == ["udp 192.0.2.1 5070"]


async def test_one_family_that_fails_does_not_hide_the_other_and_is_asked_again_soon(
    resolver: Resolver, dns: DnsServer, clock: Clock
) -> None:
    dns.fail("onlyhost.example", "AAAA")
    assert await resolver.addresses("onlyhost.example") == ("192.0.2.9",)

    dns.heal("onlyhost.example", "AAAA")
    clock.now += 5.1
    assert resolver.cached_addresses("onlyhost.example") is None
    assert await resolver.addresses("onlyhost.example") == ("192.0.2.9", "2001:db8::9")
    assert dns.count("onlyhost.example", "A") == 1


@pytest.mark.parametrize("name", ["127.1", "0x7f.1", "0x7f000001", "2130706433", "a..b", "-a.b"])
async def test_what_only_the_c_library_reads_as_an_address_is_asked_of_nobody(
    resolver: Resolver, dns: DnsServer, name: str
) -> None:
    with pytest.raises(ResolveError, match="not a host name") as failure:
        await resolver.addresses(name)
    assert failure.value.kind == "nxdomain"
    assert dns.queries == []


async def test_localhost_and_invalid_are_asked_of_nobody(
    resolver: Resolver, dns: DnsServer
) -> None:
    assert await resolver.addresses("localhost") == ("127.0.0.1", "::1")
    assert shown(await resolver.resolve(ask("sip:sipx.localhost", ("udp",))))[0] == (
        "udp 127.0.0.1 5060"
    )
    with pytest.raises(ResolveError, match="RFC 6761"):
        await resolver.resolve(ask("sip:df7jal23ls0d.invalid"))
    assert dns.queries == []


def test_servers_are_read_with_and_without_port_and_anything_else_is_a_value_error() -> None:
    DnsSettings(servers=("9.9.9.9", "2620:fe::fe", "[2620:fe::fe]:53", "127.0.0.1:5353"))
    for wrong in ("dns.example", "9.9.9.9:0", "9.9.9.9:65536", "[2620:fe::fe]:x", "", "9.9.9.9:"):
        with pytest.raises(ValueError, match=r"name server|port must be"):
            DnsSettings(servers=(wrong,))


async def test_a_name_server_that_cannot_be_reached_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(*given: object, **more: object) -> None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr("dns.asyncquery.udp", unreachable)
    resolver = Resolver(DnsSettings(servers=("192.0.2.53",)))
    with pytest.raises(ResolveError) as failure:
        await resolver.addresses("host.example")
    assert "Network is unreachable from 192.0.2.53" in str(failure.value)
    assert "Errno" not in str(failure.value)
