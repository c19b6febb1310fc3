"""Interfaces: their names and addresses, and which one leads to a hop."""

import errno
import socket

import pytest

from sipx.interfaces import (
    LAN_SIDE,
    Interface,
    Interfaces,
    host_port,
    machine_addresses,
    primary_address,
)
from sipx.public_address import PublicAddress
from sipx.resolver import Hop
from sipx.testing.memory import MemoryTcp, MemoryUdp

# ---------------------------------------------------------------- names and addresses


def listening(name, address, transport=None, **settings):
    interface = Interface(name, settings.pop("bind", address[0]), address[1], transport or UDP)
    for key, value in settings.items():
        setattr(interface, key, value)
    interface.bound(address)
    return interface


UDP, TCP = MemoryUdp(), MemoryTcp()


def test_p11_the_sent_by_is_what_is_bound():
    assert listening("a", ("192.0.2.1", 5070)).sent_by == b"192.0.2.1:5070"
    assert listening("a", ("2001:db8::1", 5060)).sent_by == b"[2001:db8::1]:5060"


def test_the_advertised_address_replaces_the_bound_one():
    interface = listening("a", ("10.0.0.1", 5060), public=PublicAddress("198.51.100.1", 5080))
    assert interface.sent_by == b"198.51.100.1:5080"
    assert interface.own_hosts() == {(b"10.0.0.1", 5060), (b"198.51.100.1", 5080)}


def test_a_wildcard_is_written_as_an_address_peers_can_use():
    interface = listening("a", ("0.0.0.0", 5060), bind="*")
    assert interface.sent_by == host_port(primary_address(ipv6=False), 5060)
    assert (b"127.0.0.1", 5060) in interface.own_hosts()


def test_where_we_are_reached_has_no_lr_and_names_the_transport():
    assert listening("a", ("192.0.2.1", 5070)).contact() == b"Contact: <sip:192.0.2.1:5070>"
    stream = listening("a", ("2001:db8::1", 5070), TCP)
    assert stream.contact() == b"Contact: <sip:[2001:db8::1]:5070;transport=tcp>"


def test_an_interface_that_is_down_is_nobodys_address():
    interface = listening("a", ("192.0.2.1", 5060))
    interface.failed("gone")
    assert interface.own_hosts() == set()
    assert Interfaces([interface]).listening() == []


def test_our_own_via_is_known_by_host_and_port():
    interfaces = Interfaces([listening("a", ("192.0.2.1", 5060))])
    interfaces.refresh()
    assert interfaces.own == {(b"192.0.2.1", 5060)}
    assert interfaces.own_sent_by == {b" 192.0.2.1:5060 "}


def hop(address, transport="udp"):
    return Hop(address, 5060, transport, address)


def test_the_interface_towards_a_hop_speaks_its_protocol_and_family():
    four, six = listening("four", ("192.0.2.1", 5060)), listening("six", ("2001:db8::1", 5060))
    stream = listening("stream", ("192.0.2.1", 5060), TCP)
    interfaces = Interfaces([four, six, stream])
    assert interfaces.towards(hop("198.51.100.1")) is four
    assert interfaces.towards(hop("2001:db8::9")) is six
    assert interfaces.towards(hop("198.51.100.1", "tcp")) is stream
    assert interfaces.towards(hop("2001:db8::9", "tcp")) is None
    assert interfaces.towards(hop("198.51.100.1", "tls")) is None
    assert interfaces.transports() == ("udp", "tcp")


def test_bind_chooses_the_interface_and_near_breaks_the_tie():
    one, two = listening("one", ("192.0.2.1", 5060)), listening("two", ("192.0.2.2", 5060))
    interfaces = Interfaces([one, two])
    assert interfaces.towards(hop("198.51.100.1"), "192.0.2.2") is two
    assert interfaces.towards(hop("198.51.100.1"), near=two) is two
    assert interfaces.towards(hop("198.51.100.1"), "192.0.2.1", two) is one
    assert interfaces.towards(hop("198.51.100.1"), "192.0.2.3") is None


@pytest.mark.parametrize("first", ["lan", "wan"])
def test_without_bind_the_side_breaks_the_tie_whatever_stands_first(first):
    lan, wan = listening("lan", ("192.0.2.1", 5060)), listening("wan", ("192.0.2.2", 5060))
    lan.role = "lan"
    interfaces = Interfaces([lan, wan] if first == "lan" else [wan, lan])
    there = hop("198.51.100.1")
    assert interfaces.towards(there) is wan
    assert interfaces.towards(there, LAN_SIDE) is lan
    assert interfaces.towards(there, LAN_SIDE, wan) is wan
    wan.ended()
    assert interfaces.towards(there) is lan, "any that fits is better than none"
    assert interfaces.towards(hop("198.51.100.1", "tcp"), LAN_SIDE) is None


def test_a_name_chooses_the_interface_and_one_that_is_not_up_is_any():
    one, two = listening("one", ("192.0.2.1", 5060)), listening("two", ("192.0.2.2", 5060))
    interfaces = Interfaces([one, two])
    assert interfaces.towards(hop("198.51.100.1"), "two") is two
    assert interfaces.towards(hop("198.51.100.1"), "two", one) is two
    assert interfaces.towards(hop("198.51.100.1"), "gone") is one
    assert interfaces.towards(hop("198.51.100.1", "tcp"), "one") is None


def test_p10_a_record_route_leads_back_to_its_interface():
    one = listening("one", ("192.0.2.1", 5060))
    stream = listening("stream", ("192.0.2.1", 5060), TCP)
    interfaces = Interfaces([one, stream])
    interfaces.refresh()
    assert interfaces.at(b"192.0.2.1", 5060, b"udp") is one
    assert interfaces.at(b"192.0.2.1", 5060, b"tcp") is stream
    assert interfaces.at(b"192.0.2.1", 5061, b"tcp") is None


def test_an_interface_is_found_by_name_or_not_at_all():
    one = listening("one", ("192.0.2.1", 5060))
    assert Interfaces([one]).named("one") is one
    with pytest.raises(KeyError):
        Interfaces([one]).named("two")


def test_a_machine_that_cannot_be_asked_has_the_addresses_it_had(monkeypatch):
    before = machine_addresses(socket.AF_INET)
    assert "127.0.0.1" in before

    def full(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("psutil.net_if_addrs", full)
    monkeypatch.setattr("socket.socket", full)
    assert machine_addresses(socket.AF_INET) == before
    assert primary_address(ipv6=False) == "127.0.0.1"
