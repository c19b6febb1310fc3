"""Partners that try name after name (SEC-22)."""

from __future__ import annotations

import trio
from sipx_registrar.events import PartnerOverLimit

from sipx import Accept, Sender, SenderKind, hookimpl
from sipx.enquiries import DAY, PARTNERS, Enquiries


class Count:
    """Enquiries with a clock that is turned by hand."""

    def __init__(self, most):
        self.time = 0.0
        self.told = []
        self.enquiries = Enquiries(most, lambda: self.time, lambda *told: self.told.append(told))

    def asks(self, *users, partner="away.example"):
        return [self.enquiries.wait(partner, f"{user}@home.example".encode()) for user in users]


def test_so_many_users_a_day_and_the_same_ones_for_ever():
    count = Count(2)
    assert count.asks("alice", "bob", "alice") == [0, 0, 0]
    count.time = 60.0
    assert count.asks("carol", "alice", "dave") == [DAY - 60, 0, DAY - 60]
    assert count.told == [("away.example", DAY - 60)]
    assert count.asks("carol", partner="other.example") == [0]
    count.time = DAY
    assert count.asks("carol", "dave", "alice") == [0, 0, DAY]
    assert count.told == [("away.example", DAY - 60), ("away.example", DAY)]


def test_0_is_no_bound_and_remembers_nobody():
    count = Count(0)
    assert set(count.asks(*map(str, range(5000)))) == {0.0}
    assert count.told == []


def test_many_partners_take_no_more_room():
    count = Count(1)
    for number in range(PARTNERS + 10):
        count.asks("alice", partner=f"p{number}.example")
    assert len(count.enquiries._days) == PARTNERS
    assert count.asks("bob", partner=f"p{PARTNERS}.example") != [0]
    assert count.asks("bob", partner="p0.example") == [0]


class Strangers:
    """Partners by their From domain; those of trusted.example are trusted."""

    @hookimpl
    def authenticate_request(self, request, flow):
        domain = request.from_domain
        trusted = domain == b"trusted.example"
        return Accept(Sender(SenderKind.PARTNER, domain.decode(), {domain}, trusted=trusted))


async def test_a_partner_that_tries_names_is_put_off_and_learns_nothing(
    sipx_proxy, autojump_clock, monkeypatch
):
    monkeypatch.setattr("sipx.enquiries.DAY", 60.0)  # a whole one has many timers
    proxy = await sipx_proxy(registrar={"store": "memory", "partner_users": 3})
    hooks = proxy.kernel.hooks
    hooks._order.insert(0, "strangers")
    hooks.register("strangers", Strangers())
    curious = proxy.peer("curious.example", routed=False)
    trusted = proxy.peer("trusted.example", routed=False)

    async def ask(agent, name):
        return (await agent.request("OPTIONS", f"sip:{name}@home.example")).status

    assert [await ask(curious, f"u{n}") for n in range(5)] == [404, 404, 404, 503, 503]
    assert await ask(curious, "u1") == 404
    assert [await ask(trusted, f"u{n}") for n in range(5)] == [404] * 5
    [event] = [event for _, event in proxy.events if isinstance(event, PartnerOverLimit)]
    assert (event.partner, event.users) == ("curious.example", 3)
    # A reload forgives nothing; a day does.
    await proxy.reload(registrar={"store": "memory", "partner_users": 3, "max_bindings": 5})
    assert await ask(curious, "u9") == 503
    await trio.sleep(60)
    assert await ask(curious, "u9") == 404
