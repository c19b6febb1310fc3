"""REGISTER by RFC 3261 §10.3, clause by clause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx import Sender, SenderKind
from sipx.sip import NameAddr

from .desk import CONTACT, EPOCH, Desk, a_register, an_account, why

ALICE = "sip:alice@home.example"
PHONE = "<sip:alice@10.0.0.99:5070;transport=tcp>"


@pytest.fixture
def desk():
    return Desk()


def listed(response):
    return [NameAddr.parse(value) for value in response.get_list(b"Contact")]


def test_other_methods_are_not_the_registrars(desk):
    request = a_register(ALICE)
    request.method = b"OPTIONS"
    assert desk.take(request) is None


def test_who_has_no_account_cannot_register(desk):
    sender = Sender(SenderKind.UC_SERVER, "home.example", desk.proxy.domains, trusted=True)
    response = desk.plugin.serve_request(a_register(ALICE, CONTACT), sender, desk.flow())
    assert response.status == 403
    assert "account" in why(response)


def test_a_partner_registers_nobody(desk):
    partner = desk.add(an_account("partner", kind=SenderKind.PARTNER, users=None, logon=b""))
    assert desk.register(ALICE, CONTACT, by=partner).status == 403


# ---------------------------------------------------------------- item 2: extensions


def test_an_extension_that_is_not_known_is_refused(desk):
    response = desk.register(ALICE, CONTACT, headers=["Require: path, foo, Outbound, bar"])
    assert (response.status, response.get(b"Unsupported")) == (420, b"bar, foo")
    assert desk.contacts() == []


# ---------------------------------------------------------------- items 3 to 5: whose


@pytest.mark.parametrize(
    ("to", "uri", "status"),
    [
        ("sip:alice@home.example", "sip:home.example", 200),
        ("sip:alice@HOME.example;x=y", "sip:10.0.0.1:5060", 200),
        ("sip:alice@away.example", "sip:home.example", 404),
        ("sip:home.example", "sip:home.example", 404),
        ("tel:+4930123", "sip:home.example", 404),
        ("sip:al%00ice@home.example", "sip:home.example", 404),
        ("sip:alice@office.example", "sip:home.example", 404),
        ("sip:alice@office.example", "sip:office.example", 200),
        ("sip:carol@home.example", "sip:home.example", 403),
    ],
)
def test_the_address_of_record_is_of_this_domain_and_of_this_account(to, uri, status):
    desk = Desk()
    desk.proxy.domains |= {b"office.example"}
    assert desk.register(to, CONTACT, uri=uri, sender=ALICE).status == status


def test_an_address_of_record_has_one_spelling(desk):
    assert desk.register("sip:%41LICE@Home.Example;user=phone", CONTACT).status == 200
    assert desk.contacts(b"alice@home.example") == [b"sip:alice@10.0.0.11:5060"]


@pytest.mark.parametrize(
    ("sender", "status"),
    [
        ("sip:uc-berlin@home.example", 200),
        ("sip:bob@home.example", 200),
        ("tel:+4930123", 200),
        ("sip:carol@home.example", 403),
    ],
)
def test_a_third_party_registers_only_as_one_of_its_own(desk, sender, status):
    assert desk.register(ALICE, CONTACT, sender=sender).status == status


def test_a_user_account_registers_itself_and_is_no_server(desk):
    dora = desk.add(an_account("dora", kind=SenderKind.USER, users=["dora"], logon=b"dora"))
    assert desk.register("sip:dora@home.example", CONTACT, by=dora).status == 200
    assert desk.contacts(b"dora@home.example")
    assert desk.register(ALICE, CONTACT, by=dora).status == 403
    assert desk.register("sip:dora@home.example", PHONE, by=dora, sender=ALICE).status == 403


def test_an_account_without_a_list_registers_everybody(desk):
    paris = desk.add(an_account("paris", users=None, logon=b"uc-paris"))
    assert desk.register("sip:zoe@home.example", CONTACT, by=paris).status == 200


# ---------------------------------------------------------------- item 6: Contact


def test_a_question_is_answered_with_the_bindings_and_changes_nothing(desk):
    assert listed(desk.register(ALICE)) == []
    desk.register(ALICE, CONTACT)
    before = desk.bindings.of(b"alice@home.example")
    (contact,) = listed(desk.register(ALICE))
    assert (contact.uri, contact.expires) == (b"sip:alice@10.0.0.11:5060", 3600)
    assert desk.bindings.of(b"alice@home.example") is before


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [(["*"], None), (["*"], 1), (["*", CONTACT], 0), (["*", "*"], 0), ([f"{CONTACT}, *"], 0)],
)
def test_the_star_stands_alone_and_with_expires_zero(desk, contacts, expires):
    desk.register(ALICE, CONTACT)
    assert desk.register(ALICE, *contacts, expires=expires).status == 400
    assert len(desk.contacts()) == 1


def test_the_star_removes_all_bindings(desk):
    desk.register(ALICE, CONTACT, PHONE)
    response = desk.register(ALICE, "*", expires=0, call_id="other", cseq=1)
    assert (response.status, listed(response), desk.contacts()) == (200, [], [])


def test_the_star_with_an_old_cseq_removes_nothing(desk):
    desk.register(ALICE, CONTACT, cseq=7)
    desk.register(ALICE, PHONE, call_id="other", cseq=1)
    assert desk.register(ALICE, "*", expires=0, cseq=7).status == 500
    assert len(desk.contacts()) == 2


# ---------------------------------------------------------------- item 7: each contact


@pytest.mark.parametrize(
    ("params", "header", "granted"),
    [
        (";expires=120", 600, 120),
        ("", 600, 600),
        ("", None, 3600),
        (";expires=999999", None, 86400),
        (";expires=99999999999999999999", None, 86400),
        # RFC 3261 §20.10: "Malformed values SHOULD be treated as equivalent to 3600."
        (';expires="Thu, 01 Dec 1994"', 600, 3600),
        ("", "Thu, 01 Dec 1994 16:00:00 GMT", 3600),
    ],
)
def test_how_long_a_binding_lasts(desk, params, header, granted):
    response = desk.register(ALICE, CONTACT + params, expires=header)
    assert [each.expires for each in listed(response)] == [granted]
    (binding,) = desk.bindings.of(b"alice@home.example")
    assert binding.expires == EPOCH + granted


def test_an_interval_that_is_too_brief_is_refused(desk):
    response = desk.register(ALICE, PHONE, CONTACT + ";expires=59")
    assert (response.status, response.get(b"Min-Expires")) == (423, b"60")
    assert desk.contacts() == []
    assert desk.register(ALICE, CONTACT + ";expires=60").status == 200


def test_an_hour_is_never_too_brief():
    desk = Desk(min_expires="2h", default_expires="3h")
    assert desk.register(ALICE, CONTACT, expires=3599).status == 423
    assert desk.register(ALICE, CONTACT, expires=3600).status == 200


def test_expires_zero_removes_the_binding(desk):
    desk.register(ALICE, CONTACT, PHONE)
    response = desk.register(ALICE, "<sip:alice@10.0.0.11:5060>;expires=0")
    assert [each.uri for each in listed(response)] == [PHONE.encode()[1:-1]]
    assert desk.register(ALICE, PHONE, expires=0).get(b"Contact") is None
    assert len(desk.bindings) == 0


def test_what_is_not_there_can_be_removed(desk):
    assert desk.register(ALICE, CONTACT, expires=0).status == 200


@pytest.mark.parametrize(
    "same",
    [
        "<sip:alice@10.0.0.11:5060;x=1>",
        "<sip:%61lice@10.0.0.11:5060>",
        "sip:alice@10.0.0.11:5060",
    ],
)
def test_contacts_are_compared_as_uris(desk, same):
    desk.register(ALICE, CONTACT)
    assert desk.register(ALICE, same).status == 200
    assert len(desk.contacts()) == 1


@pytest.mark.parametrize(
    "other", ["<sip:alice@10.0.0.11>", "<sips:alice@10.0.0.11:5060>", PHONE, "<sip:10.0.0.11:5060>"]
)
def test_other_uris_are_other_bindings(desk, other):
    desk.register(ALICE, CONTACT)
    desk.register(ALICE, other)
    assert len(desk.contacts()) == 2


@pytest.mark.parametrize(("cseq", "status"), [(6, 500), (7, 500), (8, 200)])
@pytest.mark.parametrize("expires", [0, 100])
def test_in_one_call_id_the_cseq_rises(desk, cseq, expires, status):
    desk.register(ALICE, CONTACT, cseq=7)
    response = desk.register(ALICE, CONTACT, expires=expires, cseq=cseq)
    assert response.status == status
    assert bool(desk.contacts()) is (status == 500 or expires > 0)


def test_another_call_id_may_begin_anew(desk):
    desk.register(ALICE, CONTACT, cseq=7)
    response = desk.register(ALICE, CONTACT + ";expires=100", call_id="rebooted", cseq=1)
    assert [each.expires for each in listed(response)] == [100]


def test_all_contacts_of_a_request_or_none(desk):
    desk.register(ALICE, CONTACT, cseq=7)
    response = desk.register(ALICE, PHONE, CONTACT, cseq=7)
    assert response.status == 500
    assert desk.contacts() == [b"sip:alice@10.0.0.11:5060"]


def test_of_one_contact_twice_the_later_counts(desk):
    response = desk.register(ALICE, CONTACT + ";expires=100", CONTACT + ";expires=200")
    assert [each.expires for each in listed(response)] == [200]
    assert desk.register(ALICE, PHONE, PHONE + ";expires=0").status == 200
    assert len(desk.contacts()) == 1


def test_what_is_the_same_after_a_refresh_is_kept_once(desk):
    desk.register(ALICE, CONTACT)
    (old,) = desk.bindings.of(b"alice@home.example")
    desk.proxy.time = 100.0
    desk.register(ALICE, CONTACT)
    (new,) = desk.bindings.of(b"alice@home.example")
    assert new is not old
    assert (new.since, new.expires) == (EPOCH, EPOCH + 3700)
    assert new.aor is old.aor
    assert new.contact is old.contact
    assert new.call_id is old.call_id


# ---------------------------------------------------------------- item 9: the answer


def test_the_answer_lists_all_bindings_with_what_they_have(desk):
    desk.register(ALICE, CONTACT + ";q=0.25", PHONE + ";q=1.0")
    desk.proxy.time = 100.5
    response = desk.register(ALICE, call_id="question")
    assert [bytes(each) for each in listed(response)] == [
        b"<sip:alice@10.0.0.11:5060>;expires=3500;q=0.250",
        b"<sip:alice@10.0.0.99:5070;transport=tcp>;expires=3500",
    ]
    assert response.get(b"Date") == b"Fri, 15 Jan 2027 08:01:40 GMT"
    assert response.get(b"Service-Route") == b"<sip:10.0.0.1:5060;transport=tcp;lr>"


def test_an_answer_without_bindings_has_no_service_route(desk):
    assert desk.register(ALICE).get(b"Service-Route") is None


# ---------------------------------------------------------------- RFC 3327


def test_a_path_is_stored_and_returned(desk):
    headers = [
        "Supported: path, outbound",
        "Path: <sip:edge2@10.0.0.7;lr>",
        "Path: <sip:10.0.0.6;lr>;x, <sip:p1;lr>",
    ]
    response = desk.register(ALICE, CONTACT, headers=headers)
    assert response.get_list(b"Path") == [
        b"<sip:edge2@10.0.0.7;lr>", b"<sip:10.0.0.6;lr>;x", b"<sip:p1;lr>"
    ]  # fmt: skip
    (binding,) = desk.bindings.of(b"alice@home.example")
    assert binding.path == tuple(response.get_list(b"Path"))


def test_a_path_that_the_client_does_not_know_of_is_refused(desk):
    response = desk.register(ALICE, CONTACT, headers=["Path: <sip:10.0.0.7;lr>"])
    assert (response.status, response.get(b"Unsupported")) == (420, b"path")


@pytest.mark.parametrize(
    "path", ["sip:10.0.0.7", "<tel:+49301>", "<sip:a b>", "<sip:" + 2000 * "a" + ">"]
)
def test_a_path_that_leads_nowhere_is_refused(desk, path):
    headers = ["Supported: path", f"Path: {path}"]
    assert desk.register(ALICE, CONTACT, headers=headers).status == 400


# ---------------------------------------------------------------- RFC 5626

FLOW = CONTACT + ';+sip.instance="<urn:uuid:1>";reg-id=%d'
OUTBOUND = ["Supported: path, outbound"]


def test_a_flow_is_bound_by_instance_and_reg_id(desk):
    response = desk.register(ALICE, FLOW % 1, headers=OUTBOUND)
    assert (response.get(b"Require"), response.get(b"Flow-Timer")) == (b"outbound", b"120")
    (contact,) = listed(response)
    assert (contact.param(b"+sip.instance"), contact.param(b"reg-id")) == (
        b'"<urn:uuid:1>"', b"1",
    )  # fmt: skip
    moved = (FLOW % 1).replace("10.0.0.11:5060", "192.0.2.7:9")
    desk.register(ALICE, moved, headers=OUTBOUND)
    assert desk.contacts() == [b"sip:alice@192.0.2.7:9"]
    desk.register(ALICE, FLOW % 2, headers=OUTBOUND)
    assert len(desk.contacts()) == 2


@pytest.mark.parametrize(
    ("contact", "headers"),
    [
        (FLOW % 1, ()),
        (CONTACT + ";reg-id=1", OUTBOUND),
        (CONTACT + ';+sip.instance="<urn:uuid:1>"', OUTBOUND),
    ],
)
def test_without_all_of_it_the_contact_counts(desk, contact, headers):
    response = desk.register(ALICE, contact, headers=headers)
    assert (response.status, response.get(b"Require")) == (200, None)
    (binding,) = desk.bindings.of(b"alice@home.example")
    assert (binding.key, binding.reg_id) == (b"berlin\nsip:alice@10.0.0.11:5060", 0)


@pytest.mark.parametrize(
    "params",
    [';+sip.instance="<x>";reg-id=0', ';+sip.instance="<x>";reg-id=-1',
     ';+sip.instance="<x>";reg-id=2147483648', ';+sip.instance="x";reg-id=1',
     ';+sip.instance="<' + 2000 * "x" + '>";reg-id=1'],
)  # fmt: skip
def test_malformed_flows_are_refused(desk, params):
    assert desk.register(ALICE, CONTACT + params, headers=OUTBOUND).status == 400


def test_a_flow_is_registered_alone(desk):
    assert desk.register(ALICE, FLOW % 1, PHONE, headers=OUTBOUND).status == 400
    gone = PHONE + ";expires=0"
    assert desk.register(ALICE, FLOW % 1, gone, headers=OUTBOUND).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ([], 439),
        (["Path: <sip:edge;lr>"], 439),
        (["Path: <sip:edge;lr;ob>"], 200),
        (["Path: <sip:core;lr>, <sip:edge;lr;ob>"], 200),
    ],
)
def test_the_first_hop_has_to_know_outbound(desk, path, status):
    headers = [*OUTBOUND, *path]
    assert desk.register(ALICE, FLOW % 1, headers=headers, via=2).status == status


# ---------------------------------------------------------------- RFC 6140

GIN = ["Require: gin", "Proxy-Require: gin"]
LOGON = "sip:uc-berlin@home.example"


def test_a_bulk_contact_stands_for_all_numbers(desk):
    assert desk.register(LOGON, "<sip:10.0.0.11:5060;bnc>", headers=GIN).status == 200
    (binding,) = desk.bindings.logon_of("berlin")
    assert (binding.bulk, binding.owner) == (True, "berlin")


@pytest.mark.parametrize(
    ("contact", "headers"),
    [("<sip:x@10.0.0.11;bnc>", GIN), ("<sip:10.0.0.11>", GIN), ("<sip:10.0.0.11;bnc>", ())],
)
def test_bulk_contacts_have_their_form(desk, contact, headers):
    assert desk.register(LOGON, contact, headers=headers).status == 400


def test_bulk_contacts_are_for_accounts_with_numbers(desk):
    rome = desk.add(an_account("rome", users=["carla"], logon=b"uc-rome"))
    to = "sip:uc-rome@home.example"
    assert desk.register(to, "<sip:10.0.0.12;bnc>", headers=GIN, by=rome).status == 403


# ---------------------------------------------------------------- the logon of a server


def test_the_logon_of_a_server_binds_no_user(desk):
    response = desk.register("sip:UC-Berlin@home.example", CONTACT)
    assert [each.uri for each in listed(response)] == [b"sip:alice@10.0.0.11:5060"]
    assert (len(desk.bindings), desk.bindings.owned_by("berlin")) == (0, 0)
    assert desk.bindings.of(b"uc-berlin@home.example") == ()
    assert len(desk.bindings.logon_of("berlin")) == 1


def test_servers_with_one_logon_name_do_not_meet(desk):
    one = desk.add(an_account("uc@10.0.0.21", users=None, logon=b"uc"))
    two = desk.add(an_account("uc@10.0.0.22", users=None, logon=b"uc"))
    desk.register("sip:uc@home.example", CONTACT, by=one)
    response = desk.register("sip:uc@home.example", PHONE, by=two)
    assert (response.status, len(listed(response))) == (200, 1)
    assert len(desk.bindings.logon_of("uc@10.0.0.21")) == 1


# ---------------------------------------------------------------- what is malformed


@pytest.mark.parametrize(
    "contact",
    ["", "<sip:alice@10.0.0.11", "sip:", "<sip:a@b>;q=2", ",", "<mailto:a@b>",
     "<sip:a@b?Route=x>", "<sip:a@b;method=INVITE>", "<sip:a@b>;x=1;x=2", "<sip:a@b>, ",
     "<sip:" + 1100 * "a" + "@b>", "\x80", '"unfinished <sip:a@b>'],
)  # fmt: skip
def test_a_malformed_contact_is_refused(desk, contact):
    response = desk.register(ALICE, PHONE, contact)
    assert response.status == 400
    assert desk.contacts() == []


def test_a_call_id_is_kept_and_has_an_end(desk):
    assert desk.register(ALICE, CONTACT, call_id=1025 * "x").status == 400


_VALUES = st.one_of(
    st.sampled_from([
        CONTACT, PHONE, "*", "<sip:a@b>", "sip:c@d;x", FLOW % 1, FLOW % 2, "<sip:10.0.0.1;bnc>",
        "<tel:1>", "", "<", '"', ",", ";", "<sip:a@b>;q=", "<sip:a@b>;expires=-1",
        "<sip:[::1]>", "<sips:a@b;transport=tls>;q=0.5",
    ]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.lists(st.lists(_VALUES, min_size=1, max_size=4).map(", ".join), max_size=4),
            st.sampled_from([None, 0, 1, 60, 3600, 99999999999, "x"]),
            st.lists(
                st.sampled_from([
                    "Require: gin", "Supported: outbound, path", "Supported: ,", "Path: <sip:p;lr>",
                    "Path: x", "Require: x", "Supported: path",
                ]),
                max_size=3,
            ),
            st.sampled_from([ALICE, "sip:bob@home.example", LOGON, "sip:carol@home.example"]),
            st.integers(0, 3),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_whatever_comes_is_answered_and_leaves_the_table_right(requests):
    desk = Desk(max_bindings=3)
    for contacts, expires, headers, to, cseq in requests:
        before = {place: desk.bindings.of(place) for place in desk.bindings.places()}
        response = desk.register(to, *contacts, expires=expires, headers=headers, cseq=cseq)
        after = {place: desk.bindings.of(place) for place in desk.bindings.places()}
        if response.status != 200:
            assert after == before
        for bindings in after.values():
            assert 0 < len(bindings) <= 3
            assert len({each.key for each in bindings}) == len(bindings)
        if response.status == 200 and to == ALICE:
            uris = [each.uri for each in listed(response)]
            assert uris == desk.contacts()
