"""The table of bindings: what it answers, what expires, what authorises a flow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sipx_registrar.bindings import Bindings, logon_place

from sipx import BindingChange

from .desk import EPOCH, FakeFlow, FakeProxy, a_binding

ALICE, BOB = b"alice@home.example", b"bob@home.example"


@pytest.fixture
def proxy():
    return FakeProxy()


@pytest.fixture
def table(proxy):
    return Bindings(proxy.now, proxy.wall)


def put(table, *bindings):
    table.apply([BindingChange(each.aor, each.key, each) for each in bindings])
    return bindings


def drop(table, *bindings):
    table.apply([BindingChange(each.aor, each.key, None) for each in bindings])


def test_a_place_has_its_bindings(table):
    one, two = put(table, a_binding(), a_binding(contact=b"sip:two"))
    put(table, a_binding(BOB))
    assert set(table.of(ALICE)) == {one, two}
    assert (table.of(b"nobody@home.example"), len(table)) == ((), 2)
    drop(table, one, a_binding(contact=b"sip:never"))
    assert table.of(ALICE) == (two,)
    drop(table, two)
    assert (table.of(ALICE), len(table)) == ((), 1)


def test_a_flow_is_left_when_all_of_it_is_bound_over_another(table):
    old, new, third = FakeFlow(), FakeFlow(), FakeFlow()
    put(table, a_binding(flow=old), a_binding(BOB, flow=old))
    put(table, a_binding(flow=new))
    assert not table.has_left(old)
    put(table, a_binding(BOB, flow=new))
    assert table.has_left(old)
    assert not table.has_left(new)
    # Another place, and what is taken back, are no move.
    put(table, a_binding(contact=b"sip:two", flow=third))
    drop(table, a_binding(contact=b"sip:two"))
    assert not table.has_left(third)
    again = Bindings(table._now, table._wall)
    again.take_over(table)
    assert again.has_left(old)
    put(table, a_binding(flow=old))
    assert not table.has_left(old)
    put(table, a_binding(flow=new))
    table.flow_closed(old)
    assert not again.has_left(old)


def test_what_has_expired_is_not_there_even_before_it_is_swept(table, proxy):
    one, two = put(table, a_binding(expires=EPOCH + 10.5), a_binding(contact=b"sip:two"))
    proxy.time = 10.4
    assert len(table.of(ALICE)) == 2
    proxy.time = 10.5
    assert table.of(ALICE) == (two,)
    assert table.take_due() == []
    proxy.time = 11.0
    assert table.take_due() == [one]
    assert table.take_due() == []


def test_a_refresh_expires_when_it_says(table, proxy):
    put(table, a_binding(expires=EPOCH + 10))
    (new,) = put(table, a_binding(expires=EPOCH + 20))
    proxy.time = 15.0
    assert (table.take_due(), table.of(ALICE)) == ([], (new,))
    proxy.time = 20.0
    assert table.take_due() == [new]
    assert len(table) == 0


def test_a_clock_that_is_set_loses_no_binding(table, proxy):
    proxy.time = 1e6
    assert table.take_due() == []
    proxy.time = 0.0
    put(table, a_binding(expires=EPOCH + 10), a_binding(BOB, expires=EPOCH - 5))
    assert [each.aor for each in table.take_due()] == [BOB]
    proxy.time = 1e6
    assert [each.aor for each in table.take_due()] == [ALICE]


def test_owners_are_counted_by_users(table):
    one, two, three = put(
        table, a_binding(), a_binding(contact=b"sip:two"), a_binding(BOB, owner="paris")
    )
    put(table, a_binding(logon_place("berlin")))
    assert (table.owned_by("berlin"), table.owned_by("paris")) == (1, 1)
    drop(table, one)
    assert table.owned_by("berlin") == 1
    drop(table, two, three)
    assert (table.owned_by("berlin"), table.owned_by("paris"), len(table)) == (0, 0, 0)
    assert len(table.logon_of("berlin")) == 1


def test_a_flow_knows_its_bindings(table):
    flow = FakeFlow()
    one, two = put(table, a_binding(flow=flow), a_binding(BOB, flow=flow, owner="paris"))
    assert set(table.on_flow(flow)) == {one, two}
    drop(table, one)
    assert table.on_flow(flow) == [two]
    table.flow_closed(flow)
    assert (list(table.on_flow(flow)), two.flow) == ([], None)
    drop(table, two)
    table.flow_closed(flow)


def test_a_binding_over_a_flow_that_has_closed_meanwhile_has_none(table):
    flow = FakeFlow()
    flow.closed = True
    (binding,) = put(table, a_binding(flow=flow))
    assert (binding.flow, list(table.on_flow(flow))) == (None, [])


def test_the_last_binding_of_an_account_on_a_flow_authorises_it(table, proxy):
    flow = FakeFlow("berlin")
    proxy.time = 7.0
    _, two = put(
        table,
        a_binding(flow=flow, expires=EPOCH + 100),
        a_binding(BOB, flow=flow, expires=EPOCH + 200),
    )
    put(table, a_binding(b"carol@home.example", flow=flow, owner="paris", expires=EPOCH + 900))
    assert flow.account_until == 200
    drop(table, two)
    assert flow.account_until == 100
    put(table, a_binding(flow=flow, expires=EPOCH + 300))
    assert flow.account_until == 300
    proxy.time = 300.0
    table.take_due()
    assert flow.account_until == 0.0


def test_the_logon_of_a_server_authorises_its_flow(table):
    flow = FakeFlow("berlin")
    put(table, a_binding(logon_place("berlin"), flow=flow))
    assert flow.account_until == 3600


def test_a_flow_that_another_account_uses_now_is_proven_anew(table):
    flow = FakeFlow("berlin")
    put(table, a_binding(flow=flow))
    flow.account = "paris"
    table.prove(flow)
    assert flow.account_until == 0.0


def test_what_moves_to_another_flow_leaves_the_first(table):
    first, second = FakeFlow(), FakeFlow(port=5061)
    put(table, a_binding(flow=first))
    (new,) = put(table, a_binding(flow=second))
    assert (first.account_until, second.account_until) == (0.0, 3600)
    assert (list(table.on_flow(first)), table.on_flow(second)) == ([], [new])


def test_refreshes_do_not_pile_up(table):
    flow = FakeFlow()
    for number in range(10_000):
        put(table, a_binding(flow=flow, expires=EPOCH + 3600 + number))
    (live,) = table._flows[flow].values()
    assert len(live._latest) == len(live._counts) < 4000
    assert table.count() == 1


def test_a_table_goes_on_in_its_successor(table, proxy):
    flow = FakeFlow()
    put(table, a_binding(flow=flow), a_binding(logon_place("berlin")))
    other = Bindings(proxy.now, proxy.wall)
    other.take_over(table)
    assert (len(other), other.owned_by("berlin"), len(other.on_flow(flow))) == (1, 1, 1)
    put(other, a_binding(BOB))
    assert len(table) == 2


_STEPS = st.lists(
    st.tuples(
        st.sampled_from([ALICE, BOB, logon_place("berlin")]),
        st.sampled_from([b"sip:1", b"sip:2"]),
        st.sampled_from(["berlin", "paris"]),
        st.integers(0, 30),
        st.sampled_from(["put", "put", "drop", "wait", "close"]),
        st.integers(0, 1),
    ),
    max_size=60,
)


@given(_STEPS)
def test_it_is_what_a_plain_dict_would_be(steps):
    proxy = FakeProxy()
    table = Bindings(proxy.now, proxy.wall)
    flows = [FakeFlow("berlin"), FakeFlow("paris", port=1)]
    model = {}
    for aor, contact, owner, number, what, at in steps:
        if what == "put":
            flow = flows[at]
            binding = a_binding(aor, contact, owner=owner, flow=flow, expires=proxy.wall() + number)
            model[aor, binding.key] = binding
            put(table, binding)
        elif what == "drop":
            gone = a_binding(aor, contact, owner=owner)
            model.pop((aor, gone.key), None)
            drop(table, gone)
        elif what == "close":
            table.flow_closed(flows[at])
            flows[at].closed = True
            flows[at] = FakeFlow(flows[at].account, port=flows[at].port + 1)
        else:
            proxy.time += number
            due = {k for k, each in model.items() if each.expires <= proxy.wall()}
            assert {(each.aor, each.key) for each in table.take_due()} == due
            for place in due:
                del model[place]
        now = proxy.wall()
        live = [each for each in model.values() if each.expires > now]
        for aor in (ALICE, BOB):
            assert set(table.of(aor)) == {each for each in live if each.aor == aor}
        users = {each.aor for each in model.values() if each.aor != logon_place("berlin")}
        assert len(table) == len(users)
        for owner in ("berlin", "paris"):
            mine = {aor for aor in users if any(
                each.owner == owner for each in model.values() if each.aor == aor
            )}  # fmt: skip
            assert table.owned_by(owner) == len(mine)
        for flow in flows:
            there = [each for each in model.values() if each.flow is flow]
            assert set(table.on_flow(flow)) == set(there)
            ends = [each.expires for each in there if each.owner == flow.account]
            until = max(ends) - EPOCH if ends else 0.0
            assert flow.account_until == pytest.approx(until)
