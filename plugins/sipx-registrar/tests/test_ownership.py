"""Whose users are whose, how many there may be, and who is told."""

from __future__ import annotations

import pytest
from sipx_registrar.events import OwnerChanged, Registered, Unregistered

from sipx import Refuse
from sipx.sip import NameAddr

from .desk import CONTACT, EPOCH, Desk, FakeFlow, an_account, why

ALICE = "sip:alice@home.example"
PHONE = "<sip:alice@10.0.0.99:5070;transport=tcp>"


@pytest.fixture
def desk():
    return Desk()


def listed(response):
    return [NameAddr.parse(value) for value in response.get_list(b"Contact")]


# ---------------------------------------------------------------- who holds a user


def moving(moved):
    desk = Desk(moved=moved)
    paris = desk.add(an_account("paris", logon=b"uc-paris"))
    desk.register(ALICE, CONTACT)
    return desk, paris


def owners(desk):
    return [each.owner for each in desk.bindings.of(b"alice@home.example")]


def test_a_live_server_holds_its_users():
    desk, paris = moving("refuse")
    response = desk.register(ALICE, PHONE, by=paris, call_id="paris")
    assert (response.status, owners(desk)) == (403, ["berlin"])
    assert "another server" in why(response)


def test_the_last_one_wins_if_it_may(caplog):
    desk, paris = moving("replace")
    assert desk.register(ALICE, PHONE, by=paris, call_id="paris").status == 200
    assert owners(desk) == ["paris"]
    assert OwnerChanged("alice@home.example", ("berlin",), ("paris",)) in desk.proxy.events
    assert "alice@home.example is registered by paris now, before by berlin" in caplog.text


def test_both_may_have_a_user():
    desk, paris = moving("both")
    response = desk.register(ALICE, PHONE, by=paris, call_id="paris")
    assert (sorted(owners(desk)), len(listed(response))) == (["berlin", "paris"], 2)
    changed = [event for event in desk.proxy.events if isinstance(event, OwnerChanged)]
    assert changed == [OwnerChanged("alice@home.example", ("berlin",), ("berlin", "paris"))]


def test_both_may_have_a_user_at_one_place():
    desk, paris = moving("both")
    (first,) = desk.bindings.of(b"alice@home.example")
    desk.proxy.time = 10.0
    # Even the Call-ID is its own: an older CSeq than that of the other is none.
    response = desk.register(ALICE, CONTACT, by=paris, expires=600, cseq=1)
    assert response.status == 200
    assert first in desk.bindings.of(b"alice@home.example")
    assert sorted(owners(desk)) == ["berlin", "paris"]
    # All current bindings, and the client finds its own first.
    assert [each.param(b"expires") for each in listed(response)] == [b"600", b"3590"]
    for by, lifetimes in ((None, [b"3590", b"600"]), (paris, [b"600", b"3590"])):
        asked = desk.register(ALICE, by=by)
        assert [each.param(b"expires") for each in listed(asked)] == lifetimes


def test_each_refreshes_and_ends_its_own_at_a_place_that_both_have():
    desk, paris = moving("both")
    flows = 'sip:alice@10.0.0.9>;+sip.instance="<urn:uuid:1>";reg-id=1'
    for contact, headers in ((CONTACT, ()), ("<" + flows, ["Supported: outbound"])):
        more = {"headers": headers}
        desk.register(ALICE, contact, **more)
        desk.register(ALICE, contact, by=paris, call_id="paris", **more)
        before = {each.owner: each for each in desk.bindings.of(b"alice@home.example")}
        desk.register(ALICE, contact, by=paris, call_id="paris", **more)
        after = {each.owner: each for each in desk.bindings.of(b"alice@home.example")}
        assert after["berlin"] is before["berlin"]
        assert after["paris"] is not before["paris"]
        desk.register(ALICE, contact, expires=0, **more)
        assert owners(desk) == ["paris"]
        desk.register(ALICE, contact, expires=0, **more)
        assert owners(desk) == ["paris"]
        desk.register(ALICE, contact, expires=0, by=paris, call_id="paris", **more)
        assert owners(desk) == []


@pytest.mark.parametrize("moved", ["refuse", "both", "replace"])
def test_the_place_of_a_server_that_is_not_there_can_be_taken_over_and_ended(moved):
    for expires, left in ((None, ["paris"]), (0, [])):
        desk, paris = moving(moved)
        desk.proxy.known.remove(desk.berlin)
        desk.plugin.reloaded()
        response = desk.register(ALICE, CONTACT, by=paris, call_id="paris", expires=expires)
        assert (response.status, len(listed(response)), owners(desk)) == (200, len(left), left)


