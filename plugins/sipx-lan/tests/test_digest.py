"""Credentials that are not what they should be: replayed, foreign, lowered, malformed."""

from __future__ import annotations

import re

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sipx_lan import LogonRefused
from sipx_lan.accounts import AccountTable
from sipx_lan.digest import Answer, DigestServer

from sipx.sip import Request, digest
from sipx.testing import read_configuration

TEXT = """\
config_version = 1
domains = ["home.example"]
plugins = ["lan"]
[lan]
user = "ucserver"
password = "secret"
{more}
"""


class Interface:
    name = "lan"


class FlowOf:
    """As much of a flow as a challenge is bound to."""

    def __init__(self, address="10.0.0.1", interface="lan"):
        self.address = address
        self.interface = Interface()
        self.interface.name = interface


FLOW = FlowOf()


@pytest.fixture
def server():
    return DigestServer("home.example", 60)


@pytest.fixture
def entry(tmp_path):
    config = read_configuration(TEXT.format(more=""), tmp_path).plugins["lan"]
    return AccountTable(config, frozenset({b"home.example"})).shared


def request(method=b"MESSAGE", uri=b"sip:bob@home.example", headers=()):
    return Request.build(
        method,
        uri,
        [
            (b"From", b"<sip:alice@home.example>;tag=1"),
            (b"To", b"<sip:bob@home.example>"),
            (b"Call-ID", b"1@a"),
            (b"CSeq", b"1 " + method),
            *headers,
        ],
    )


def answered(
    server,
    *,
    flow=FLOW,
    now=100.0,
    method=b"MESSAGE",
    nc=1,
    user=b"ucserver",
    password=b"secret",
    known=digest.KNOWN,
    offer=digest.PREFERRED,
    uri=b"sip:bob@home.example",
):
    """A request with credentials for a challenge that was made at ``now``."""
    plain = request(method, uri)
    challenge = server.challenge(plain, flow, now, stale=False, algorithms=offer)
    offered = [value for _, value in challenge.headers]
    value = digest.answer(offered, user, password, method, uri, b"c", nc, algorithms=known)
    plain.add(b"Proxy-Authorization", value)
    return plain


def verify(server, entry, message, *, flow=FLOW, now=100.0, offer=digest.PREFERRED):
    credentials = server.credentials(message)
    return server.verify(credentials, message, flow, lambda: entry, now, algorithms=offer)[0]


def test_nobody_is_looked_for_on_the_word_of_a_nonce_that_is_none(server):
    """What is not counted may be tried for ever: it must not take longer for some users."""

    def look():
        raise AssertionError

    message = answered(server)
    stale = server.credentials(message)
    late = 100.0 + 61
    found = server.verify(stale, message, FLOW, look, late, algorithms=digest.PREFERRED)
    assert found == (Answer.STALE, None)


# ---------------------------------------------------------------- challenges


def test_registers_are_asked_by_401_and_all_else_by_407(server):
    for method, status, name in (
        (b"REGISTER", 401, b"WWW-Authenticate"),
        (b"INVITE", 407, b"Proxy-Authenticate"),
    ):
        challenge = server.challenge(
            request(method), FLOW, 1.0, stale=False, algorithms=digest.KNOWN
        )
        assert challenge.status == status
        assert {header for header, _ in challenge.headers} == {name}
        algorithms = [digest.Challenge.parse(value).algorithm for _, value in challenge.headers]
        assert algorithms == [b"SHA-256", b"SHA-512-256", b"MD5"]


# ---------------------------------------------------------------- what is accepted


def test_right_credentials_are_good_once(server, entry):
    message = answered(server)
    assert verify(server, entry, message) is Answer.VALID
    assert verify(server, entry, message) is Answer.STALE


