"""Connections live as long as subscriptions do, and are opened again where they break."""

from __future__ import annotations

import logging
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio
from sipx_open_federation import connections
from sipx_open_federation.connections import Connections

from sipx import (
    Discovered,
    Flow,
    NextHop,
    Partner,
    Proxy,
    Refuse,
    Sender,
    SenderKind,
    SendError,
    Target,
    Targets,
)
from sipx.testing import a_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container

    from sipx import Branch
    from sipx.sip import Request

NEAR = b"partner.example"
PARTNER = Partner(name="partner.example (discovered)", domain=NEAR, discovered=True)
OUTWARD = Target(name=PARTNER.name, partner=PARTNER, discovered=True)
OLD = Target(
    name=PARTNER.name,
    partner=PARTNER,
    discovered=True,
    hops=(NextHop("old.partner.example", 5061, "mtls"),),
)
INWARD = Target(name="uc")
DISCOVERED = Sender(SenderKind.DISCOVERED, PARTNER.name, (), trusted=False, partner=PARTNER)
SERVER = Sender(SenderKind.UC_SERVER, "uc", (), trusted=True)


class Connection:
    """As much of a flow as is looked at."""

    def __init__(self, *, outbound: bool = True, opened_at: float = 0.0) -> None:
        self.outbound = outbound
        self.opened_at = opened_at
        self.keep_until = 0.0
        self.closed = False
        self.name = "mtls:192.0.2.1:5061"

    @property
    def flow(self) -> Flow:
        return cast("Flow", self)


class Bench:
    """Connections, and a network where servers are up or not."""

    def __init__(self, first: Container[bytes] = ()) -> None:
        self.silent: set[str] = set()
        self.tried: list[tuple[float, str]] = []
        self.up: set[str] = set()
        self.opened: list[Connection] = []
        self.found: Refuse | None = None
        self.gone = False
        self.names: tuple[str, ...] = ("a.partner.example", "b.partner.example")
        proxy = SimpleNamespace(
            now=trio.current_time,
            random=Random(7),
            log=logging.getLogger("sipx.plugin.open-federation"),
            open_flow=self._open,
        )
        self.connections = Connections(
            cast("Proxy", proxy), self._discover, first=lambda domain: domain in first
        )

    async def _discover(self, domain: bytes) -> Discovered | Refuse | None:
        if self.found is not None or self.gone:
            return self.found
        groups = tuple(
            (Target(name=PARTNER.name, hops=(NextHop(name, 5061, "mtls"),), discovered=True),)
            for name in self.names
        )
        return Discovered(Targets(groups), trio.current_time() + 60)

    async def _open(self, target: Target) -> Flow:
        host = target.hops[0].host
        self.tried.append((trio.current_time(), host))
        await trio.lowlevel.checkpoint()
        if host in self.silent:
            await trio.sleep_forever()
        if host not in self.up:
            raise SendError(f"{host} is down", 503)
        self.opened.append(Connection(opened_at=trio.current_time()))
        return self.opened[-1].flow

    # ------------------------------------------------------------ messages

    def answer(
        self,
        at: Connection,
        *,
        method: str = "SUBSCRIBE",
        expires: int | None = 3600,
        status: int = 200,
        call: bytes = b"1",
        inward: bool = False,
        target: Target | None = None,
    ) -> None:
        """A response to a SUBSCRIBE or NOTIFY comes back over the proxy."""
        request = a_request(method, call_id=call)
        response = request.reply(status)
        response.cseq_method = method.encode()
        if expires is not None:
            response.add(b"Expires", b"%d" % expires)
        context = SimpleNamespace(
            request=request, sender=DISCOVERED if inward else SERVER, flow=at if inward else None
        )
        target = target or (INWARD if inward else OUTWARD)
        branch = SimpleNamespace(target=target, context=context, flow=None if inward else at)
        self.connections.on_response(response, cast("Branch", branch))

    def notify(self, state: bytes, *, call: bytes = b"1", target: Target = OUTWARD) -> None:
        """A NOTIFY is forwarded."""
        request: Request = a_request(
            "NOTIFY", call_id=call, headers=(b"Subscription-State: " + state,)
        )
        self.connections.on_forward(request, target)

    def breaks(self, at: Connection) -> None:
        at.closed = True
        self.connections.on_closed(at.flow)


