"""At which ports those inside say they are, and that a dialog leads to no others (SEC-09)."""

import pytest

from sipx.addresses import AddressFilter
from sipx.contacts import MOST, PEERS, PORTS, Contacts, contact_port, inside_ports
from sipx.cookies import peer_id
from sipx.sip import parse_datagram


def message(*headers):
    lines = (
        "SUBSCRIBE sip:bob@away.example SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1",
        "Max-Forwards: 70",
        "From: <sip:ada@home.example>;tag=a",
        "To: <sip:bob@away.example>",
        "Call-ID: c",
        "CSeq: 1 SUBSCRIBE",
        *headers,
        "Content-Length: 0",
        "",
        "",
    )
    return parse_datagram("\r\n".join(lines).encode())


@pytest.mark.parametrize(
    ("contact", "port"),
    [
        ("Contact: <sip:ada@10.0.0.5:5070;transport=tcp>;q=1", 5070),
        ("m: sip:ada@10.0.0.5:5072", 5072),
        ("Contact: <sip:ada@10.0.0.5>", 5060),
        ("Contact: <sip:ada@10.0.0.5;transport=tls>", 5061),
        ("Contact: <sips:ada@10.0.0.5>", 5061),
        ("Contact: *", 0),
        ('Contact: <sip:ada@10.0.0.5:5070>"', 0),
        ("Contact: <tel:+4930>", 0),
        ("Subject: none", 0),
    ],
)
def test_the_port_of_a_contact(contact, port):
    assert contact_port(message(contact)) == port


def test_the_proxies_inside_count_and_what_was_written_outside_does_not():
    answer = message(
        "Contact: <sip:ada@10.0.0.5:5070>",
        "Record-Route: <sip:10.0.0.6:5080;lr>, <sip:10.0.0.7:5081;lr>",
        "Record-Route: <sip:sipx-abc@192.0.2.1:5061;transport=tls;lr>",
        "Record-Route: <sip:10.0.0.5:6379;lr>",
    )
    assert inside_ports(answer) == [5070, 5080, 5081]
    many = message("Record-Route: " + ", ".join(f"<sip:h:{6000 + n};lr>" for n in range(20)))
    assert len(inside_ports(many)) == MOST


def test_each_peer_has_its_own_ports_and_they_are_bounded():
    contacts = Contacts()
    contacts.learn("berlin", message("Contact: <sip:ada@10.0.0.5:5070>"))
    contacts.learn("munich", message("Contact: <sip:eve@10.0.0.6:5090>"))
    assert contacts.ports(peer_id("berlin"), 0) == {5060, 5061, 5070}
    assert contacts.ports(peer_id("berlin"), 5075) == {5060, 5061, 5070, 5075}
    assert contacts.ports(peer_id("nobody"), 0) == {5060, 5061}
    for number in range(PORTS + 5):
        contacts.learn("berlin", message(f"Contact: <sip:ada@10.0.0.5:{7000 + number}>"))
        contacts.learn("berlin", message("Contact: <sip:ada@10.0.0.5:5070>"))
    ports = contacts.ports(peer_id("berlin"), 0)
    assert len(ports) == PORTS + 2
    assert 5070 in ports, "it is used all the time"
    for number in range(PEERS):
        contacts.learn(f"{number}", message("Contact: <sip:ada@10.0.0.5:5070>"))
    assert contacts.ports(peer_id("berlin"), 0) == {5060, 5061}


def test_an_address_is_permitted_at_these_ports_alone():
    permitted = AddressFilter(["10.0.0.5"], only=True, ports=frozenset({5060, 5070}))
    assert permitted.refusal("10.0.0.5", 5070) is None
    assert "not where this end of the dialog is" in permitted.refusal("10.0.0.5", 6379)
    assert "not an address of this dialog" in permitted.refusal("10.0.0.6", 5070)