def test_counts_may_come_out_of_order_and_each_counts_once(server, entry):
    plain = request()
    challenge = server.challenge(plain, FLOW, 1.0, stale=False, algorithms=digest.PREFERRED)
    offered = [value for _, value in challenge.headers]

    def use(nc):
        value = digest.answer(offered, b"ucserver", b"secret", b"MESSAGE", plain.uri, b"c", nc)
        message = request(headers=((b"Proxy-Authorization", value),))
        return verify(server, entry, message, now=1.0)

    answers = [use(nc) for nc in (5, 2, 6, 5, 2, 200, 6)]
    valid, stale = Answer.VALID, Answer.STALE
    assert answers == [valid, valid, valid, stale, stale, valid, stale]


def test_credentials_of_either_header_are_taken(server, entry):
    message = answered(server)
    value = message.get(b"Proxy-Authorization")
    message.remove(b"Proxy-Authorization")
    message.add(b"Authorization", value)
    assert verify(server, entry, message) is Answer.VALID


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize(
    ("made", "used"),
    [
        ({"now": 100.0}, {"now": 161.0}),
        ({"now": 100.0}, {"flow": FlowOf("10.0.0.2")}),
        ({"now": 100.0}, {"flow": FlowOf(interface="other")}),
    ],
)
def test_an_answer_is_good_for_its_time_its_source_and_its_interface(server, entry, made, used):
    message = answered(server, **made)
    assert verify(server, entry, message, **used) is Answer.STALE


def test_an_answer_to_another_servers_question_is_stale_right_or_wrong(server, entry):
    other = DigestServer("home.example", 60)
    for password in (b"secret", b"wrong"):
        assert verify(server, entry, answered(other, password=password)) is Answer.STALE


def test_wrong_is_wrong(server, entry):
    assert verify(server, entry, answered(server, password=b"wrong")) is Answer.WRONG


def test_what_is_unknown_and_what_may_not_be_used_here_is_wrong(server):
    assert verify(server, None, answered(server)) is Answer.WRONG


def test_md5_that_was_not_offered_is_not_looked_at(server, entry):
    message = answered(server, known=[b"MD5"], offer=digest.KNOWN)
    assert verify(server, entry, message) is Answer.MALFORMED
    assert (
        verify(server, entry, message, offer=digest.KNOWN) is Answer.WRONG
    )  # others may, not this one


def test_md5_for_who_is_allowed_it(server, tmp_path):
    config = read_configuration(TEXT.format(more="allow_md5 = true"), tmp_path).plugins["lan"]
    entry = AccountTable(config, frozenset()).shared
    message = answered(server, known=[b"MD5"], offer=digest.KNOWN)
    assert verify(server, entry, message, offer=digest.KNOWN) is Answer.VALID


MD5, BEST = (b"MD5",), (b"SHA-256", b"SHA-512-256")


@pytest.mark.parametrize(
    ("more", "offered"),
    [
        ("", BEST),
        ("allow_md5 = true", (*BEST, *MD5)),
        ('allow_md5 = "only"', MD5),
        ('[lan.server.old]\npassword = "x"\nallow_md5 = "only"', (*BEST, *MD5)),
        ('[lan.server.old]\npassword = "x"\nallow_md5 = "only"\naddresses = "10.0.0.1"', MD5),
        ('[lan.server.old]\npassword = "x"\nallow_md5 = "only"\naddresses = "10.0.0.2"', BEST),
        (
            '[lan.server.old]\npassword = "x"\nallow_md5 = "only"\naddresses = "10.0.0.1"\n'
            '[lan.server.new]\npassword = "y"\naddresses = "10.0.0.0/8"',
            (*BEST, *MD5),
        ),
        ('allow_md5 = "only"\n[lan.server.new]\npassword = "y"\nallow_md5 = false', (*BEST, *MD5)),
    ],
)
def test_the_address_decides_what_is_offered(tmp_path, more, offered):
    config = read_configuration(TEXT.format(more=more), tmp_path).plugins["lan"]
    table = AccountTable(config, frozenset())
    assert table.algorithms_at("10.0.0.1") == table.algorithms_at("10.0.0.1") == offered