@pytest.fixture
async def bench(nursery: trio.Nursery) -> AsyncIterator[Bench]:
    made = Bench()
    await nursery.start(made.connections.service)
    yield made
    nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- kept


async def test_a_subscription_of_ours_keeps_the_connection(
    autojump_clock: Any, bench: Bench
) -> None:
    flow = Connection()
    bench.answer(flow)
    assert flow.keep_until == trio.current_time() + 3600
    assert bench.connections.of(NEAR).subscriptions == 1


async def test_a_subscription_of_the_partner_keeps_the_connection(
    autojump_clock: Any, bench: Bench
) -> None:
    flow = Connection(outbound=False)
    bench.answer(flow, inward=True, expires=600)
    assert flow.keep_until == trio.current_time() + 600


async def test_without_expires_the_request_says_for_how_long(
    autojump_clock: Any, bench: Bench
) -> None:
    flow = Connection()
    bench.answer(flow, expires=None)
    assert flow.keep_until == trio.current_time() + 3600


async def test_a_refresh_keeps_it_for_longer(autojump_clock: Any, bench: Bench) -> None:
    flow = Connection()
    bench.answer(flow, expires=100)
    await trio.sleep(60)
    bench.answer(flow, expires=100)
    assert flow.keep_until == trio.current_time() + 100
    assert bench.connections.of(NEAR).subscriptions == 1


async def test_unsubscribing_ends_it(autojump_clock: Any, bench: Bench) -> None:
    flow = Connection()
    bench.answer(flow)
    bench.answer(flow, expires=0)
    assert flow.keep_until == 0.0
    assert bench.connections.of(NEAR).subscriptions == 0


async def test_the_longest_subscription_counts(autojump_clock: Any, bench: Bench) -> None:
    flow = Connection()
    bench.answer(flow, expires=1000)
    bench.answer(flow, expires=5000, call=b"2")
    began = trio.current_time()
    assert flow.keep_until == began + 5000
    bench.answer(flow, expires=0, call=b"2")
    await trio.sleep(31)
    assert flow.keep_until == began + 1000


async def test_nobody_keeps_a_connection_for_more_than_a_day_at_once(
    autojump_clock: Any, bench: Bench
) -> None:
    flow = Connection()
    bench.answer(flow, expires=2**32 - 1)
    assert flow.keep_until == trio.current_time() + 86_400


async def test_a_notify_that_terminates_ends_it(autojump_clock: Any, bench: Bench) -> None:
    flow = Connection()
    bench.answer(flow)
    bench.notify(b"terminated;reason=timeout")
    assert bench.connections.of(NEAR).subscriptions == 0


async def test_a_notify_says_how_long_it_lives(autojump_clock: Any, bench: Bench) -> None:
    flow = Connection()
    bench.answer(flow)
    bench.notify(b"active ; foo=bar; expires=7200")
    assert flow.keep_until == trio.current_time() + 7200


@pytest.mark.parametrize("state", [b"", b"active", b"active;expires=soon", b";;", b"pending"])
async def test_a_notify_that_says_nothing_changes_nothing(
    autojump_clock: Any, bench: Bench, state: bytes
) -> None:
    flow = Connection()
    bench.answer(flow)
    bench.notify(state)
    assert flow.keep_until == trio.current_time() + 3600


async def test_a_notify_of_somebody_else_changes_nothing(autojump_clock: Any, bench: Bench) -> None:
    bench.answer(Connection())
    bench.notify(b"terminated", target=INWARD)
    assert bench.connections.of(NEAR).subscriptions == 1


@pytest.mark.parametrize("status", [404, 481, 489])
async def test_a_notify_that_nobody_wants_ends_it(
    autojump_clock: Any, bench: Bench, status: int
) -> None:
    flow = Connection()
    bench.answer(flow)
    bench.answer(flow, method="NOTIFY", status=status)
    assert bench.connections.of(NEAR).subscriptions == 0


async def test_the_connection_that_notifies_go_over_is_kept_as_well(
    autojump_clock: Any, bench: Bench
) -> None:
    theirs, ours = Connection(outbound=False), Connection()
    bench.answer(theirs, inward=True)
    bench.answer(ours, method="NOTIFY", expires=None)
    assert theirs.keep_until == ours.keep_until == trio.current_time() + 3600
    assert bench.connections.of(NEAR).flows == 2


