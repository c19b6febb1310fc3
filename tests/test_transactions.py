"""The tables of running transactions: what belongs to which machine, and what to none."""

import pytest

from sipx.sip.timers import TICK, Timers, TimerSettings
from sipx.sip.transaction import ClientTransaction, ServerTransaction
from sipx.testing.transcript import Line
from sipx.testing.wire import a_request, an_answer, gist
from sipx.transactions import Transactions

OURS = b" 192.0.2.9:5060 "
VIA = b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKours"


class Peer(Line):
    """A flow with an address."""

    def __init__(self, address="192.0.2.1", *, reliable=False):
        super().__init__(reliable=reliable)
        self.address = address
        self.carries_requests = False

    def same_peer(self, other):
        return self is other or self.address == other.address


class Core:
    """A transaction user that notes what it is told."""

    def __init__(self):
        self.requests, self.acks, self.cancels = [], [], []

    def on_request(self, request, transaction, flow):
        self.requests.append((request, transaction))

    def on_ack(self, request, flow):
        self.acks.append(request)

    def on_cancel(self, request, transaction, invite, flow):
        self.cancels.append((transaction, invite))


class Asked(ClientTransaction):
    __slots__ = ("told",)

    def on_response(self, response):
        self.told.append(response.status)

    def on_timeout(self):
        self.told.append("timeout")

    def on_error(self):
        self.told.append("error")

    def ack(self, response):
        return b"ACK sip:x SIP/2.0\r\n\r\n"


@pytest.fixture
def core():
    return Core()


@pytest.fixture
def transactions(core):
    made = Transactions(TimerSettings(), Timers())
    made.user = core
    made.own_sent_by = frozenset((OURS,))
    return made


def asks(transactions, flow, method="MESSAGE", key=b"z9hG4bKours"):
    request = a_request(method, via=(VIA.replace(b"z9hG4bKours", key),))
    client = Asked()
    client.told = []
    data = request.encode()
    client.begin(transactions, key, request.method, data, flow)
    flow.carries_requests = True
    return client, data


# ---------------------------------------------------------------- requests


def test_x02_a_retransmission_reaches_the_user_once(transactions, core):
    flow = Peer()
    for _ in range(3):
        transactions.on_request(a_request(), flow)
    assert len(core.requests) == 1
    assert transactions.absorbed == 2
    request, transaction = core.requests[0]
    transaction.respond(200, request.reply(200).encode())
    transactions.on_request(a_request(), flow)
    assert [gist(data) for data in flow.sent] == [200, 200]


def test_x01_the_same_branch_from_another_sent_by_is_new(transactions, core):
    transactions.on_request(a_request(sent_by=b"192.0.2.1"), Peer())
    transactions.on_request(a_request(sent_by=b"192.0.2.2"), Peer())
    assert len(core.requests) == 2


def test_x01_the_same_branch_with_another_method_is_new(transactions, core):
    transactions.on_request(a_request("MESSAGE"), Peer())
    transactions.on_request(a_request("INFO"), Peer())
    assert len(core.requests) == 2


def test_an_ack_for_a_failure_is_consumed_and_one_for_nothing_is_passed(transactions, core):
    flow = Peer()
    transactions.on_request(a_request("INVITE"), flow)
    request, transaction = core.requests[0]
    transaction.respond(486, request.reply(486).encode())
    transactions.on_request(a_request("ACK"), flow)
    assert not core.acks
    transactions.on_request(a_request("ACK", branch=b"z9hG4bKother"), flow)
    assert len(core.acks) == 1
    assert [gist(data) for data in flow.sent] == [486]


def test_an_ack_of_rfc_2543_finds_its_invite_although_it_has_a_to_tag(transactions, core):
    flow = Peer()
    old = (b"Via: SIP/2.0/UDP 192.0.2.1:5060",)
    transactions.on_request(a_request("INVITE", via=old), flow)
    request, transaction = core.requests[0]
    transaction.respond(486, request.reply(486, to_tag=b"b").encode())
    transactions.on_request(a_request("ACK", via=old, to_tag=b"b"), flow)
    transactions.timers.tick(1)
    assert not core.acks
    assert len(flow.sent) == 1, "the ACK stops timer G"


def test_overload_is_answered_without_keeping_state(core):
    transactions = Transactions(TimerSettings(), Timers(), limit=1)
    transactions.user = core
    flow = Peer()
    transactions.on_request(a_request(branch=b"z9hG4bK1"), flow)
    transactions.on_request(a_request(branch=b"z9hG4bK2"), flow)
    assert len(core.requests) == len(transactions.servers) == 1
    assert b"\r\nRetry-After: 5" in flow.sent[0]
    assert gist(flow.sent[0]) == 503
    assert transactions.turned_away == 1


def test_x06_an_abandoned_request_is_never_answered(transactions, core):
    flow = Peer()
    transactions.on_request(a_request(), flow)
    transactions.abandon(core.requests[0][1])
    transactions.on_request(a_request(), flow)
    assert not flow.sent
    assert len(core.requests) == 1
    transactions.timers.tick(31.9)
    transactions.on_request(a_request(), flow)
    assert not flow.sent
    assert len(core.requests) == 1
    transactions.timers.tick(33)
    assert not transactions.servers