def test_a_place_that_two_have_is_two_places_of_the_user():
    desk, paris = Desk(moved="both", max_bindings=2), an_account("paris", logon=b"uc-paris")
    desk.add(paris)
    assert desk.register(ALICE, CONTACT).status == 200
    assert desk.register(ALICE, CONTACT, by=paris, call_id="paris").status == 200
    assert desk.register(ALICE, PHONE, by=paris, call_id="paris").status == 403
    assert desk.register(ALICE, CONTACT, by=paris, call_id="paris").status == 200


def test_who_has_a_user_together_with_another_may_refresh_it():
    desk, paris = moving("both")
    desk.register(ALICE, PHONE, by=paris, call_id="paris")
    refusing = Desk(desk.proxy, moved="refuse")
    refusing.cseq = desk.cseq
    refusing.plugin.take_over(desk.plugin)
    assert refusing.register(ALICE, CONTACT).status == 200
    assert (
        refusing.register(ALICE, PHONE, by=paris, call_id="paris", flow=desk.flow(paris)).status
        == 200
    )
    assert sorted(owners(refusing)) == ["berlin", "paris"]


@pytest.mark.parametrize("moved", ["refuse", "both"])
@pytest.mark.parametrize("how", ["down", "gone"])
def test_a_server_that_is_not_there_holds_nobody(moved, how):
    desk, paris = moving(moved)
    if how == "gone":
        desk.proxy.known.remove(desk.berlin)
        desk.plugin.reloaded()
    else:
        desk.plugin.servers.is_down = lambda name: name == "berlin"
        desk.plugin.register._ownership._is_down = desk.plugin.servers.is_down
    assert desk.register(ALICE, PHONE, by=paris, call_id="paris").status == 200
    assert owners(desk) == ["paris"]


@pytest.mark.parametrize("moved", ["refuse", "both", "replace"])
def test_nobody_takes_away_what_is_anothers(moved):
    desk, paris = moving(moved)
    for contact in (CONTACT, "*"):
        response = desk.register(ALICE, contact, expires=0, by=paris, call_id="paris")
        assert (response.status, len(listed(response))) == (200, 1)
    assert owners(desk) == ["berlin"]


def test_a_server_that_shuts_down_takes_its_own_with_it():
    desk, paris = moving("both")
    desk.register(ALICE, PHONE, by=paris, call_id="paris")
    desk.register(ALICE, "*", expires=0, by=paris, call_id="paris")
    assert owners(desk) == ["berlin"]


# ---------------------------------------------------------------- limits


def test_a_user_is_at_so_many_places_and_no_more():
    desk = Desk(max_bindings=2)
    assert desk.register(ALICE, CONTACT, PHONE).status == 200
    response = desk.register(ALICE, "<sip:third@10.0.0.3>")
    assert response.status == 403
    assert "2 places" in why(response)
    assert desk.register(ALICE, CONTACT, PHONE).status == 200
    replaced = "<sip:third@10.0.0.3>"
    assert desk.register(ALICE, replaced, PHONE + ";expires=0").status == 200


def test_too_many_contacts_in_one_request_are_not_looked_at(desk):
    contacts = ", ".join(f"<sip:{n}@10.0.0.1>" for n in range(101))
    assert desk.register(ALICE, contacts).status == 400


def test_an_account_has_so_many_users_and_no_more(desk):
    small = desk.add(an_account("small", users=None, logon=b"uc-small", max_users=2))
    assert desk.register("sip:uc-small@home.example", CONTACT, by=small).status == 200
    for user in ("a", "b"):
        assert desk.register(f"sip:{user}@home.example", CONTACT, by=small).status == 200
    response = desk.register("sip:c@home.example", CONTACT, by=small)
    assert response.status == 403
    assert "2 users" in why(response)
    assert desk.register("sip:a@home.example", PHONE, by=small).status == 200
    desk.register("sip:b@home.example", "*", expires=0, by=small)
    assert desk.register("sip:c@home.example", CONTACT, by=small).status == 200


def test_an_account_registers_so_often_and_no_more():
    desk = Desk(register_rate=2, retry_after="7s")
    assert [desk.register(ALICE, CONTACT).status for _ in range(21)] == [200] * 20 + [503]
    assert desk.register(ALICE, CONTACT).get(b"Retry-After") == b"7"
    desk.proxy.time = 1.0
    assert [desk.register(ALICE, CONTACT).status for _ in range(3)] == [200, 200, 503]
    paris = desk.add(an_account("paris", logon=b"uc-paris"))
    assert desk.register("sip:bob@home.example", CONTACT, by=paris).status == 200


