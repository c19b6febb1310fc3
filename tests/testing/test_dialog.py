"""Dialogs (RFC 3261 §12): route sets, remote targets, numbers."""

from sipx.sip import parse_datagram
from sipx.testing.dialog import Dialog
from sipx.testing.wire import a_request

INVITE = a_request(
    "INVITE",
    headers=(
        b"Contact: <sip:alice@192.0.2.1:5060>",
        b"Record-Route: <sip:p2.example;lr>",
        b"Record-Route: <sip:p1.example;lr>",
    ),
)
OK = parse_datagram(
    INVITE.reply(
        200,
        headers=(
            (b"Contact", b"<sip:bob@192.0.2.9:5070>"),
            (b"Record-Route", b"<sip:p2.example;lr>"),
            (b"Record-Route", b"<sip:p1.example;lr>"),
        ),
        to_tag=b"bob",
    ).encode()
)


def test_the_caller_reverses_the_record_routes():
    dialog = Dialog.of_caller(INVITE, OK)
    assert dialog.route_set == (b"<sip:p1.example;lr>", b"<sip:p2.example;lr>")
    assert dialog.remote_target == b"sip:bob@192.0.2.9:5070"
    assert (dialog.local_tag, dialog.remote_tag) == (b"a", b"bob")


def test_the_callee_keeps_their_order():
    dialog = Dialog.of_callee(INVITE, OK)
    assert dialog.route_set == (b"<sip:p2.example;lr>", b"<sip:p1.example;lr>")
    assert dialog.remote_target == b"sip:alice@192.0.2.1:5060"
    assert (dialog.local_tag, dialog.remote_tag) == (b"bob", b"a")


def test_a_request_within_the_dialog_counts_on_and_goes_to_the_remote_target():
    dialog = Dialog.of_caller(INVITE, OK)
    bye = dialog.request(b"BYE")
    assert bye.uri == b"sip:bob@192.0.2.9:5070"
    assert bye.get_all(b"Route") == [b"<sip:p1.example;lr>", b"<sip:p2.example;lr>"]
    assert bytes(bye.cseq) == b"2 BYE"
    assert (bye.from_.tag, bye.to.tag) == (b"a", b"bob")


def test_the_ack_repeats_the_number_of_its_invite():
    dialog = Dialog.of_caller(INVITE, OK)
    assert bytes(dialog.request(b"ACK", cseq=1).cseq) == b"1 ACK"
    assert bytes(dialog.request(b"BYE").cseq) == b"2 BYE"


def test_a_strict_router_gets_the_request_uri():
    dialog = Dialog.of_caller(INVITE, OK)
    dialog.route_set = (b"<sip:old.example>", b"<sip:p2.example;lr>")
    bye = dialog.request(b"BYE")
    assert bye.uri == b"sip:old.example"
    assert bye.get_all(b"Route") == [b"<sip:p2.example;lr>", b"<sip:bob@192.0.2.9:5070>"]


def test_a_target_refresh_moves_the_remote_target():
    dialog = Dialog.of_caller(INVITE, OK)
    dialog.target_refreshed(a_request("INVITE", headers=(b"Contact: <sip:new@192.0.2.7>",)))
    assert dialog.remote_target == b"sip:new@192.0.2.7"
    dialog.target_refreshed(a_request("INVITE"))
    assert dialog.remote_target == b"sip:new@192.0.2.7"
