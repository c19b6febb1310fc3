"""The cache under the resolver: lifetimes, sharing, bounds, and what a failure may not do."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio

from sipx.addresses import AddressFilter
from sipx.resolver import DnsSettings, Question, ResolveError, Resolver
from sipx.testing.dns import DnsServer, dns_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ZONE = """
soa.example.        60 IN SOA ns.soa.example. admin.soa.example. 1 1 1 1 20
host.soa.example.   60 IN A   192.0.2.1
host.example.       60 IN A   192.0.2.1
brief.example.       0 IN A   192.0.2.1
long.example.   999999 IN A   192.0.2.1
"""


class Clock:
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


@pytest.mark.parametrize(
    ("host", "lifetime"), [("host.example", 60), ("brief.example", 5), ("long.example", 3600)]
)
async def test_an_answer_lives_for_its_ttl_within_the_bounds(
    resolver: Resolver, dns: DnsServer, clock: Clock, host: str, lifetime: float
) -> None:
    await resolver.addresses(host)
    clock.now += lifetime - 0.1
    assert resolver.cached_addresses(host) == ("192.0.2.1",)

    dns.load(f"{host}. IN A 192.0.2.2")
    clock.now += 0.2
    assert resolver.cached_addresses(host) is None
    assert await resolver.addresses(host) == ("192.0.2.2",)


@pytest.mark.parametrize(
    ("host", "lifetime"), [("gone.soa.example", 20), ("gone.example", 30)], ids=["soa", "no soa"]
)
async def test_a_no_lives_as_long_as_the_soa_says(
    resolver: Resolver, dns: DnsServer, clock: Clock, host: str, lifetime: float
) -> None:
    with pytest.raises(ResolveError, match="NXDOMAIN"):
        await resolver.addresses(host)
    asked = len(dns.queries)
    dns.load(f"{host}. IN A 192.0.2.2")
    clock.now += lifetime - 0.1
    with pytest.raises(ResolveError, match="NXDOMAIN"):
        await resolver.addresses(host)
    assert len(dns.queries) == asked

    clock.now += 0.2
    assert await resolver.addresses(host) == ("192.0.2.2",)


async def test_servfail_does_not_evict_a_valid_answer_and_is_believed_for_seconds(
    resolver: Resolver, dns: DnsServer, clock: Clock
) -> None:
    await resolver.addresses("host.example")
    dns.fail("host.example")
    clock.now += 59
    assert await resolver.addresses("host.example") == ("192.0.2.1",)

    clock.now += 2
    with pytest.raises(ResolveError, match="SERVFAIL"):
        await resolver.addresses("host.example")
    dns.heal("host.example")
    clock.now += 5.1
    assert await resolver.addresses("host.example") == ("192.0.2.1",)


async def test_a_late_failure_does_not_replace_what_was_learnt_meanwhile(
    resolver: Resolver, clock: Clock
) -> None:
    cache = resolver._dns
    good = await cache.ask("host.example", "A")
    late = cache._failed("host.example", "A", "timeout", "too late")
    cache._store(("host.example", "A"), late)
    assert cache.peek("host.example", "A") == good

    clock.now += 61
    cache._store(("host.example", "A"), late._replace(expires=clock.now + 5))
    assert cache.peek("host.example", "A").failure == "timeout"


async def test_questions_that_come_together_are_asked_once(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.delay("host.example", 0.05)
    found: list[tuple[str, ...]] = []

    async def ask() -> None:
        found.append(await resolver.addresses("host.example"))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)

    assert found == [("192.0.2.1",)] * 50
    assert (dns.count("host.example", "A"), dns.count("host.example", "AAAA")) == (1, 1)
    assert resolver.statistics().shared == 98


async def test_a_failure_is_shared_like_an_answer(resolver: Resolver, dns: DnsServer) -> None:
    dns.delay("absent.example", 0.05)
    kinds: list[str] = []

    async def ask() -> None:
        try:
            await resolver.addresses("absent.example")
        except ResolveError as failure:
            kinds.append(failure.kind)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
    assert kinds == ["nxdomain"] * 10
    assert dns.count("absent.example") == 2


async def test_when_the_asker_gives_up_another_who_waits_asks_in_its_place(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.silence("host.example")
    found: list[tuple[str, ...]] = []

    async def ask() -> None:
        found.append(await resolver.addresses("host.example"))

    impatience = trio.CancelScope()

    async def ask_until_cancelled() -> None:
        with impatience:
            await ask()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_until_cancelled)
        await dns.wait_asked("host.example", times=2)
        nursery.start_soon(ask)
        while resolver.statistics().shared < 2:
            await trio.lowlevel.checkpoint()
        dns.heal("host.example")
        impatience.cancel()

    assert found == [("192.0.2.1",)]


async def test_a_name_that_fails_or_hangs_delays_and_spoils_no_other(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.fail("bad.example")
    dns.silence("slow.example")
    async with trio.open_nursery() as nursery:

        async def hang() -> None:
            await resolver.addresses("slow.example")

        nursery.start_soon(hang)
        await dns.wait_asked("slow.example")
        with pytest.raises(ResolveError):
            await resolver.addresses("bad.example")
        assert await resolver.addresses("host.example") == ("192.0.2.1",)
        nursery.cancel_scope.cancel()


async def test_the_tables_are_bounded_and_the_oldest_entry_goes_first(
    dns: DnsServer, clock: Clock
) -> None:
    settings = DnsSettings(servers=(dns.server,), max_entries=10)
    resolver = Resolver(settings, clock=clock)
    dns.load("\n".join(f"h{n}.example. IN A 192.0.2.{n}" for n in range(20)))
    for number in range(20):
        await resolver.addresses(f"h{number}.example")
        resolver.cached(Question(f"192.0.2.{number}", None, None, False, ("udp",)))

    statistics = resolver.statistics()
    assert (statistics.entries, statistics.evicted) == (10, 30)
    assert len(resolver._plans) == 10
    assert resolver.cached_addresses("h0.example") is None
    assert resolver.cached_addresses("h19.example") == ("192.0.2.19",)


async def test_too_many_waiting_questions_fail_at_once(
    resolver: Resolver, dns: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipx.lookup.MAX_WAITING", 2)
    dns.silence("slow.example")
    async with trio.open_nursery() as nursery:

        async def hang() -> None:
            await resolver.addresses("slow.example")

        nursery.start_soon(hang)
        await dns.wait_asked("slow.example", times=2)
        with pytest.raises(ResolveError, match="are waiting already"):
            await resolver.addresses("host.example")
        assert dns.count("host.example") == 0
        nursery.cancel_scope.cancel()

    assert await resolver.addresses("host.example") == ("192.0.2.1",)


async def test_sec09_a_name_that_is_rebound_to_the_inside_is_refused(
    resolver: Resolver, dns: DnsServer, clock: Clock
) -> None:
    question = Question("host.example", 5060, "udp", False, ("udp",))
    permitted = AddressFilter()
    [hop] = await resolver.resolve(question, permitted)
    assert hop.address == "192.0.2.1"

    dns.load("host.example. 60 IN A 127.0.0.1")
    clock.now += 61
    with pytest.raises(ResolveError, match=r"127\.0\.0\.1 is a loopback address") as failure:
        await resolver.resolve(question, permitted)
    assert failure.value.kind == "filtered"
    assert resolver.cached(question, permitted) is None
    assert resolver.cached(question, AddressFilter(["127.0.0.1"])) is not None


async def test_sec09_only_the_refused_addresses_of_a_name_are_left_out(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.load("mixed.example. IN A 10.0.0.1\nmixed.example. IN A 192.0.2.1")
    question = Question("mixed.example", 5060, "udp", False, ("udp",))

    [hop] = await resolver.resolve(question, AddressFilter())
    assert hop.address == "192.0.2.1"
    assert len(await resolver.resolve(question)) == 2


async def test_sec09_a_numeric_host_passes_the_same_filter(resolver: Resolver) -> None:
    question = Question("::ffff:169.254.169.254", 80, "tcp", False, ("tcp",))

    assert resolver.cached(question, AddressFilter()) is None
    with pytest.raises(ResolveError, match="metadata service"):
        await resolver.resolve(question, AddressFilter())


async def test_flush_forgets_answers_and_plans(resolver: Resolver, dns: DnsServer) -> None:
    await resolver.addresses("host.example")
    dns.load("host.example. IN A 192.0.2.7")
    assert {answer.type for answer in resolver.answers()} == {"A", "AAAA"}

    resolver.flush()
    assert resolver.answers() == ()
    assert resolver.cached_addresses("host.example") is None
    assert await resolver.addresses("host.example") == ("192.0.2.7",)


async def test_an_explanation_tells_each_question_its_answer_and_its_ttl(
    resolver: Resolver, dns: DnsServer, clock: Clock
) -> None:
    dns.load("_sip._udp.x.example. 40 IN SRV 1 0 5070 h.x.example.\nh.x.example. 60 IN A 192.0.2.1")
    question = Question("x.example", None, "udp", False, ("udp",))

    first = await resolver.explain(question)
    assert [step.question for step in first.steps] == [
        "SRV _sip._udp.x.example",
        "A h.x.example",
        "AAAA h.x.example",
    ]
    assert first.lines()[0] == (
        f"SRV _sip._udp.x.example: 1 0 5070 h.x.example., says {dns.server} (TTL 40 s)"
    )
    assert first.lines()[-1] == "1. udp to 192.0.2.1 port 5070 as x.example"
    assert first.error is None

    clock.now += 10
    again = await resolver.explain(question)
    assert again.lines()[0].endswith("(TTL 30 s), from the cache")


async def test_an_explanation_of_a_failure_ends_with_it(resolver: Resolver) -> None:
    explanation = await resolver.explain(Question("no.example", 5060, None, False, ("udp",)))

    assert explanation.hops == ()
    assert explanation.lines()[-1].startswith("nxdomain: A no.example: the name does not exist")


async def test_statistics_count_hits_misses_queries_and_failures(
    resolver: Resolver, dns: DnsServer
) -> None:
    dns.fail("bad.example")
    await resolver.addresses("host.example")
    with pytest.raises(ResolveError):
        await resolver.addresses("bad.example")
    with pytest.raises(ResolveError):
        await resolver.addresses("bad.example")

    assert resolver.cached_addresses("host.example") == ("192.0.2.1",)

    statistics = resolver.statistics()
    assert (statistics.misses, statistics.queries, statistics.failures) == (4, 4, 2)
    assert (statistics.hits, statistics.waiting, statistics.entries) == (3, 0, 4)


async def test_without_any_name_server_the_failure_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    import dns.resolver as stub

    empty = tmp_path / "resolv.conf"
    empty.write_text("")
    original = stub.BaseResolver.read_resolv_conf
    monkeypatch.setattr(
        stub.BaseResolver, "read_resolv_conf", lambda self, f: original(self, str(empty))
    )

    with pytest.raises(ResolveError, match="no name server") as failure:
        await Resolver(DnsSettings()).addresses("host.example")
    assert failure.value.kind == "servfail"