async def test_what_is_refused_keeps_nothing(autojump_clock: Any, bench: Bench) -> None:
    flow = Connection()
    bench.answer(flow, status=403)
    bench.answer(flow, method="NOTIFY")
    assert flow.keep_until == 0.0


async def test_what_has_ended_is_forgotten(autojump_clock: Any, bench: Bench) -> None:
    bench.answer(Connection(), expires=100)
    await trio.sleep(200)
    assert bench.connections.of(NEAR) == (0, 0, 0, None)
    assert bench.connections._count == 0


async def test_two_partners_may_have_subscriptions_of_one_name(
    autojump_clock: Any, bench: Bench
) -> None:
    far = Partner(name="far.example (discovered)", domain=b"far.example", discovered=True)
    elsewhere = Target(name=far.name, partner=far, discovered=True)
    first, second = Connection(), Connection()
    bench.answer(first)
    bench.answer(second, target=elsewhere)
    assert bench.connections.of(b"far.example").subscriptions == 1
    bench.answer(second, target=elsewhere, expires=0)
    assert bench.connections.of(b"far.example").subscriptions == 0
    assert bench.connections.of(NEAR).subscriptions == 1
    bench.notify(b"terminated")
    assert bench.connections.of(NEAR).subscriptions == 0
    await trio.sleep(100)
    assert bench.connections._count == 0


