"""Flows and their table."""

import pytest

from sipx.flows import Flow, FlowTable, Traffic
from sipx.interfaces import Interface
from sipx.testing.memory import MemoryTcp, MemoryUdp


class AFlow(Flow):
    __slots__ = ("table",)

    def __init__(
        self, table, transport, address="192.0.2.1", port=5060, *, name="one", outbound=False
    ):
        interface = Interface(name, "127.0.0.1", 5060, transport)
        interface.bound(("127.0.0.1", 5060))
        super().__init__(interface, address, port, 1.0, outbound=outbound)
        self.table = table

    def send(self, data):
        return not self.closed

    def close(self, reason):
        self.closed = True
        self.table.remove(self)


def flows(count, transport=None, **settings):
    table = FlowTable(**settings)
    made = [AFlow(table, transport or MemoryUdp(), port=5060 + number) for number in range(count)]
    for flow in made:
        table.add(flow)
    return table, made


def test_each_flow_has_an_id_of_its_own_that_is_never_used_again():
    table, (first, second) = flows(2)
    assert first.id != second.id
    table.remove(second)
    again = AFlow(table, MemoryUdp())
    table.add(again)
    assert len({first.id, second.id, again.id}) == 3
    assert list(table) == [first, again]


def test_a_flow_that_was_removed_cannot_be_removed_again():
    table, (flow,) = flows(1)
    assert table.remove(flow) is True
    assert table.remove(flow) is False
    assert table.statistics().closed == 1


def test_flows_may_end_while_the_table_is_read():
    table, made = flows(5)
    for flow in table:
        flow.close("all of them")
    assert len(table) == 0
    assert table.statistics().opened == len(made)


def test_a_full_table_gives_up_its_oldest_datagram_flow():
    table, made = flows(4, limit=3)
    assert [flow.closed for flow in made] == [True, False, False, False]
    assert len(table) == 3


def closed(made):
    return [number for number, flow in enumerate(made) if flow.closed]


def more(table, count=1, transport=None):
    made = [AFlow(table, transport or MemoryUdp(), "192.0.2.2") for _ in range(count)]
    for flow in made:
        table.add(flow)
    return made


def test_sec19_strangers_do_not_push_out_who_has_logged_on():
    table, made = flows(4, limit=4)
    made[0].account = made[2].account = "berlin"
    strangers = more(table, 10)
    assert closed(made) == [1, 3]
    assert closed(strangers) == list(range(8))


def test_among_those_who_have_logged_on_the_oldest_makes_room():
    table, made = flows(3, limit=3)
    for flow in made:
        flow.account = "berlin"
    (new,) = more(table)
    assert (closed(made), new.closed) == ([0], False)
    new.account = "paris"
    more(table)
    assert closed(made) == [0, 1]


def test_who_was_heard_since_the_last_look_makes_no_room():
    table, made = flows(3, limit=3)
    made[0].last_in = 2.0
    more(table)
    assert closed(made) == [1]
    more(table)
    assert closed(made) == [1, 2]
    for flow in table:
        flow.last_in += 1.0
    more(table)
    assert closed(made) == [0, 1, 2]


def test_who_has_logged_on_and_was_heard_stays_longer_than_who_is_silent():
    table, made = flows(3, limit=3)
    for flow in made:
        flow.account = "berlin"
    more(table)
    made[1].last_in = 2.0
    more(table, transport=MemoryTcp())
    more(table, transport=MemoryTcp())
    assert closed(made) == [0, 2]


def test_the_newest_never_makes_room_for_itself():
    table, made = flows(2, limit=2)
    for flow in made:
        flow.last_in = 2.0
    (new,) = more(table)
    assert (closed(made), new.closed) == ([0], False)


class Seen(AFlow):
    """Counts how often the table looks whose it is."""

    __slots__ = ()
    looks = 0

    @property
    def account(self):
        Seen.looks += 1
        return ""

    @account.setter
    def account(self, name):
        pass


@pytest.mark.parametrize("transport", [MemoryTcp(), MemoryUdp()])
def test_sec19_room_is_made_without_a_search(transport):
    table = FlowTable(limit=1000)
    for _ in range(999):
        table.add(Seen(table, transport))
    table.add(Seen(table, MemoryUdp()))
    Seen.looks = 0
    for _ in range(500):
        table.add(Seen(table, MemoryUdp()))
    assert Seen.looks == 500
    assert len(table) == 1000


def test_a_flow_that_has_ended_is_not_looked_at_again():
    table, made = flows(3, limit=3)
    made[0].close("over")
    more(table, 2)
    assert closed(made) == [0, 1]
    assert len(table) == 3


def test_a_full_table_gives_up_no_connection():
    table, made = flows(4, MemoryTcp(), limit=3)
    assert not any(flow.closed for flow in made)
    assert table.connections() == 4


def test_what_an_interface_has_carried_stays_when_its_flows_end():
    table = FlowTable()
    one, two = AFlow(table, MemoryTcp()), AFlow(table, MemoryTcp(), outbound=True)
    other = AFlow(table, MemoryTcp(), name="other")
    for number, flow in enumerate((one, two, other), 1):
        table.add(flow)
        flow.messages_in, flow.messages_out = number, 10 * number
    before = table.traffic()
    assert before == {"one": Traffic(2, 1, 2, 3, 30), "other": Traffic(1, 0, 1, 3, 30)}
    one.close("over")
    two.close("over")
    assert table.traffic() == {"one": Traffic(0, 0, 2, 3, 30), "other": before["other"]}


def test_flushes_that_ask_for_more_flushes_are_all_done():
    table = FlowTable()
    done = []

    def again():
        done.append("first")
        table.dirty.append(lambda: done.append("second"))

    table.dirty.append(again)
    table.flush()
    assert done == ["first", "second"]
    assert table.dirty == []


@pytest.mark.parametrize(
    ("address", "name"),
    [("192.0.2.1", "udp:192.0.2.1:5060"), ("2001:db8::1", "udp:[2001:db8::1]:5060")],
)
def test_a_flow_is_named_by_transport_and_place(address, name):
    assert AFlow(FlowTable(), MemoryUdp(), address).name == name


def test_x01_a_response_may_come_from_another_port_of_the_same_host():
    table = FlowTable()
    udp, tcp = MemoryUdp(), MemoryTcp()
    flow = AFlow(table, udp)
    assert flow.same_peer(flow)
    assert flow.same_peer(AFlow(table, udp, port=6000))
    assert not flow.same_peer(AFlow(table, udp, "192.0.2.2"))
    assert not flow.same_peer(AFlow(table, tcp))


def test_the_via_of_a_datagram_flow_asks_for_rport_and_that_of_a_stream_does_not():
    table = FlowTable()
    assert AFlow(table, MemoryUdp()).via_head == (
        b"Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK"
    )
    assert AFlow(table, MemoryTcp()).via_head == b"Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK"


async def test_flows_of_the_proxy_are_one_per_place(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    for _ in range(3):
        home.ask("OPTIONS", "sip:127.0.0.1:5060")
        await home.next(200)
    (flow,) = stage.kernel.flows
    assert (flow.address, flow.port) == home.place
    assert (flow.messages_in, flow.messages_out) == (3, 3)
