"""A partner over its limit is slowed, then refused; nobody else waits for it."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sipx_open_federation.config import OpenFederationConfig
from sipx_open_federation.limits import LONGEST_DEBT, PARTNERS, SHARED, Limits

from sipx.sip import Request

if TYPE_CHECKING:
    from sipx import Flow, Refuse

NEAR = b"partner.example"
OURS = b"<sip:a-cookie@192.0.2.1;lr>"
"""Stands for a Route with a cookie of a dialog."""
OTHER = b"other.example"


class Connection:
    """As much of a flow as a limit looks at."""

    def __init__(self, number: int = 1, key: str = "") -> None:
        self.id = number
        self.closed = False
        self.examined = SimpleNamespace(certificate=SimpleNamespace(spki=key)) if key else None
        self.holds: list[float] = []

    def hold(self, seconds: float) -> None:
        self.holds.append(seconds)

    @property
    def flow(self) -> Flow:
        return cast("Flow", self)


class Bench:
    """Limits with a clock that stands still until it is moved."""

    def __init__(self, **settings: Any) -> None:
        self.now = 100.0
        self.counted: dict[tuple[bytes, str], int] = {}
        self.told: list[tuple[bytes, str]] = []
        self.hosted: set[bytes] = set()
        self.limits = self.other(**settings)

    def other(self, **settings: Any) -> Limits:
        return Limits(
            OpenFederationConfig.model_validate(settings),
            lambda: self.now,
            Random(1),
            in_dialog=lambda domain, request: bool(request.get(b"Route") == OURS),
            hosted=lambda domain, flow: domain in self.hosted,
            counted=self._count,
            told=lambda domain, text: self.told.append((domain, text)),
        )

    def _count(self, domain: bytes, what: str) -> None:
        self.counted[domain, what] = self.counted.get((domain, what), 0) + 1

    def send(
        self, count: int, at: Connection, domain: bytes = NEAR, *, route: bool = False
    ) -> list[Refuse | None]:
        asked = message(route=route)
        return [self.limits.admit(domain, asked, at.flow) for _ in range(count)]


def message(user: str = "bob", *, route: bool | bytes = False) -> Request:
    headers = [(b"From", b"<sip:alice@partner.example>;tag=1"), (b"To", b"<sip:bob@home.example>")]
    if route:
        headers.append((b"Route", OURS if route is True else route))
    return Request.build(b"MESSAGE", b"sip:%b@home.example" % user.encode(), headers)


def refused(answers: list[Refuse | None]) -> int:
    return sum(answer is not None for answer in answers)


# ---------------------------------------------------------------- the rate


def test_a_burst_costs_nothing() -> None:
    bench, flow = Bench(), Connection()
    assert refused(bench.send(40, flow)) == 0
    assert flow.holds == []
    assert bench.told == []


def test_beyond_the_burst_the_flow_waits_for_the_debt() -> None:
    bench, flow = Bench(), Connection()
    assert refused(bench.send(50, flow)) == 0
    assert max(flow.holds) == pytest.approx(10 / 20)
    assert bench.counted == {(NEAR, "slowed"): 10}
    assert bench.told == [(NEAR, "more than 20 messages a second: it is slowed down")]


def test_a_debt_larger_than_the_burst_is_answered_503() -> None:
    bench, flow = Bench(), Connection()
    answers = bench.send(100, flow)
    assert refused(answers) == 20
    last = answers[-1]
    assert last is not None
    assert (last.status, last.row) == (503, 8)
    assert last.why.startswith("the discovered partner is over its limit; partner.example sends")
    assert bench.counted[NEAR, "limited"] == 20


def test_retry_after_lies_between_1_and_5_seconds() -> None:
    bench, flow = Bench(messages_per_second=2, burst=100), Connection()
    waits = [
        int(dict(answer.headers)[b"Retry-After"])
        for answer in bench.send(500, flow)
        if answer is not None
    ]
    assert waits
    assert all(1 <= wait <= 5 for wait in waits)


def test_a_request_within_a_dialog_waits_and_is_never_refused() -> None:
    bench, flow = Bench(), Connection()
    assert refused(bench.send(1000, flow, route=True)) == 0
    assert max(flow.holds) == 5.0


def test_who_keeps_the_rate_never_waits() -> None:
    bench, flow = Bench(), Connection()
    for _ in range(1000):
        assert refused(bench.send(1, flow)) == 0
        bench.now += 1 / 20
    assert flow.holds == []


def test_after_a_pause_the_partner_gets_on_again() -> None:
    bench, flow = Bench(), Connection()
    bench.send(1000, flow)
    bench.now += 4.0
    assert refused(bench.send(40, flow)) == 0
    bench.now += LONGEST_DEBT
    flow.holds.clear()
    bench.send(40, flow)
    assert flow.holds == []


def test_a_debt_within_dialogs_is_forgotten_after_a_minute_and_a_burst() -> None:
    bench, flow = Bench(), Connection()
    bench.send(100_000, flow, route=True)
    bench.now += LONGEST_DEBT + 4.0
    assert bench.limits.owes(NEAR) == 0.0


def test_being_over_the_limit_is_told_once_until_it_is_kept_again() -> None:
    bench, flow = Bench(), Connection()
    bench.send(200, flow)
    bench.now += 1.0
    bench.send(200, flow)
    assert len(bench.told) == 1
    bench.now += 10.0
    bench.send(1, flow)
    bench.send(200, flow)
    assert len(bench.told) == 2


# ---------------------------------------------------------------- several flows, several partners


def test_all_flows_of_a_partner_wait() -> None:
    bench, first, second = Bench(), Connection(1), Connection(2)
    bench.send(1, first)
    bench.send(60, second)
    assert max(first.holds) == max(second.holds) == pytest.approx(21 / 20)


def test_a_new_flow_of_a_partner_in_debt_waits_as_well() -> None:
    bench, first, second = Bench(), Connection(1), Connection(2)
    bench.send(60, first)
    bench.send(1, second)
    assert second.holds


def test_a_flow_that_has_closed_is_not_held_any_more() -> None:
    bench, first, second = Bench(), Connection(1), Connection(2)
    bench.send(1, first)
    bench.limits.closed(first.flow)
    bench.send(60, second)
    assert first.holds == []


def test_others_neither_wait_nor_are_refused() -> None:
    bench, loud, quiet = Bench(), Connection(1), Connection(2)
    bench.send(1000, loud)
    assert refused(bench.send(40, quiet, OTHER)) == 0
    assert quiet.holds == []


def test_of_two_domains_on_one_connection_the_quiet_one_does_not_wait() -> None:
    bench, shared = Bench(), Connection()
    bench.send(1, shared, OTHER)
    answers = bench.send(100, shared)
    assert refused(answers) == 20
    assert shared.holds == []
    assert refused(bench.send(30, shared, OTHER)) == 0


def test_on_a_shared_connection_a_dialog_has_to_wait_by_503() -> None:
    bench, shared = Bench(), Connection()
    bench.send(1, shared, OTHER)
    answers = bench.send(100, shared, route=True)
    assert refused(answers) == 20


def test_a_shared_connection_waits_when_all_its_domains_are_in_debt() -> None:
    bench, shared = Bench(), Connection()
    bench.send(1, shared, OTHER)
    bench.send(79, shared)
    bench.send(60, shared, OTHER)
    assert shared.holds
    assert max(shared.holds) <= 21 / 20


def test_a_connection_that_has_closed_leaves_nothing_behind() -> None:
    bench, shared = Bench(), Connection(key="k")
    for number in range(SHARED + 10):
        bench.send(1, shared, b"d%d.example" % number)
    bench.limits.closed(shared.flow)
    assert not bench.limits._flows
    assert not any(account.flows for account in bench.limits._accounts.values())
    bench.limits.closed(shared.flow)


def test_partners_are_remembered_within_a_bound() -> None:
    bench = Bench()
    for number in range(PARTNERS + 10):
        bench.send(1, Connection(number + 1), b"d%d.example" % number)
    assert len(bench.limits._accounts) == PARTNERS
    assert refused(bench.send(1, Connection(9999), b"d0.example")) == 0


# ---------------------------------------------------------------- one certificate, many domains


def test_what_one_key_proves_is_counted_together() -> None:
    bench, flow = Bench(), Connection(key="k")
    answers = [
        answer for number in range(100) for answer in bench.send(1, flow, b"d%d.example" % number)
    ]
    assert refused(answers) == 20
    last = answers[-1]
    assert last is not None
    assert "d99.example, with the other domains of its certificate, sends more than" in last.why
    assert max(flow.holds) == pytest.approx(2.0, abs=0.1)


def test_a_key_is_the_same_on_all_connections() -> None:
    bench = Bench()
    flows = [Connection(number + 1, key="k") for number in range(100)]
    answers = [
        answer
        for number, flow in enumerate(flows)
        for answer in bench.send(1, flow, b"d%d.example" % number)
    ]
    assert refused(answers) == 20
    assert all(flow.holds for flow in flows)


def test_another_key_has_limits_of_its_own() -> None:
    bench = Bench()
    bench.send(1000, Connection(1, key="k"))
    quiet = Connection(2, key="other")
    assert refused(bench.send(40, quiet, OTHER)) == 0
    assert quiet.holds == []


def test_customers_of_a_hosting_provider_are_counted_one_by_one() -> None:
    bench, provider = Bench(), Connection(key="k")
    bench.hosted = {b"d%d.example" % number for number in range(10)}
    for domain in bench.hosted:
        assert refused(bench.send(40, provider, domain)) == 0
    assert provider.holds == []
    assert refused(bench.send(100, provider, b"d1.example")) == 60
    assert provider.holds == []


def test_a_provider_with_very_many_customers_is_never_held() -> None:
    bench, provider = Bench(), Connection(key="k")
    names = [b"d%d.example" % number for number in range(SHARED + 10)]
    bench.hosted = set(names)
    for domain in names:
        bench.send(60, provider, domain)
    provider.holds.clear()
    assert refused(bench.send(100, provider, names[0])) > 0
    assert provider.holds == []


def test_an_allowed_partner_does_not_wait_for_others_of_its_certificate() -> None:
    bench, flow = Bench(partner={"partner.example": {"allowed": True}}), Connection(key="k")
    bench.send(1, flow)
    assert refused(bench.send(100, flow, OTHER)) == 20
    assert refused(bench.send(1000, flow)) == 0
    assert flow.holds == []


def test_the_users_of_all_domains_of_a_certificate_are_counted_together() -> None:
    bench, flow = Bench(users_per_day=3), Connection(key="k")
    answers = [
        bench.limits.admit(b"d%d.example" % number, message(f"u{number}"), flow.flow)
        for number in range(10)
    ]
    assert refused(answers) == 7
    assert bench.told[0][0] == b"d3.example"


# ---------------------------------------------------------------- settings


def test_a_partner_with_limits_of_its_own() -> None:
    bench = Bench(partner={"partner.example": {"messages_per_second": 1, "burst": 2}})
    assert refused(bench.send(10, Connection())) == 6
    assert refused(bench.send(40, Connection(2), OTHER)) == 0


def test_an_allowed_partner_has_no_limits() -> None:
    bench, flow = (
        Bench(partner={"partner.example": {"allowed": True}}, users_per_day=1),
        Connection(),
    )
    assert refused(bench.send(10_000, flow)) == 0
    assert bench.limits.admit(NEAR, message("carol"), flow.flow) is None
    assert flow.holds == []


def test_an_allowed_partner_keeps_the_limits_that_are_written_for_it() -> None:
    bench = Bench(
        partner={"partner.example": {"allowed": True, "messages_per_second": 1, "burst": 1}}
    )
    assert refused(bench.send(10, Connection())) == 8


def test_the_most_specific_table_counts_and_only_while_it_is_switched_on() -> None:
    tables = {
        "*.example": {"messages_per_second": 1, "burst": 1},
        "partner.example": {"allowed": True},
        "third.example": {"allowed": True, "enabled": False},
    }
    bench = Bench(partner=tables)
    assert refused(bench.send(10, Connection())) == 0
    assert refused(bench.send(10, Connection(2), OTHER)) == 8
    assert refused(bench.send(10, Connection(3), b"third.example")) == 8


def test_a_burst_of_nothing_still_lets_one_through_at_a_time() -> None:
    bench, flow = Bench(burst=0), Connection()
    for _ in range(100):
        assert refused(bench.send(1, flow)) == 0
        bench.now += 1 / 20


def test_a_rate_of_0_is_no_limit() -> None:
    bench = Bench(messages_per_second=0, users_per_day=0)
    assert refused(bench.send(10_000, Connection())) == 0


def test_a_reload_keeps_the_debt_and_takes_the_new_limit() -> None:
    bench, flow = Bench(), Connection()
    bench.send(70, flow)
    assert bench.limits.owes(NEAR) == 30.0
    old, bench.limits = bench.limits, bench.other(messages_per_second=10)
    bench.limits.take_over(old)
    assert bench.limits.owes(NEAR) == 30.0
    bench.now += 1.0
    assert bench.limits.owes(NEAR) == 20.0


def test_what_is_only_explained_costs_nothing() -> None:
    bench = Bench(users_per_day=1)
    assert refused(bench.send(1000, Connection(0))) == 0
    assert bench.limits.owes(NEAR) == 0.0


# ---------------------------------------------------------------- users per day


def test_more_different_users_than_a_day_allows() -> None:
    bench, flow = Bench(users_per_day=2), Connection()
    assert bench.limits.admit(NEAR, message("a"), flow.flow) is None
    assert bench.limits.admit(NEAR, message("b"), flow.flow) is None
    refuse = bench.limits.admit(NEAR, message("c"), flow.flow)
    assert refuse is not None
    assert (refuse.status, refuse.row) == (503, 8)
    assert refuse.why.endswith("partner.example has asked for more than 2 different users today")
    assert dict(refuse.headers)[b"Retry-After"] == b"3600"
    assert bench.limits.admit(NEAR, message("a"), flow.flow) is None
    assert bench.limits.admit(OTHER, message("c"), flow.flow) is None
    bench.now += 86_400.0
    assert bench.limits.admit(NEAR, message("c"), flow.flow) is None


def test_requests_within_dialogs_ask_for_nobody() -> None:
    bench, flow = Bench(users_per_day=1), Connection()
    for user in ("a", "b", "c"):
        assert bench.limits.admit(NEAR, message(user, route=True), flow.flow) is None


def test_a_route_that_anybody_could_write_is_no_dialog() -> None:
    bench, flow = Bench(users_per_day=1), Connection()
    forged = b"<sip:192.0.2.1;lr>"
    assert bench.limits.admit(NEAR, message("a", route=forged), flow.flow) is None
    assert bench.limits.admit(NEAR, message("b", route=forged), flow.flow) is not None
    fast = [bench.limits.admit(NEAR, message("a", route=forged), flow.flow) for _ in range(100)]
    assert refused(fast) == 22


def test_the_users_of_the_day_outlive_a_reload() -> None:
    bench, flow = Bench(users_per_day=1), Connection()
    bench.limits.admit(NEAR, message("a"), flow.flow)
    old, bench.limits = bench.limits, bench.other(users_per_day=1)
    bench.limits.take_over(old)
    assert bench.limits.admit(NEAR, message("b"), flow.flow) is not None


def test_a_flow_that_has_ended_meanwhile_counts_and_is_not_remembered() -> None:
    """The DNS was asked who it is, and somebody who owns a DNS can make that last."""
    bench = Bench(messages_per_second=1, burst=2)
    gone = []
    for number in range(1, 7):
        flow = Connection(number, "a key")
        flow.closed = True
        bench.limits.closed(flow.flow)
        gone.append(bench.limits.admit(NEAR, message(), flow.flow))
    assert refused(gone) == 2
    assert not bench.limits._flows
    assert not any(account.flows for account in bench.limits._accounts.values())


def test_a_partner_that_becomes_an_allowed_one_owes_nothing() -> None:
    bench, flow = Bench(), Connection()
    bench.send(60, flow)
    assert bench.limits.owes(NEAR) == 20
    old, bench.limits = bench.limits, bench.other(partner={NEAR.decode(): {"allowed": True}})
    bench.limits.take_over(old)
    assert bench.limits.owes(NEAR) == 0
    assert refused(bench.send(100, flow)) == 0
