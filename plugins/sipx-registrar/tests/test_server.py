"""The state machine of one UC server: every way from one state to another."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sipx_registrar.server import Server
from sipx_registrar.states import Order, Rules

from sipx import Account, NextHop, Partner, SenderKind

FOREVER = 1e12


class Case:
    """A server, a clock that is turned by hand, and what it told."""

    def __init__(self, *, hop=None, weight=1, **rules):
        self.now = 100.0
        self.told = []
        account = Account("berlin", SenderKind.UC_SERVER, hop=hop, weight=weight)
        self.server = Server(account, Rules(**rules), self.changed, lambda: 5000.0 + self.now, hop)

    def changed(self, server, before, after, why):
        assert server is self.server
        self.told.append((before, after))

    def flow(self, address="10.0.0.11", port=40000, transport="tcp"):
        return SimpleNamespace(
            address=address,
            port=port,
            transport=transport,
            closed=False,
            interface=SimpleNamespace(name="lan"),
        )

    def logs_on(self, flow=None, *, until=FOREVER, contact=b"sip:uc.invalid"):
        flow = flow or self.flow()
        self.news = self.server.logged_on(flow, contact, until, logon=True, now=self.now)
        return flow

    def loses(self, flow):
        flow.closed = True
        self.server.lost(flow, "closed by the peer", self.now)

    def after(self, seconds):
        self.now += seconds
        self.server.time_passes(self.now)

    def answers(self, times=1):
        for _ in range(times):
            self.server.answered(self.now, 0.01)

    def misses(self, times=1):
        for _ in range(times):
            self.server.missed("no answer to a ping within 5 s", self.now)

    def is_down(self):
        flow = self.logs_on()
        self.misses(3)
        assert self.state == "down"
        return flow

    @property
    def state(self):
        return self.server.state


def test_it_is_up_when_it_logs_on():
    case = Case()
    assert case.state == "never seen"
    assert not case.server.serves
    flow = case.logs_on()
    assert case.state == "up"
    assert case.server.way().flow is flow
    assert case.told == [("never seen", "up")]


def test_a_lost_connection_makes_it_suspect_at_once_and_down_after_5_s():
    case = Case()
    flow = case.logs_on()
    case.loses(flow)
    assert case.state == "suspect"
    assert "closed by the peer" in case.server.reason
    assert case.server.way() is None
    case.after(4.9)
    assert case.state == "suspect"
    case.after(0.2)
    assert case.state == "down"


def test_a_connection_that_comes_back_within_5_s_changes_no_share():
    case = Case(weight=4)
    case.loses(case.logs_on())
    case.after(3)
    again = case.logs_on()
    assert case.state == "up"
    assert case.server.way().flow is again
    assert case.server.weight_at(case.now) == 4
    case.after(10)
    assert case.state == "up"


def test_two_vain_connections_make_it_down_before_5_s_have_passed():
    case = Case(hop=NextHop("10.0.0.11", 5060, "tcp"))
    case.loses(case.logs_on())
    case.server.could_not_connect("refused", case.now)
    assert case.state == "suspect"
    case.server.could_not_connect("refused", case.now)
    assert case.state == "down"


def test_one_ping_missed_is_suspect_and_one_answered_is_up_again():
    case = Case()
    case.logs_on()
    case.misses()
    assert case.state == "suspect"
    case.answers()
    assert case.state == "up"
    assert case.server.weight_at(case.now) == 1


def test_pings_that_are_missed_now_and_then_do_not_add_up():
    case = Case()
    case.logs_on()
    for _ in range(5):
        case.misses(2)
        case.answers()
    assert case.state == "up"


def test_after_down_after_misses_it_is_down_and_after_up_after_answers_up():
    case = Case(down_after=3, up_after=2)
    case.is_down()
    case.answers()
    assert case.state == "down"
    case.answers()
    assert case.state == "up"


def test_one_that_was_down_gets_its_share_step_by_step():
    case = Case(weight=10, slow_start=30.0)
    case.is_down()
    case.answers(2)
    weights = [case.server.weight_at(case.now + seconds) for seconds in range(0, 31, 3)]
    assert weights == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]
    without = Case(weight=10, slow_start=0.0)
    without.is_down()
    without.answers(2)
    assert without.server.weight_at(without.now) == 10


def test_one_that_was_down_and_logs_on_is_suspect_until_it_has_answered():
    case = Case(up_after=2)
    case.loses(case.logs_on())
    case.after(6)
    assert case.state == "down"
    case.logs_on()
    assert case.state == "suspect"
    assert case.server.serves
    case.answers()
    assert case.state == "suspect"
    case.answers()
    assert case.state == "up"
    assert case.server.weight_at(case.now) < 1


def test_one_that_was_down_and_logs_on_beside_a_dead_connection():
    case = Case()
    case.is_down()
    case.logs_on(case.flow(port=40001))
    assert case.state == "suspect"


def test_refreshing_a_registration_on_a_hanging_connection_is_no_way_up():
    case = Case()
    flow = case.is_down()
    case.logs_on(flow)
    assert case.state == "down"


def test_a_request_that_is_answered_counts_like_a_ping():
    case = Case()
    case.logs_on()
    case.misses()
    case.server.heard(case.now)
    assert case.state == "up"


def test_503_leaves_it_alone_for_as_long_as_it_asked():
    case = Case()
    case.logs_on()
    case.server.refused(20, case.now)
    assert case.state == "suspect"
    case.answers(3)
    assert case.state == "suspect"
    case.after(21)
    case.answers()
    assert case.state == "up"


def test_what_does_not_get_there_makes_it_suspect_until_it_answers():
    case = Case()
    case.logs_on()
    for _ in range(5):
        case.server.undelivered("a request could not be delivered")
    assert case.state == "suspect"
    case.answers()
    assert case.state == "up"


def test_an_endless_retry_after_is_not_believed():
    case = Case()
    case.logs_on()
    case.server.refused(99_999_999, case.now)
    case.after(301)
    case.answers()
    assert case.state == "up"


def test_without_pings_time_alone_gives_one_that_refused_another_try():
    case = Case(pings=False)
    case.logs_on()
    case.server.refused(20, case.now)
    case.after(19)
    assert case.state == "suspect"
    case.after(2)
    assert case.state == "up"


def test_without_pings_a_logon_is_enough_and_its_share_grows_all_the_same():
    case = Case(pings=False, weight=10)
    case.loses(case.logs_on())
    case.after(6)
    assert case.state == "down"
    case.logs_on()
    assert case.state == "up"
    assert case.server.weight_at(case.now) == 1


def test_a_connection_of_ours_alone_does_not_make_it_up_but_an_answer_does():
    case = Case(hop=NextHop("10.0.0.11", 5060, "tcp"))
    case.server.connected(case.flow(), case.now)
    assert case.state == "never seen"
    case.answers()
    assert case.state == "up"


def test_the_newest_flow_wins_and_the_older_stays():
    case = Case()
    first = case.logs_on()
    assert case.news == ""
    second = case.logs_on(case.flow("10.0.0.12"))
    assert "10.0.0.11" in case.news
    assert "10.0.0.12" in case.news
    assert case.server.way().flow is second
    case.logs_on(first)
    assert case.news == ""
    assert case.server.way().flow is second, "a refresh does not turn it back"
    case.loses(second)
    assert case.state == "up"
    assert case.server.way().flow is first


def test_another_connection_from_the_same_address_is_no_news():
    case = Case()
    case.logs_on()
    case.logs_on(case.flow(port=40001))
    assert case.news == ""


def test_who_logs_off_is_down_at_once():
    case = Case()
    flow = case.logs_on()
    case.server.logged_off(flow, case.now)
    assert case.state == "down"
    assert case.server.reason == "it logged off"


def test_a_registration_that_expires_takes_its_way_along():
    case = Case()
    case.logs_on(case.flow(transport="udp"), until=5000.0 + case.now + 60)
    case.now += 59
    assert not case.server.forget_ended(case.now)
    case.now += 2
    assert case.server.forget_ended(case.now)
    assert case.state == "suspect"
    case.after(5)
    assert case.state == "down"


def test_where_it_was_is_dialled_as_long_as_it_is_registered():
    case = Case()
    flow = case.flow()
    case.server.logged_on(
        flow, b"sip:alice@10.0.0.11;transport=tcp", 5060.0 + case.now, logon=False, now=case.now
    )
    case.loses(flow)
    assert case.server.dial == NextHop("10.0.0.11", 5060, "tcp", "lan")
    case.after(6)
    assert case.state == "down"
    assert case.server.dial is not None
    case.server.connected(case.flow(), case.now)
    case.answers(2)
    assert case.state == "up"
    case.loses(case.server.ways[0].flow)
    case.now += 60
    case.server.forget_ended(case.now)
    assert case.server.dial is None


@pytest.mark.parametrize(
    ("contact", "dials"),
    [
        (b"sip:uc@10.0.0.11:5066;transport=tcp", NextHop("10.0.0.11", 5066, "tcp", "lan")),
        (b"sip:10.0.0.11;transport=tcp", NextHop("10.0.0.11", 5060, "tcp", "lan")),
        (b"sip:uc@10.0.0.11:5066", None),
        (b"sip:uc@192.168.1.5:5066;transport=tcp", None),
        (b"sip:uc@uc.berlin.example;transport=tcp", None),
        (b"tel:+4930", None),
    ],
)
def test_its_contact_is_dialled_only_where_it_came_from(contact, dials):
    case = Case()
    case.loses(case.logs_on(contact=contact))
    assert case.server.dial == dials
    way = case.server.way()
    assert (way.hops if way else ()) == ((dials,) if dials else ())


def test_what_the_operator_wants_stands_beside_what_is_so():
    case = Case()
    flow = case.logs_on()
    case.server.command(Order.DRAINING, "lea drains it")
    assert case.state == "draining"
    assert case.server.serves
    case.loses(flow)
    case.after(6)
    assert case.state == "down"
    case.server.command(Order.MAINTENANCE, "lea has disconnected it")
    assert case.state == "maintenance"
    assert not case.server.serves
    case.server.command(Order.SERVE, "lea lets it serve again")
    assert case.state == "down"


def test_what_is_said_twice_is_told_once():
    case = Case()
    case.logs_on()
    case.server.command(Order.DRAINING, "lea drains it")
    case.server.command(Order.DRAINING, "lea drains it")
    assert case.told == [("never seen", "up"), ("up", "draining")]


def test_another_account_of_the_same_name_makes_its_ways_anew():
    case = Case()
    flow = case.logs_on()
    account = Account("berlin", SenderKind.UC_SERVER, weight=7)
    case.server.meet(account, None)
    assert case.server.way().account is account
    assert case.server.way().flow is flow
    assert case.server.weight_at(case.now) == 7


def test_a_hop_that_is_configured_no_longer_is_not_dialled_any_more():
    case = Case(hop=NextHop("10.0.0.11", 5060, "tcp"))
    assert case.server.dial is not None
    case.server.meet(Account("berlin", SenderKind.UC_SERVER), None)
    assert case.server.way() is None


def test_the_share_is_of_a_window():
    case = Case()
    for _ in range(6):
        case.server.sent += 10
        case.server.sample()
    assert case.server.sent_lately() == 50
    for _ in range(6):
        case.server.sample()
    assert case.server.sent_lately() == 0


def test_over_tls_it_is_dialled_only_if_it_can_prove_who_it_is():
    contact = b"sip:10.0.0.11:5061;transport=tls"
    case = Case()
    case.loses(case.logs_on(case.flow(transport="tls"), contact=contact))
    assert case.server.way() is None
    account = Account("berlin", SenderKind.UC_SERVER, partner=Partner("berlin"))
    case.server.meet(account, None)
    case.loses(case.logs_on(case.flow(transport="tls"), contact=contact))
    assert case.server.way().partner is account.partner


def test_a_connection_to_nobody_is_no_sign_of_life():
    """By UDP one can be opened to a port that nobody listens on; the next datagram tells."""
    case = Case()
    first = case.flow()
    case.logs_on(first)
    case.loses(first)
    assert case.server.state == "suspect"
    for _ in range(4):
        flow = case.flow()
        case.server.connected(flow, case.now)
        assert case.server.state == "suspect"
        case.after(1)
        case.loses(flow)
    case.after(2)
    assert case.server.state == "down"
    flow = case.flow()
    case.server.connected(flow, case.now)
    assert case.server.state == "down"
    for _ in range(case.server.rules.up_after):
        case.answers()
    assert case.server.state == "up"
