"""Where requests have to arrive: at who has registered, at who stands in, or nowhere."""

import pytest

from sipx.demo.directory import Directory
from sipx.demo.people import BERLIN, BOB, CAROL, MUNICH, PEOPLE, STAND_INS, VIENNA
from sipx.testing.dialog import new_request

FRANK = b"frank@partner.example"


@pytest.fixture
def directory():
    found = Directory(PEOPLE, STAND_INS)
    for number, name in enumerate((BERLIN, MUNICH, VIENNA), 1):
        found.started(name, f"{name}/{number}")
    return found


def a_request(to, *, method=b"MESSAGE", from_=FRANK, from_tag=b"f", to_tag=b"", call_id=b"1"):
    return new_request(
        method,
        b"sip:" + to,
        from_=b"<sip:%b>;tag=%b" % (from_, from_tag),
        to=b"<sip:%b>" % to + (b";tag=" + to_tag if to_tag else b""),
        call_id=call_id,
        cseq=1,
    )


def test_a_request_goes_to_the_server_that_registered_its_receiver(directory):
    assert directory.expected(a_request(b"alice@home.example")) == "berlin/1"
    assert directory.expected(a_request(b"carol@home.example")) == "munich/2"
    assert directory.expected(a_request(FRANK)) == "vienna/3"
    assert directory.expected(a_request(b"nobody@home.example")) == ""


def test_while_a_server_is_away_another_stands_in_for_those_who_have_one(directory):
    directory.stopped(MUNICH)
    assert directory.serves(BOB) == BERLIN
    assert directory.serves(CAROL) == ""
    assert directory.expected(a_request(b"bob@home.example")) == "berlin/1"
    assert directory.expected(a_request(b"carol@home.example")) == ""
    directory.started(MUNICH, "munich/4")
    assert directory.expected(a_request(b"bob@home.example")) == "munich/4"
    assert directory.expected(a_request(b"carol@home.example")) == "munich/4"


@pytest.mark.parametrize("method", [b"INVITE", b"SUBSCRIBE"])
def test_dialogs_stay_with_their_servers_and_end_with_them(directory, method):
    bob = b"bob@home.example"
    directory.expected(a_request(bob, method=method))
    there = a_request(bob, from_tag=b"f", to_tag=b"b", method=b"BYE")
    back = a_request(FRANK, from_=bob, from_tag=b"b", to_tag=b"f", method=b"NOTIFY")
    assert directory.expected(there) == "munich/2"
    assert directory.expected(back) == "vienna/3"
    directory.stopped(MUNICH)
    assert directory.expected(there) == ""
    directory.started(MUNICH, "munich/4")
    assert directory.expected(there) == ""
    assert directory.expected(back) == "vienna/3"


def test_a_dialog_that_was_begun_at_the_stand_in_stays_there(directory):
    bob = b"bob@home.example"
    directory.stopped(MUNICH)
    directory.expected(a_request(bob, method=b"SUBSCRIBE"))
    directory.started(MUNICH, "munich/4")
    there = a_request(bob, from_tag=b"f", to_tag=b"b", method=b"SUBSCRIBE")
    assert directory.expected(there) == "berlin/1"


def test_what_belongs_to_no_dialog_arrives_nowhere(directory):
    assert directory.expected(a_request(b"alice@home.example", to_tag=b"x")) == ""


def test_only_some_dialogs_are_remembered(directory, monkeypatch):
    monkeypatch.setattr("sipx.demo.directory.KEPT", 2)
    for call_id in (b"1", b"2", b"3"):
        directory.expected(a_request(b"alice@home.example", method=b"INVITE", call_id=call_id))
    inside = [
        directory.expected(a_request(b"alice@home.example", to_tag=b"a", call_id=call_id))
        for call_id in (b"1", b"2", b"3")
    ]
    assert inside == ["", "berlin/1", "berlin/1"]
    assert directory.serves(CAROL) == MUNICH
