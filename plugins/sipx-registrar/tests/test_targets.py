"""The order in which targets are tried, and where a request must not go."""

from __future__ import annotations

import logging
from collections import Counter
from types import SimpleNamespace

import pytest
from sipx_registrar import RegistrarConfig
from sipx_registrar.bindings import Bindings, logon_place
from sipx_registrar.servers import Servers
from sipx_registrar.states import Order

from sipx import (
    Account,
    Binding,
    BindingChange,
    Partner,
    Refuse,
    Sender,
    SenderKind,
    Targets,
    UserSet,
)
from sipx.sip import parse_datagram

EPOCH = 1_800_000_000.0
DOMAIN = frozenset((b"home.example",))
PARTNER = Sender(SenderKind.PARTNER, "away.example", frozenset((b"away.example",)), trusted=True)


class AFlow(SimpleNamespace):
    """What is asked of a flow; each is itself, as flows are."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class StandIn:
    """What the table of servers asks of a proxy; the clock is turned by hand."""

    def __init__(self):
        self.domains = DOMAIN
        self.log = logging.LoggerAdapter(logging.getLogger("sipx.plugin.registrar"), {})
        self.time = 0.0
        self.known = []

    def now(self):
        return self.time

    def wall(self):
        return EPOCH + self.time

    def accounts(self):
        return tuple(self.known)

    def report(self, event):
        pass

    def note_trouble(self, kind, name, text):
        pass


class Desk:
    """A table of servers without a kernel: accounts, logons, bindings, and requests as bytes."""

    def __init__(self, **config):
        self.proxy = StandIn()
        self.bindings = Bindings(self.proxy.now, self.proxy.wall)
        self.servers = Servers(RegistrarConfig(**config), self.proxy, self.bindings)

    def account(self, name, *, users=None, kind=SenderKind.UC_SERVER, up=True, **facts):
        users = None if users is None else UserSet(users)
        account = Account(name, kind, users, name.encode(), **facts)
        self.proxy.known.append(account)
        self.servers.accounts_changed()
        if up and kind is SenderKind.UC_SERVER:
            self.logs_on(account)
        return account

    def flow(self, address="10.0.0.11", transport="tcp", port=40000):
        return AFlow(
            address=address,
            port=port,
            transport=transport,
            closed=False,
            interface=SimpleNamespace(name="lan", leaving=False),
            account="",
            account_until=0.0,
            name=f"{transport}:{address}:{port}",
        )

    def logs_on(self, account):
        flow = self.flow()
        self.servers.registered(account, flow, b"sip:uc.invalid", logon=True, until=EPOCH + 3600)
        return flow

    def binds(self, user, account, contact=None, *, flow=None, alive=True, **facts):
        contact = contact or f"sip:{user}@10.0.0.11:5060;transport=tcp"
        flow = flow or self.flow()
        binding = Binding(
            aor=f"{user}@home.example".encode(),
            contact=contact.encode(),
            owner=account.name,
            call_id=b"c",
            cseq=1,
            expires=EPOCH + 3600,
            since=EPOCH,
            transport=flow.transport,
            address=flow.address,
            port=flow.port,
            **{"flow": flow if alive else None, **facts},
        )
        self.bindings.apply([BindingChange(binding.aor, binding.key, binding)])
        return binding

    def server(self, name):
        return self.servers.known.servers[name]

    def is_suspect(self, name):
        self.server(name).missed("no answer", 0.0)

    def is_down(self, name):
        for _ in range(3):
            self.is_suspect(name)

    def ask(self, user="alice", *, method="MESSAGE", sender=PARTNER, uri=None, from_=None):
        from_ = from_ or "sip:somebody@away.example"
        uri = uri or f"sip:{user}@home.example"
        request = parse_datagram(
            (
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKa\r\n"
                f"From: <{from_}>;tag=a\r\nTo: <{uri}>\r\nCall-ID: a\r\nCSeq: 1 {method}\r\n"
                "Content-Length: 0\r\n\r\n"
            ).encode()
        )
        return self.servers.determine_targets(request, sender), request

    def tried(self, user="alice", **options):
        """The names of those that are tried, group by group; the status where there is none."""
        found, _ = self.ask(user, **options)
        if found is None:
            return 404
        if isinstance(found, Refuse):
            return found.status
        assert found.hunt
        assert found.unreachable.status == 480
        return [[target.name for target in group] for group in found.groups]

    def inside(self, account):
        """What comes from one of our accounts."""
        return Sender(account.kind, account.name, DOMAIN, trusted=True, account=account)


@pytest.fixture
def desk():
    return Desk()


# ---------------------------------------------------------------- who is meant at all


def test_only_users_of_our_domains(desk):
    desk.account("berlin")
    assert desk.tried(uri="sip:alice@away.example") == 404
    assert desk.tried(uri="sip:home.example") == 404
    assert desk.tried(uri="sips:ALICE@Home.Example") == [["berlin"]]


def test_nobody_serves_a_user_that_no_server_has(desk):
    desk.account("berlin", users=["bob"])
    assert desk.tried("alice") == 404


def test_without_any_account_nobody_is_known(desk):
    assert desk.tried() == 404


def test_users_who_log_on_alone_are_reached_where_they_registered_only(desk):
    alice = desk.account("alice", kind=SenderKind.USER, users=["alice"])
    assert desk.tried() == 404
    desk.binds("alice", alice)
    assert desk.tried() == [["alice"]]


# ---------------------------------------------------------------- the order


def test_bindings_come_before_patterns_and_those_before_everybody(desk):
    berlin = desk.account("berlin", users=["nobody"])
    desk.account("munich", users=["ali*"])
    desk.account("paris")
    assert desk.tried("bob") == [["paris"]]
    assert desk.tried("alice") == [["munich"], ["paris"]]
    desk.binds("alice", berlin)
    assert desk.tried("alice") == [["berlin"], ["munich"], ["paris"]]


def test_a_server_that_registered_the_user_is_not_tried_twice(desk):
    berlin = desk.account("berlin")
    desk.account("munich")
    desk.binds("alice", berlin)
    assert desk.tried("alice") == [["berlin"], ["munich"]]


def test_bindings_go_by_q_and_of_equal_ones_the_newest_first(desk):
    low, high, newer = (desk.account(name, users=["x"]) for name in ("low", "high", "newer"))
    desk.binds("alice", low, "sip:a@10.0.0.1", q=200)
    desk.binds("alice", high, "sip:a@10.0.0.2", q=900)
    desk.binds("alice", newer, "sip:a@10.0.0.3", q=900)
    assert desk.tried() == [["newer"], ["high"], ["low"]]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_equal_ones_ring_together_where_that_is_wanted(method):
    desk = Desk(fork="parallel")
    alice = desk.account("alice", kind=SenderKind.USER)
    for number, q in enumerate((500, 500, 100)):
        desk.binds("alice", alice, f"sip:alice@10.0.0.{number}", q=q)
    assert desk.tried(method=method) == [["alice", "alice"], ["alice"]]


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
def test_subscribe_and_publish_never_fork(method):
    desk = Desk(fork="parallel")
    alice = desk.account("alice", kind=SenderKind.USER)
    for number in range(2):
        desk.binds("alice", alice, f"sip:alice@10.0.0.{number}")
    assert desk.tried(method=method) == [["alice"], ["alice"]]


def test_of_one_instance_one_flow_at_a_time(desk):
    desk = Desk(fork="parallel")
    alice = desk.account("alice", kind=SenderKind.USER)
    for reg_id in (1, 2):
        desk.binds("alice", alice, instance=b"<urn:uuid:1>", reg_id=reg_id)
    desk.binds("alice", alice, "sip:alice@10.0.0.77", instance=b"<urn:uuid:2>", reg_id=1)
    assert desk.tried(method="INVITE") == [["alice", "alice"], ["alice"]]


def test_a_target_is_what_the_binding_says(desk):
    berlin = desk.account("berlin")
    binding = desk.binds("alice", berlin, path=(b"<sip:edge.example;lr>",))
    found, _ = desk.ask()
    target = found.groups[0][0]
    assert target.uri == binding.contact
    assert target.flow is binding.flow
    assert target.route == (b"<sip:edge.example;lr>",)
    assert target.trusted
    assert target.account is berlin
    assert desk.ask()[0].groups[0][0] is target, "the same object as long as nothing has changed"


def test_a_user_of_his_own_is_not_trusted(desk):
    alice = desk.account("alice", kind=SenderKind.USER)
    desk.binds("alice", alice)
    assert not desk.ask()[0].groups[0][0].trusted


# ---------------------------------------------------------------- load distribution


def test_users_are_shared_and_stay_where_they_are(desk):
    for name in ("berlin", "munich", "paris"):
        desk.account(name)
    users = [f"user{number}" for number in range(300)]
    first = {user: desk.tried(user)[0][0] for user in users}
    assert all(60 < count < 140 for count in Counter(first.values()).values())
    assert {user: desk.tried(user)[0][0] for user in users} == first
    desk.is_down("paris")
    after = {user: desk.tried(user)[0][0] for user in users}
    assert {user for user in users if after[user] != first[user]} == {
        user for user in users if first[user] == "paris"
    }


def test_at_most_three_servers_are_tried(desk):
    for number in range(9):
        desk.account(f"server{number}")
    assert len(desk.tried()) == 3


def test_weight_0_takes_no_share(desk):
    desk.account("berlin", weight=0)
    assert desk.tried() == 404
    desk.account("munich")
    assert {desk.tried(f"user{number}")[0][0] for number in range(30)} == {"munich"}


def test_weight_0_is_a_stand_by_for_its_own_users(desk):
    desk.account("berlin", users=["alice"])
    desk.account("standby", users=["alice"], weight=0)
    assert desk.tried() == [["berlin"], ["standby"]]
    desk.is_down("berlin")
    assert desk.tried() == [["standby"]]


def test_a_conversation_between_ours_stays_on_the_server_of_who_speaks(desk):
    phone = desk.account("phone", kind=SenderKind.USER)
    for name in ("berlin", "munich", "paris", "rome"):
        desk.account(name)
    sender = desk.inside(phone)
    firsts = {
        desk.tried(f"user{number}", sender=sender, from_="sip:Alice@home.example")[0][0]
        for number in range(20)
    }
    assert firsts == {desk.tried("alice")[0][0]}
    spread = {desk.tried(f"user{number}")[0][0] for number in range(20)}
    assert len(spread) > 1


def test_a_from_that_is_no_sip_uri_is_nobodys_server(desk):
    phone = desk.account("phone", kind=SenderKind.USER)
    desk.account("berlin")
    desk.account("munich")
    said = desk.tried("bob", sender=desk.inside(phone), from_="tel:+49301234")
    assert said == desk.tried("bob")


def test_users_of_a_list_that_is_read_again_are_seen(desk):
    account = desk.account("berlin", users=["bob"])
    assert desk.tried("alice") == 404
    account.users.replace(["alice"])
    desk.servers.users_changed()
    assert desk.tried("alice") == [["berlin"]]
    assert desk.tried("bob") == 404


# ---------------------------------------------------------------- states


def test_suspect_only_leaves_where_another_may_serve(desk):
    berlin = desk.account("berlin", users=["alice", "carol"])
    desk.account("munich", users=["carol"])
    desk.binds("alice", berlin)
    desk.binds("carol", berlin)
    desk.is_suspect("berlin")
    assert desk.tried("alice") == [["berlin"]]
    assert desk.tried("carol") == [["munich"], ["berlin"]]


def test_down_is_left_out_and_all_down_is_480(desk):
    berlin = desk.account("berlin")
    desk.account("munich")
    desk.binds("alice", berlin)
    desk.is_down("berlin")
    assert desk.tried() == [["munich"]]
    desk.is_down("munich")
    assert desk.tried() == 480
    refused, _ = desk.ask()
    assert refused.headers == ((b"Retry-After", b"30"),)


def test_a_server_that_was_never_seen_is_480(desk):
    desk.account("berlin", up=False)
    assert desk.tried() == 480


def test_draining_takes_nothing_that_others_may_serve(desk):
    berlin = desk.account("berlin", users=["alice", "carol"])
    desk.account("munich", users=["carol"])
    desk.binds("carol", berlin)
    desk.server("berlin").command(Order.DRAINING, "test")
    assert desk.tried("carol") == [["munich"], ["berlin"]]
    assert desk.tried("alice") == [["berlin"]]
    desk.is_suspect("munich")
    assert desk.tried("carol") == [["munich"], ["berlin"]]


def test_maintenance_takes_nothing_at_all(desk):
    berlin = desk.account("berlin")
    desk.binds("alice", berlin)
    desk.server("berlin").command(Order.MAINTENANCE, "test")
    assert desk.tried() == 480


def test_after_a_restart_a_binding_is_tried_before_its_server_has_come_back(desk):
    berlin = desk.account("berlin", up=False)
    desk.binds("alice", berlin, flow=desk.flow(transport="udp", port=5060), alive=False)
    found, _ = desk.ask()
    (hop,) = found.groups[0][0].hops
    assert (hop.host, hop.port, hop.transport) == ("10.0.0.11", 5060, "udp")


# ---------------------------------------------------------------- flows that are gone


def test_a_server_that_is_back_is_reached_before_it_has_registered_its_users_again(desk):
    berlin = desk.account("berlin", users=["bob"])
    binding = desk.binds("alice", berlin)
    binding.flow.closed = True
    found, _ = desk.ask()
    assert found.groups[0][0].flow is desk.server("berlin").ways[0].flow
    assert found.groups[0][0].uri == binding.contact


@pytest.mark.parametrize("fork", ["serial", "parallel"])
def test_a_server_that_came_back_elsewhere_gets_each_request_once(fork):
    desk = Desk(fork=fork)
    berlin, alice = desk.account("berlin", users=["bob"]), desk.account("a", kind=SenderKind.USER)
    desk.binds("bob", berlin, "sip:bob@10.0.0.11:5060;transport=tcp", alive=False)
    desk.binds("bob", berlin, "sip:bob@10.0.0.11:5070;transport=tcp")
    assert desk.tried("bob") == [["berlin"]]
    # Of somebody who logs on alone each place is a telephone of its own.
    desk.binds("a", alice, "sip:a@10.0.0.11:5060;transport=tcp", alive=False)
    desk.binds("a", alice, "sip:a@10.0.0.12:5060;transport=tcp")
    assert sum(map(len, desk.tried("a"))) == 2


@pytest.mark.parametrize(
    ("contact", "facts", "status"),
    [
        ("sip:alice@10.0.0.11:5070;transport=tcp", {}, [["alice"]]),
        ("sip:alice@192.168.0.7:5070;transport=tcp", {}, 480),
        ("sip:alice@10.0.0.11:5070", {}, 480),
        ("sip:alice@10.0.0.11:5070;transport=tcp", {"instance": b"<a>", "reg_id": 1}, 430),
    ],
)
def test_a_phone_whose_connection_is_gone(desk, contact, facts, status):
    alice = desk.account("alice", kind=SenderKind.USER)
    desk.binds("alice", alice, contact, alive=False, **facts)
    assert desk.tried() == status


def test_over_tls_only_who_has_something_to_prove_is_called_back(desk):
    contact = "sip:alice@10.0.0.11:5070;transport=tls"
    flow = desk.flow(transport="tls")
    alice = desk.account("alice", kind=SenderKind.USER)
    desk.binds("alice", alice, contact, flow=flow, alive=False)
    assert desk.tried() == 480
    _, request = desk.ask()
    text = "\n".join(desk.servers.explain_targets(request, PARTNER))
    assert "`certificate` of its account" in text
    bob = desk.account("bob", kind=SenderKind.USER, partner=Partner("bob"))
    desk.binds("bob", bob, contact, flow=flow, alive=False)
    assert desk.tried("bob") == [["bob"]]


def test_bindings_of_an_account_that_is_gone_are_nobodys(desk):
    alice = desk.account("alice", kind=SenderKind.USER)
    desk.binds("alice", alice)
    desk.proxy.known.clear()
    desk.servers.accounts_changed()
    assert desk.tried() == 404


# ---------------------------------------------------------------- loops


def test_nothing_goes_back_to_where_it_came_from(desk):
    berlin, munich = desk.account("berlin"), desk.account("munich")
    sender = desk.inside(berlin)
    assert desk.tried(sender=sender) == [["munich"]]
    desk.is_down("munich")
    assert desk.tried(sender=sender) == 482
    assert desk.tried(sender=desk.inside(munich)) == [["berlin"]]


def test_with_another_request_uri_it_may_come_back(desk):
    berlin = desk.account("berlin")
    desk.binds("bob", berlin)
    assert desk.tried("bob", sender=desk.inside(berlin)) == [["berlin"]]


def test_with_the_same_request_uri_it_may_not(desk):
    berlin = desk.account("berlin")
    desk.binds("bob", berlin, "sip:bob@HOME.example")
    assert desk.tried("bob", sender=desk.inside(berlin)) == 482


# ---------------------------------------------------------------- bulk


def test_a_bulk_contact_stands_for_each_number_of_its_server(desk):
    pbx = desk.account("pbx", users=["+4930*", "reception"])
    binding = desk.binds("x", pbx, "sip:10.0.0.11:5060;transport=tcp;bnc", bulk=True)
    place = logon_place("pbx")
    binding.aor = place
    desk.bindings.apply([BindingChange(place, binding.key, binding)])
    found, _ = desk.ask("+49301234567")
    assert found.groups[0][0].uri == b"sip:+49301234567@10.0.0.11:5060;transport=tcp"
    found, _ = desk.ask("reception")
    assert found.groups[0][0].uri is None


# ---------------------------------------------------------------- is_down, admits


def test_whose_bindings_hold_no_users(desk):
    desk.account("berlin")
    assert not desk.servers.is_down("berlin")
    desk.is_suspect("berlin")
    assert not desk.servers.is_down("berlin")
    desk.is_down("berlin")
    assert desk.servers.is_down("berlin")
    assert desk.servers.is_down("somebody")
    alice = desk.account("alice", kind=SenderKind.USER)
    assert not desk.servers.is_down(alice.name)


def test_one_that_has_not_come_back_after_a_restart_holds_them_for_a_minute(desk):
    desk.account("berlin", up=False)
    desk.servers.known.started = 0.0
    assert not desk.servers.is_down("berlin")
    desk.proxy.time = 61.0
    assert desk.servers.is_down("berlin")


def test_in_maintenance_no_register_is_taken(desk):
    berlin = desk.account("berlin")
    assert desk.servers.admits(berlin) is None
    desk.server("berlin").command(Order.MAINTENANCE, "test")
    refused = desk.servers.admits(berlin)
    assert refused.status == 503
    assert refused.headers == ((b"Retry-After", b"30"),)


# ---------------------------------------------------------------- why


def test_why_is_told_step_by_step(desk):
    berlin = desk.account("berlin", users=["ali*"])
    desk.account("munich")
    desk.account("paris")
    desk.binds("alice", berlin, "sip:alice@192.168.0.7:5070", alive=False, reg_id=1)
    desk.is_down("berlin")
    _, request = desk.ask()
    lines = desk.servers.explain_targets(request, PARTNER)
    text = "\n".join(lines)
    assert lines[0] == "user alice@home.example"
    assert "1. registration by berlin" in text
    assert "left out: the server is down" in text
    assert "2. its user (ali*): berlin, weight 1" in text
    assert text.count("3. serves everybody") == 2
    assert "score" in text
    targets, _ = desk.ask()
    assert isinstance(targets, Targets)
    names = [group[0].name for group in targets.groups]
    assert lines[-1] == "so: " + ", then ".join(names)


def test_why_nobody_serves_a_user(desk):
    desk.account("berlin", users=["bob"])
    _, request = desk.ask()
    assert desk.servers.explain_targets(request, PARTNER)[-1] == "4. nobody serves this user: 404"


def test_asking_why_changes_nothing(desk):
    desk.account("berlin")
    _, request = desk.ask()
    before = (desk.server("berlin").sent, desk.servers.known.version)
    desk.servers.explain_targets(request, PARTNER)
    assert (desk.server("berlin").sent, desk.servers.known.version) == before
