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