def test_a_server_under_maintenance_is_told_to_come_later(desk):
    later = Refuse(503, "maintenance", ((b"Retry-After", b"60"),))
    desk.plugin.servers.admits = lambda account: later
    response = desk.register(ALICE, CONTACT)
    assert (response.status, response.get(b"Retry-After")) == (503, b"60")


# ---------------------------------------------------------------- who is told


def test_what_changes_is_an_event_and_what_is_refreshed_is_none(desk):
    desk.register(ALICE, CONTACT)
    desk.register(ALICE, CONTACT)
    desk.register(ALICE, CONTACT, expires=0)
    contact = "sip:alice@10.0.0.11:5060"
    assert desk.proxy.events == [
        Registered("alice@home.example", "berlin", contact, EPOCH + 3600),
        Unregistered("alice@home.example", "berlin", contact),
    ]


def test_a_refusal_is_logged_once_a_second(desk, caplog):
    caplog.set_level("INFO")
    carol, dora = "sip:carol@home.example", "sip:dora@home.example"
    for to in (carol, dora, "sip:x@away.example"):
        desk.register(to, CONTACT)
    desk.proxy.time = 1.0
    desk.register(dora, CONTACT)
    said = [each.getMessage() for each in caplog.records if "may not" in each.getMessage()]
    assert said == [
        "berlin may not register <sip:carol@home.example>: 403 this is no user of berlin",
        "berlin may not register <sip:x@away.example>: 404 the user in To is not in a domain that "
        "is served here",
        "berlin may not register <sip:dora@home.example>: 403 this is no user of berlin",
    ]


def test_the_servers_are_told_after_the_table(desk):
    told = []
    desk.plugin.servers.registered = lambda account, flow, contact, *, logon, until: told.append(
        (account.name, flow, contact, logon, until, len(desk.bindings))
    )
    desk.plugin.servers.unregistered = lambda account, flow, *, logon: told.append(logon)
    desk.register(ALICE, CONTACT, expires=600)
    desk.register("sip:uc-berlin@home.example", CONTACT)
    desk.register(ALICE, CONTACT, expires=0)
    desk.register(ALICE)
    contact = b"sip:alice@10.0.0.11:5060"
    flow = desk.flow()
    assert told == [
        ("berlin", flow, contact, False, EPOCH + 600, 1),
        ("berlin", flow, contact, True, EPOCH + 3600, 1),
        False,
    ]


def test_a_registration_authorises_its_flow(desk):
    desk.proxy.time = 5.0
    desk.register(ALICE, CONTACT, expires=600)
    assert desk.flow().account_until == 605.0


@pytest.mark.parametrize("to", ["sip:alice@home.example", "sip:uc-berlin@home.example"])
def test_who_comes_back_from_another_port_each_time_is_not_shut_out(to):
    desk = Desk(max_bindings=2)
    flows = []
    for port in range(5000, 5006):
        for flow in flows:
            flow.closed = True
            desk.bindings.flow_closed(flow)
        flows.append(FakeFlow("berlin", "10.0.0.11", port))
        contact = f"<sip:uc@10.0.0.11:{port}>"
        assert desk.register(to, contact, flow=flows[-1], call_id=f"{port}@berlin").status == 200
    # Whoever is connected makes no room.
    flows[-1].closed = True
    desk.bindings.flow_closed(flows[-1])
    for port, status in ((6000, 200), (6001, 200), (6002, 403)):
        flow = FakeFlow("berlin", "10.0.0.11", port)
        contact = f"<sip:uc@10.0.0.11:{port}>"
        response = desk.register(to, contact, flow=flow, call_id=f"{port}@berlin")
        assert response.status == status


def test_whose_a_binding_is_costs_nothing_that_grows_with_the_accounts():
    desk, paris = moving("refuse")
    asked = desk.proxy.accounts
    times = []
    desk.proxy.accounts = lambda: times.append(1) or asked()
    desk.register(ALICE, PHONE, by=paris, call_id="paris")
    times.clear()
    contacts = ", ".join([CONTACT + ";expires=0"] * 100)
    assert desk.register(ALICE, contacts, by=paris, call_id="paris").status == 200
    assert desk.register(ALICE, PHONE, by=paris, call_id="paris").status == 403
    assert times == []