async def test_a_client_that_knows_md5_alone_is_asked_for_that_alone(start_site, autojump_clock):
    old = {"password": "o", "allow_md5": "only", "addresses": "127.0.1.2"}
    site = await start_site(server={"old": old})
    client = site.client(user="old", password="o")
    request = client.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    asked = await client.agent.send(request)
    [value] = asked.get_all(b"Proxy-Authenticate")
    assert digest.Challenge.parse(value).algorithm == b"MD5"
    assert (await client.agent.send(client.answer(request, asked))).status == 200
    [value, _] = (await site.client().agent.send(request.copy())).get_all(b"Proxy-Authenticate")
    assert digest.Challenge.parse(value).algorithm == b"SHA-256"


def test_a_request_for_somebody_else_is_not_covered(server, entry):
    message = answered(server)
    message.set_uri(b"sip:carol@home.example")
    assert verify(server, entry, message) is Answer.MALFORMED


@pytest.mark.parametrize("qop", [b'qop="auth-int"', b"qop=auth-int", b""])
def test_another_quality_of_protection_is_not_taken(server, entry, qop):
    message = answered(server)
    value = message.get(b"Proxy-Authorization")
    message.replace(b"Proxy-Authorization", value.replace(b"qop=auth", qop or b"x=y"))
    assert verify(server, entry, message) is Answer.MALFORMED


# ---------------------------------------------------------------- other realms


def test_credentials_of_other_realms_are_neither_judged_nor_touched(server, entry):
    foreign = b'Digest username="a", realm="other", nonce="n", uri="sip:b", response="' + (
        b"0" * 32 + b'"'
    )
    message = answered(server)
    ours = message.get(b"Proxy-Authorization")
    message.remove(b"Proxy-Authorization")
    for value in (foreign, ours, b"Basic YWJj"):
        message.add(b"Proxy-Authorization", value)
    message.add(b"Authorization", foreign)
    assert verify(server, entry, message) is Answer.VALID
    server.consume(message)
    assert message.get_all(b"Proxy-Authorization") == [foreign, b"Basic YWJj"]
    assert message.get_all(b"Authorization") == [foreign]


def test_only_so_many_credentials_are_looked_at(server):
    message = answered(server)
    ours = message.get(b"Proxy-Authorization")
    message.remove(b"Proxy-Authorization")
    foreign = ours.replace(b'realm="home.example"', b'realm="other"')
    for value in (*[foreign] * 4, ours):
        message.add(b"Proxy-Authorization", value)
    assert server.credentials(message) is None


# ---------------------------------------------------------------- hostile input

PARAMS = (
    "username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce", "opaque",
    "userhash", "stale",
)  # fmt: skip
NASTY = st.one_of(
    st.sampled_from(
        ["home.example", "SHA-256", "MD5", "auth", "auth-int", "true", "00000001", "0" * 64, ""]
    ),
    st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=80),
)
LISTED = st.lists(st.tuples(st.sampled_from(PARAMS), NASTY, st.booleans()), max_size=14)


def header(params):
    return (
        "Digest "
        + ", ".join(
            f'{name}="{value}"' if quoted else f"{name}={value}" for name, value, quoted in params
        )
    ).encode("latin-1")


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.one_of(LISTED.map(header), st.binary(max_size=200)),
    method=st.sampled_from([b"REGISTER", b"MESSAGE"]),
    nonce_too=st.booleans(),
)
def test_no_authorization_raises_or_is_right(server, entry, value, method, nonce_too):
    value = value.translate(None, b"\r\n\0")
    message = request(method)
    if nonce_too:
        made = server.challenge(message, FLOW, 100.0, stale=False, algorithms=digest.KNOWN)
        fresh = digest.Challenge.parse(made.headers[0][1]).nonce
        value += b', nonce="' + fresh + b'"'
    for name in (b"Authorization", b"Proxy-Authorization"):
        message.add(name, value)
    credentials = server.credentials(message)
    if credentials is not None:
        for who in (entry, None):
            found, _ = server.verify(
                credentials, message, FLOW, lambda who=who: who, 100.0, algorithms=digest.KNOWN
            )
            assert found is not Answer.VALID
    server.consume(message)