# ---------------------------------------------------------------- CANCEL


def test_p18_a_cancel_finds_its_invite(transactions, core):
    flow = Peer()
    transactions.on_request(a_request("INVITE"), flow)
    transactions.on_request(a_request("CANCEL"), flow)
    transaction, invite = core.cancels[0]
    assert invite is core.requests[0][1]
    assert isinstance(transaction, ServerTransaction)
    assert transaction is not invite


def test_p18_a_cancel_of_nothing_says_so(transactions, core):
    transactions.on_request(a_request("CANCEL"), Peer())
    assert core.cancels[0][1] is None


def test_a_cancel_from_another_address_finds_nothing(transactions, core):
    transactions.on_request(a_request("INVITE"), Peer("192.0.2.1"))
    transactions.on_request(a_request("CANCEL"), Peer("192.0.2.66"))
    assert core.cancels[0][1] is None


def test_a_cancel_finds_no_other_method(transactions, core):
    flow = Peer()
    transactions.on_request(a_request("MESSAGE"), flow)
    transactions.on_request(a_request("CANCEL"), flow)
    assert core.cancels[0][1] is None


# ---------------------------------------------------------------- responses


def test_p14_a_response_finds_its_request(transactions):
    flow = Peer()
    client, data = asks(transactions, flow)
    transactions.on_response(an_answer(data, 200), flow)
    assert client.told == [200]


def test_a_response_may_come_on_another_connection_of_the_same_peer(transactions):
    client, data = asks(transactions, Peer("192.0.2.1", reliable=True))
    transactions.on_response(an_answer(data, 200), Peer("192.0.2.1", reliable=True))
    assert client.told == [200]


def test_x04_stray_responses_are_dropped_and_counted(transactions):
    flow = Peer()
    client, data = asks(transactions, flow)
    strays = [
        an_answer(data.replace(b"z9hG4bKours", b"z9hG4bKtheirs"), 200),
        an_answer(data.replace(b"192.0.2.9", b"192.0.2.8"), 200),
        an_answer(data.replace(b"MESSAGE", b"INFO"), 200),
    ]
    for response in strays:
        transactions.on_response(response, flow)
    transactions.on_response(an_answer(data, 200), Peer("192.0.2.66"))
    assert not client.told
    assert transactions.strays == 4


def test_the_answer_to_a_cancel_is_none_to_its_invite(transactions):
    flow = Peer()
    invite, _ = asks(transactions, flow, "INVITE")
    cancel, data = asks(transactions, flow, "CANCEL")
    del transactions.clients[b"z9hG4bKours"]
    transactions.clients[b"z9hG4bKours"] = invite
    transactions.clients[b"z9hG4bKours CANCEL"] = cancel
    transactions.on_response(an_answer(data, 200), flow)
    assert cancel.told == [200]
    assert not invite.told


# ---------------------------------------------------------------- flows that end


def test_p17_what_waits_on_a_broken_flow_hears_of_it(transactions):
    broken, other = Peer("192.0.2.1", reliable=True), Peer("192.0.2.2", reliable=True)
    waits, _ = asks(transactions, broken, key=b"z9hG4bK1")
    goes_on, _ = asks(transactions, other, key=b"z9hG4bK2")
    transactions.flow_failed(broken)
    assert (waits.told, goes_on.told) == (["error"], [])


def test_t03_a_response_whose_connection_has_gone_gets_a_new_one(transactions, core):
    reopened = []
    transactions.reopen = lambda flow, port, data: reopened.append((flow, port, data))
    flow = Peer(reliable=True)
    transactions.on_request(a_request(sent_by=b"192.0.2.1:5070"), flow)
    transactions.on_request(a_request(sent_by=b"192.0.2.1"), flow)
    flow.broken = True
    for request, transaction in core.requests:
        transaction.respond(200, request.reply(200).encode())
    assert [(place, port, gist(data)) for place, port, data in reopened] == [
        (flow, 5070, 200),
        (flow, 5060, 200),
    ]


def test_by_udp_nothing_is_reopened(transactions, core):
    transactions.reopen = lambda flow, port, data: pytest.fail("not for datagrams")
    flow = Peer()
    transactions.on_request(a_request(), flow)
    flow.broken = True
    request, transaction = core.requests[0]
    transaction.respond(200, request.reply(200).encode())
    assert isinstance(transactions.servers[transaction.key], bytes)


def test_idle_means_that_nobody_waits_for_a_final_response(transactions, core):
    assert transactions.idle()
    transactions.on_request(a_request("INVITE"), Peer())
    assert not transactions.idle()
    request, transaction = core.requests[0]
    transaction.respond(180, request.reply(180).encode())
    assert not transactions.idle()
    transaction.respond(486, request.reply(486).encode())
    assert transactions.idle()


def test_the_larger_the_table_the_rarer_it_is_looked_through():
    transactions = Transactions(TimerSettings(), Timers())
    assert transactions.until_next_look() == TICK
    transactions.servers = {b"%d" % number: b"" for number in range(100_000)}
    assert transactions.until_next_look() == 6 * TICK