async def test_subscriptions_of_one_partner_are_remembered_within_a_bound(
    autojump_clock: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_EACH", 3)
    flow = Connection()
    for number in range(5):
        bench.answer(flow, call=b"%d" % number)
    assert bench.connections.of(NEAR).subscriptions == 3
    bench.answer(flow, call=b"2", expires=7000)
    assert flow.keep_until == trio.current_time() + 7000


async def test_no_call_id_is_remembered_that_costs_memory(
    autojump_clock: Any, bench: Bench
) -> None:
    bench.answer(Connection(), call=b"c" * (connections.MOST_BYTES + 1))
    assert bench.connections.of(NEAR).subscriptions == 0


# ---------------------------------------------------------------- opened again


async def test_a_connection_that_breaks_is_opened_again(autojump_clock: Any, bench: Bench) -> None:
    bench.up = {"a.partner.example"}
    flow = Connection()
    bench.answer(flow)
    await trio.sleep(200)
    broken = trio.current_time()
    bench.breaks(flow)
    wait = bench.connections.of(NEAR).next_try
    assert wait is not None
    assert 15.0 <= wait <= 30.0
    await trio.sleep(31)
    assert len(bench.opened) == 1
    assert bench.tried[0][0] - broken == pytest.approx(wait)
    assert bench.opened[0].keep_until == pytest.approx(3600, abs=1)
    assert bench.connections.of(NEAR).next_try is None


async def test_without_subscriptions_nothing_is_opened(autojump_clock: Any, bench: Bench) -> None:
    bench.up = {"a.partner.example"}
    flow = Connection()
    bench.answer(flow, expires=100)
    await trio.sleep(150)
    bench.breaks(flow)
    await trio.sleep(4000)
    assert bench.tried == []


async def test_the_next_target_is_tried_where_one_is_down(
    autojump_clock: Any, bench: Bench
) -> None:
    bench.up = {"b.partner.example"}
    flow = Connection()
    bench.answer(flow)
    bench.breaks(flow)
    await trio.sleep(61)
    assert [host for _, host in bench.tried] == ["a.partner.example", "b.partner.example"]


async def test_each_failure_doubles_the_delay_up_to_half_an_hour(
    autojump_clock: Any, bench: Bench
) -> None:
    bench.names = ("a.partner.example",)
    flow = Connection()
    bench.answer(flow, expires=86_400)
    await trio.sleep(200)
    bench.breaks(flow)
    await trio.sleep(40_000)
    times = [at for at, _ in bench.tried]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for number, gap in enumerate(gaps):
        longest = min(1800.0, 30.0 * 2 ** (number + 1))
        assert longest / 2 <= gap <= longest
    assert gaps[-1] >= 900.0


async def test_a_connection_that_breaks_at_once_counts_as_a_failure(
    autojump_clock: Any, bench: Bench
) -> None:
    bench.up = {"a.partner.example"}
    flow = Connection()
    bench.answer(flow)
    for _ in range(3):
        bench.breaks(flow)
        wait = bench.connections.of(NEAR).next_try
        assert wait is not None
        await trio.sleep(wait + 1)
        flow = bench.opened[-1]
    assert bench.connections.of(NEAR).failures == 3
    await trio.sleep(130)
    bench.breaks(flow)
    assert bench.connections.of(NEAR).failures == 0


async def test_as_long_as_one_connection_of_ours_is_open_no_other_is_opened(
    autojump_clock: Any, bench: Bench
) -> None:
    first, second = Connection(), Connection()
    bench.answer(first)
    bench.answer(second, call=b"2")
    bench.breaks(first)
    assert bench.connections.of(NEAR).next_try is None


async def test_one_that_the_partner_opened_gives_more_time(
    autojump_clock: Any, bench: Bench
) -> None:
    ours, theirs = Connection(), Connection(outbound=False)
    bench.answer(ours)
    bench.answer(theirs, call=b"2", inward=True)
    await trio.sleep(200)
    bench.breaks(ours)
    wait = bench.connections.of(NEAR).next_try
    assert wait is not None
    assert 45.0 <= wait <= 90.0


async def test_one_that_was_opened_for_a_request_meanwhile_will_do(
    autojump_clock: Any, bench: Bench
) -> None:
    flow = Connection()
    bench.answer(flow)
    bench.breaks(flow)
    bench.answer(Connection(), method="NOTIFY", expires=None)
    await trio.sleep(100)
    assert bench.tried == []


async def test_who_is_blocked_now_is_not_tried_again(autojump_clock: Any, bench: Bench) -> None:
    bench.found = Refuse(403, "the domain is blocked")
    flow = Connection()
    bench.answer(flow)
    bench.breaks(flow)
    await trio.sleep(100)
    bench.found = None
    await trio.sleep(3000)
    assert bench.tried == []


async def test_where_the_record_is_gone_it_is_tried_where_it_was(
    autojump_clock: Any, bench: Bench
) -> None:
    bench.up = {"old.partner.example"}
    bench.gone = True
    flow = Connection()
    bench.answer(flow, target=OLD)
    bench.breaks(flow)
    await trio.sleep(61)
    assert [host for _, host in bench.tried] == ["old.partner.example"]
    assert len(bench.opened) == 1


async def test_a_dns_that_fails_is_asked_again(autojump_clock: Any, bench: Bench) -> None:
    bench.up = {"a.partner.example"}
    bench.found = Refuse(504, "the DNS does not answer")
    flow = Connection()
    bench.answer(flow)
    bench.breaks(flow)
    await trio.sleep(61)
    assert bench.connections.of(NEAR).failures >= 2
    bench.found = None
    await trio.sleep(300)
    assert len(bench.opened) == 1


async def test_who_goes_first_waits_for_no_others(
    autojump_clock: Any, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "AT_ONCE", 1)
    bench = Bench(first={NEAR})
    bench.silent = {"a.partner.example"}
    await nursery.start(bench.connections.service)
    for number in range(3):
        name = b"far%d.example" % number
        far = Partner(name=f"{name.decode()} (discovered)", domain=name, discovered=True)
        at = Connection()
        bench.answer(at, target=Target(name=far.name, partner=far, discovered=True))
        bench.breaks(at)
    await trio.sleep(31)
    began = len(bench.tried)
    assert began <= 3
    flow = Connection()
    bench.answer(flow, expires=86_400)
    bench.breaks(flow)
    wait = bench.connections.of(NEAR).next_try
    assert wait is not None
    before = trio.current_time()
    await trio.sleep(wait + 20)
    assert any(at == pytest.approx(before + wait) for at, _ in bench.tried)
    assert bench.connections.of(NEAR).failures == 2
    nursery.cancel_scope.cancel()


async def test_after_a_reload_it_goes_on(nursery: trio.Nursery, autojump_clock: Any) -> None:
    old = Bench()
    flow = Connection()
    old.answer(flow)
    old.breaks(flow)
    new = Bench()
    new.up = {"a.partner.example"}
    new.connections.take_over(old.connections)
    await nursery.start(new.connections.service)
    await trio.sleep(61)
    assert len(new.opened) == 1
    nursery.cancel_scope.cancel()