# ---------------------------------------------------------------- on the wire


async def test_a_recorded_logon_is_asked_anew(start_site, autojump_clock):
    site = await start_site(registrar=False)
    server = site.client()
    first = server.agent.new("REGISTER", "sip:home.example", sender="sip:ucserver@home.example")
    recorded = server.answer(first, await server.agent.send(first))
    await server.agent.send(recorded)
    again = await server.agent.send(recorded.copy())
    assert again.status == 401
    assert digest.Challenge.parse(again.get(b"WWW-Authenticate")).stale
    assert site.events(LogonRefused) == []


async def test_an_old_challenge_is_replaced_without_asking_the_user(start_site, autojump_clock):
    site = await start_site(nonce_lifetime=30)
    server = site.client()
    first = server.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    challenged = await server.agent.send(first)
    await trio.sleep(40)
    stale = await server.agent.send(server.answer(first, challenged))
    assert stale.status == 407
    assert digest.Challenge.parse(stale.get(b"Proxy-Authenticate")).stale
    assert (await server.agent.send(server.answer(first, stale))).status == 200


async def test_credentials_end_here_and_those_of_others_go_on(start_site, autojump_clock):
    site = await start_site()
    foreign = b'Digest username="a", realm="away.example", nonce="n", uri="sip:b", response="%b"'
    headers = ((b"Proxy-Authorization", foreign % (b"0" * 32)),)
    server = site.client()
    request = server.agent.new(
        "MESSAGE", "sip:peer@away.example", sender="sip:a@home.example", headers=headers
    )
    proven = server.answer(request, await server.agent.send(request))
    proven.add(*headers[0])
    assert (await server.agent.send(proven)).status == 200
    arrived = await site.away.receive("MESSAGE")
    assert arrived.get_all(b"Proxy-Authorization") == [headers[0][1]]


def normalised(response):
    """The bytes of a response without what is random or of its own request."""
    text = response.encode()
    text = re.sub(rb'nonce="[0-9a-f]+"', b'nonce=""', text)
    lines = [
        line
        for line in text.split(b"\r\n")
        if not line.startswith((b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:"))
    ]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE"])
async def test_an_unknown_user_gets_the_very_answers_of_a_wrong_password(
    start_site, autojump_clock, method
):
    server = {
        "berlin": {"password": "b"},
        "far": {"password": "f", "addresses": "10.9.9.9"},
        "alice": {"password": "a", "kind": "user"},
        "gate": {"password": "g", "kind": "partner", "routes": ["x.example"]},
        "cert": {"password": "c", "certificate": "uc.example"},
    }
    site = await start_site(server=server)
    seen = {}
    for user in ("nobody", "berlin", "far", "alice", "gate", "cert", "ucserver"):
        client = site.client(user=user, password="wrong")
        answers = []
        for _ in range(4):
            uri = "sip:home.example" if method == "REGISTER" else "sip:peer@away.example"
            answers.append(normalised(await client.send(method, uri)))
        seen[user] = answers
    assert len({tuple(answers) for answers in seen.values()}) == 1
    assert b"403" in seen["nobody"][2]


async def test_right_passwords_where_they_may_not_be_used_tell_nothing(start_site, autojump_clock):
    server = {
        "far": {"password": "f", "addresses": "10.9.9.9"},
        "gate": {"password": "g", "kind": "partner", "routes": ["x.example"]},
        "cert": {"password": "c", "certificate": "uc.example"},
    }
    site = await start_site(server=server)
    seen = set()
    for user, password in (("far", "f"), ("gate", "g"), ("cert", "c"), ("nobody", "x")):
        client = site.client(user=user, password=password)
        seen.add(tuple([normalised(await client.message()) for _ in range(4)]))
    assert len(seen) == 1
