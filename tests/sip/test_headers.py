"""Views of header values, against RFC 3261 §20 and §25, RFC 3581, RFC 4475 and RFC 5118."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx.sip.errors import RemoteError
from sipx.sip.headers import (
    MAX_CSEQ,
    AuthParams,
    CSeq,
    EventValue,
    NameAddr,
    Via,
    digits,
    parse_params,
    print_params,
    quote,
    split_list,
    unquote,
)


def test_via_parts() -> None:
    via = Via.parse(b" SIP/2.0/UDP pc33.Atlanta.com:5066;Branch=z9hG4bK776;ttl=16;maddr=224.2.0.1 ")

    assert (via.protocol, via.transport, via.host, via.port) == (
        *(b"SIP/2.0", b"UDP", b"pc33.atlanta.com", 5066),
    )
    assert (via.branch, via.ttl, via.maddr) == (b"z9hG4bK776", 16, b"224.2.0.1")
    assert (via.received, via.rport, via.param(b"none")) == (None, None, None)
    assert via.sent_by == b"pc33.atlanta.com:5066"


def test_via_may_be_spaced_as_the_grammar_allows() -> None:
    # RFC 3261 §20.42 and RFC 4475 §3.1.1.1
    via = Via.parse(
        b"\tSIP / 2.0 / tcp \t first.example.com : 4000 ; ttl = 16\t; branch= z9hG4bKa "
    )

    assert bytes(via) == b"SIP/2.0/TCP first.example.com:4000;ttl=16;branch=z9hG4bKa"


def test_via_of_another_protocol_is_read_too() -> None:
    assert Via.parse(b"sip/7.0/UNKNOWN h;branch=z9hG4bK.%+-~").protocol == b"SIP/7.0"


@pytest.mark.parametrize(
    ("params", "received"),
    [
        # RFC 5118 §4.5: with and without brackets
        (b";received=[2001:db8::9:255]", b"2001:db8::9:255"),
        (b";received=2001:db8::9:255", b"2001:db8::9:255"),
        (b";received=2001:DB8:0::9:255", b"2001:db8::9:255"),
        (b";received=192.0.2.1", b"192.0.2.1"),
        (b";received=1.2.3.4:5060", None),
        (b";received=[2001:db8::9:255", None),
        (b";received=pc.example.com", None),
        (b";received", None),
        (b"", None),
    ],
)
def test_received_is_an_address_or_nothing(params: bytes, received: bytes | None) -> None:
    assert Via.parse(b"SIP/2.0/UDP [2001:db8::9:1]" + params).received == received


@pytest.mark.parametrize(("params", "rport"), [(b"", None), (b";rport", 0), (b";rport=9", 9)])
def test_rport_is_absent_or_asked_for_or_filled_in(params: bytes, rport: int | None) -> None:
    assert Via.parse(b"SIP/2.0/UDP h" + params).rport == rport


@pytest.mark.parametrize(
    "value",
    [
        b"", b"SIP/2.0/UDP", b"SIP/2.0/UDP ", b"SIP/2.0 UDP h", b"SIP/2.0/UDP h h", b"/2.0/UDP h",
        b"SIP//UDP h", b"SIP/2.0/UDP ;branch=x", b"SIP/2.0/UDP :5060", b"SIP/2.0/UDP -.-",
        b"SIP/2.0/UDP h:", b"SIP/2.0/UDP h:0", b"SIP/2.0/UDP h:65536", b"SIP/2.0/UDP h:x",
        b"SIP/2.0/UDP 2001:db8::1", b"SIP/2.0/UDP [2001:db8::1", b"SIP/2.0/UDP [::1]]",
        b"SIP/2.0/UDP 256.1.1.1", b"SIP/2.0/UDP \xff\xfe", b"SIP/2.0/UDP h\x00",
        b"SIP/2.0/UDP h;", b"SIP/2.0/UDP h;;,;,,", b"SIP/2.0/UDP h;branch=", b"SIP/2.0/UDP h;=a",
        b"SIP/2.0/UDP h;branch=a;branch=b", b"SIP/2.0/UDP h;branch=a;Branch=a",
        b'SIP/2.0/UDP h;branch="a"', b"SIP/2.0/UDP h;rport=0", b"SIP/2.0/UDP h;rport=x",
        b"SIP/2.0/UDP h;ttl=256", b"SIP/2.0/UDP h;ttl", b"SIP/2.0/UDP h;maddr", b"SIP/2.0/UDP h,",
        b"SIP/2.0/UDP h;maddr=1.2.3", b"SIP/2.0/UDP h, SIP/2.0/UDP i", b"SIP/2.0/UDP h;a=\"b",
    ],
)  # fmt: skip
def test_malformed_via_is_a_400(value: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        Via.parse(value)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("value", "display", "uri", "params"),
    [
        # RFC 3261 §20.10, §20.20, §20.39
        (
            b'"A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s',
            *(b'"A. G. Bell"', b"sip:agb@bell-telephone.com", ((b"tag", b"a48s"),)),
        ),
        (
            b"sip:+12125551212@server.phone2net.com;tag=887s",
            *(b"", b"sip:+12125551212@server.phone2net.com", ((b"tag", b"887s"),)),
        ),
        (
            b"Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8",
            *(b"Anonymous", b"sip:c8oqz84zk7z@privacy.org", ((b"tag", b"hyh8"),)),
        ),
        (
            b'"Mr. Watson" <mailto:watson@bell-telephone.com> ;q=0.1',
            *(b'"Mr. Watson"', b"mailto:watson@bell-telephone.com", ((b"q", b"0.1"),)),
        ),
        # with brackets the parameters inside are the URI's, without them the header's
        (b"<sip:a@h;lr?b=c>;x", b"", b"sip:a@h;lr?b=c", ((b"x", None),)),
        (b"sip:a@h;lr", b"", b"sip:a@h", ((b"lr", None),)),
        # RFC 4475 §3.1.1.1, §3.1.1.2, §3.1.1.6
        (
            rb'"J Rosenberg \\\""       <sip:jdrosen@example.com>' + b"\t;\ttag = 98asjd8",
            *(rb'"J Rosenberg \\\""', b"sip:jdrosen@example.com", ((b"tag", b"98asjd8"),)),
        ),
        (
            b'"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:a@h>',
            *(b'"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"', b"sip:a@h", ()),
        ),
        (b"caller<sip:caller@example.com>;tag=323", b"caller", b"sip:caller@example.com",
         ((b"tag", b"323"),)),
        (b"token1~` token2'+_ token3*%!.- <sip:a@h>", b"token1~` token2'+_ token3*%!.-",
         b"sip:a@h", ()),
        (b'"Quoted string \\"\\"" <sip:a@h>;a="b;c\\"<>"', b'"Quoted string \\"\\""', b"sip:a@h",
         ((b"a", b'"b;c\\"<>"'),)),
        ("Jörg <sip:j@h>".encode(), "Jörg".encode(), b"sip:j@h", ()),
        (b'"<sip:evil@h>" <sip:a@h>', b'"<sip:evil@h>"', b"sip:a@h", ()),
        (b'""<sip:a@h>', b'""', b"sip:a@h", ()),
        (b" \t<sip:a@h> ", b"", b"sip:a@h", ()),
    ],
)  # fmt: skip
def test_address_parts(value: bytes, display: bytes, uri: bytes, params: object) -> None:
    address = NameAddr.parse(value)

    assert (address.display, address.uri, address.params) == (display, uri, params)
    assert address.bracketed is (b"<sip:" in value or b"<mailto" in value)
    assert not address.is_star


@pytest.mark.parametrize(
    "value",
    [
        b"", b"<", b"<>", b"<sip:>", b"sip:", b"alice", b"<alice>", b"<sip:a@h", b"sip:a@h>",
        b"<<sip:a@h>>", b"<sip:a@h> x", b"<sip:a@h>;", b"<sip:a@h>;;tag=1", b"<sip:a@h>;tag=",
        b"<sip:a@h>;tag=1;tag=1", b"<sip:a@h>;tag=1;TAG=2", b"<sip:a@h>,<sip:b@h>", b"*;expires=0",
        b'"Joe <sip:a@h>', b'Joe" <sip:a@h>', b'"a"b" <sip:a@h>', b'"a" b <sip:a@h>', b"< sip:a@h>",
        b"<sip:a@h >", b"<sip:a b@h>", b"Bell, Alexander <sip:a@h>", b"a;b <sip:a@h>",
        # RFC 4475 §3.1.2.13 and §20.10: such a URI needs brackets
        b"sip:a@h?Route=%3Csip:b@h%3E", b"sip:a,b@h", b"sip:a@h,sip:b@h", b"Joe sip:a@h",
        b"<sip:a@h\x00>", b"\x00 <sip:a@h>", "sip:jörg@h".encode(), b'"\x00" <sip:a@h>', b"**",
    ],
)  # fmt: skip
def test_malformed_address_is_a_400(value: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        NameAddr.parse(value)

    assert caught.value.status == 400


def test_contact_star() -> None:
    star = NameAddr.parse(b" * ")

    assert star.is_star
    assert bytes(star) == b"*"


def test_address_parameters() -> None:
    address = NameAddr.parse(b'<sip:a@h>;Q=0.7;EXPIRES=3600;+sip.instance="<urn:uuid:0>"')

    assert (address.q, address.expires, address.tag) == (700, 3600, None)
    assert address.param(b"+sip.instance") == b'"<urn:uuid:0>"'
    assert NameAddr.parse(b"sip:a@h;tag=x").tag == b"x"
    assert NameAddr.parse(b"sip:a@h;tag").tag is None
    assert NameAddr.parse(b"sip:a@h").q is None
    assert NameAddr.parse(b"sip:a@h").expires is None


@pytest.mark.parametrize(
    ("text", "q"),
    [(b"0", 0), (b"0.", 0), (b"0.5", 500), (b"0.001", 1), (b"1", 1000), (b"1.000", 1000)],
)
def test_q_is_in_thousandths(text: bytes, q: int) -> None:
    assert NameAddr.parse(b"<sip:a@h>;q=" + text).q == q


@pytest.mark.parametrize(
    "text", [b"1.1", b"2", b"-1", b"0.0001", b".5", b"1.0001", b"abc", b"0,5x"]
)
def test_what_is_no_qvalue_is_refused(text: bytes) -> None:
    with pytest.raises(RemoteError):
        assert NameAddr.parse(b"<sip:a@h>;q=" + text).q


def test_expires_beyond_32_bits_is_refused() -> None:
    with pytest.raises(RemoteError):
        assert NameAddr.parse(b"<sip:a@h>;expires=280297596632815").expires


def test_address_is_printed_with_brackets() -> None:
    assert bytes(NameAddr.parse(b"sip:a@h;Tag=1;x")) == b"<sip:a@h>;tag=1;x"
    assert bytes(NameAddr.parse(b'"A\\"" <sip:a@h>')) == b'"A\\"" <sip:a@h>'
    assert bytes(NameAddr(b"", b"sip:a@h", ((b"lr", None),))) == b"<sip:a@h>;lr"


@pytest.mark.parametrize(
    ("value", "number", "method"),
    [
        (b"4711 INVITE", 4711, b"INVITE"),
        (b" 0009 \t INVITE ", 9, b"INVITE"),
        (b"0 !interesting-Method0123456789_*+`.%indeed'~", 0,
         b"!interesting-Method0123456789_*+`.%indeed'~"),
        (b"2147483647 foo", MAX_CSEQ, b"foo"),
    ],
)  # fmt: skip
def test_cseq(value: bytes, number: int, method: bytes) -> None:
    cseq = CSeq.parse(value)

    assert (cseq.number, cseq.method) == (number, method)
    assert bytes(cseq) == b"%d %b" % (number, method)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"1", b"INVITE", b"1INVITE", b"-1 INVITE", b"+1 INVITE", b"0x1 A", b"1 A B", b"1 A,",
        b"2147483648 A", b"36893488147419103232 REGISTER", b"1.0 A", b"\xd9\xa1 A", b"1 A\x00",
    ],
)  # fmt: skip
def test_malformed_cseq_is_a_400(value: bytes) -> None:
    with pytest.raises(RemoteError):
        CSeq.parse(value)


def test_event() -> None:
    event = EventValue.parse(b' presence.winfo ; id=66 ;x="y" ')

    assert (event.package, event.id) == (b"presence.winfo", b"66")
    assert bytes(event) == b'presence.winfo;id=66;x="y"'
    assert EventValue.parse(b"Presence").package == b"Presence"
    assert EventValue.parse(b"presence").id is None


@pytest.mark.parametrize("value", [b"", b";id=1", b"a b", b"a;", b"a;id=", b"a,b", b"a;id=1;id=2"])
def test_malformed_event_is_a_400(value: bytes) -> None:
    with pytest.raises(RemoteError):
        EventValue.parse(value)


def test_credentials_in_order() -> None:
    auth = AuthParams.parse(b' DIGEST  Realm = "a, \\"b\\"" ,nonce="x=y",stale=FALSE,\topaque="" ')

    assert auth.scheme == b"digest"
    assert [name for name, _ in auth.params] == [b"realm", b"nonce", b"stale", b"opaque"]
    assert (auth.value(b"realm"), auth.value(b"nonce")) == (b'a, "b"', b"x=y")
    assert (auth.value(b"stale"), auth.value(b"opaque"), auth.value(b"qop")) == (
        b"FALSE",
        b"",
        None,
    )
    assert bytes(auth) == b'Digest realm="a, \\"b\\"", nonce="x=y", stale=FALSE, opaque=""'


def test_schemes_with_a_token_instead_of_parameters_are_read() -> None:
    auth = AuthParams.parse(b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.x-_~+/== ")

    assert (auth.scheme, auth.params, auth.token68) == (
        *(b"bearer", (), b"eyJhbGciOiJIUzI1NiJ9.e30.x-_~+/=="),
    )
    assert bytes(auth) == b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.x-_~+/=="


@pytest.mark.parametrize(
    "value",
    [
        # the broken parameter names of CVE-2023-28098 and their relatives
        b"", b"Digest", b"Digest ", b"Digest =", b"Digest ,", b"Digest ,,", b"Digest a",
        b"Digest a=", b"Digest a=sip:x", b"Bearer a b", b'Digest "a"="b"',
        b'Digest ="x"', b'Digest a="x",', b'Digest ,a="x"', b'Digest a="x",,b="y"', b'Digest a="x',
        b'Digest a="x" b="y"', b'Digest a="x";b="y"', b'Digest a="x",A="y"', b'Digest a="x",a="x"',
        b'Digest a=b c', b'Digest a=""""', b'Digest a="\x00"', b'=Digest a="x"', b"Digest YWJj==",
        b'Digest a "x"',
    ],
)  # fmt: skip
def test_malformed_credentials_are_a_400(value: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        AuthParams.parse(value)

    assert caught.value.status == 400


def test_credentials_have_a_limit() -> None:
    with pytest.raises(RemoteError):
        AuthParams.parse(b"Digest " + b",".join(b"p%d=1" % i for i in range(65)))


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        (b" <sip:a@h> ", [b"<sip:a@h>"]),
        (b"a,b , c", [b"a", b"b", b"c"]),
        (b'"a, b" <sip:c,d@h>;x="y,\\",z" , <sip:e@h?f=g,h>', [
            b'"a, b" <sip:c,d@h>;x="y,\\",z"', b"<sip:e@h?f=g,h>"]),
        (b'"<" <sip:a@h>, ">,\\\\"', [b'"<" <sip:a@h>', b'">,\\\\"']),
    ],
)  # fmt: skip
def test_lists_are_split_at_the_top_level_only(value: bytes, elements: list[bytes]) -> None:
    assert split_list(value) == elements


@pytest.mark.parametrize(
    "value", [b"", b" ", b",", b"a,", b",a", b"a,,b", b"a, ,b", b'"a,b', b"<a,b", b'a,"\\"', b"a, "]
)
def test_lists_with_holes_or_open_ends_are_refused(value: bytes) -> None:
    with pytest.raises(RemoteError):
        split_list(value)


def test_parameters_keep_order_and_quotes_and_lose_case_of_names() -> None:
    params = parse_params(b' ; B = "x;\\"y" ;a;C=[::1]:5 ')

    assert params == ((b"b", b'"x;\\"y"'), (b"a", None), (b"c", b"[::1]:5"))
    assert print_params(params) == b';b="x;\\"y";a;c=[::1]:5'
    assert parse_params(b"  ") == ()


def test_sec_06_parameters_are_counted() -> None:
    raw = b"".join(b";p%d" % i for i in range(64))

    assert len(parse_params(raw)) == 64
    for bad, limit in ((raw + b";q", 64), (raw, 63)):
        with pytest.raises(RemoteError):
            parse_params(bad, limit)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'"a b"', b"a b"),
        (b'""', b""),
        (b'"a\\"\\\\b"', b'a"\\b'),
        (b"a\\b", b"a\\b"),
        (b'"', b'"'),
    ],
)
def test_unquote(raw: bytes, text: bytes) -> None:
    assert unquote(raw) == text


@given(st.binary().filter(lambda text: not set(text) & {*range(32), 127}))
def test_what_is_quoted_is_unquoted_the_same(text: bytes) -> None:
    assert unquote(quote(text)) == text
    assert AuthParams.parse(b"Digest a=" + quote(text)).value(b"a") == text
    assert NameAddr.parse(quote(text) + b"<sip:a@h>").display == quote(text)


def test_digits_takes_ten_digits_up_to_a_maximum() -> None:
    assert [digits(t, 255) for t in (b"0", b"007", b" 255\t")] == [0, 7, 255]
    assert digits(b"4294967295", 2**32 - 1) == 2**32 - 1


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"-1", b"+5", b"0x10", b"1e3", b"256", b"1 2", b"1.0", b"00000000001", b"\xb2",
        b"4294967328", b"1_0", b"\xd9\xa3", b"1,1", b"9" * 5000,
    ],
)  # fmt: skip
def test_sec_05_digits_takes_nothing_else(text: bytes) -> None:
    with pytest.raises(RemoteError):
        digits(text, 255)


PARSERS = (Via.parse, NameAddr.parse, CSeq.parse, EventValue.parse, AuthParams.parse)


@given(
    st.binary(max_size=60)
    | st.text('SIP/2.0UDP h;=,:"<>\\ \t[]*a1@', max_size=60).map(str.encode)
    | st.text(';=,:"<>\\ \tab1', max_size=30).map(lambda s: b'Digest a="b"' + s.encode())
    | st.text(';=,:"<>\\ \tab1', max_size=30).map(lambda s: b"SIP/2.0/UDP h" + s.encode())
    | st.text(';=,:"<>\\ \tab1', max_size=30).map(lambda s: b'"x" <sip:a@h>' + s.encode())
)
def test_nothing_but_remote_error_is_raised_and_printing_is_stable(value: bytes) -> None:
    for parse in PARSERS:
        with suppress(RemoteError):
            printed = bytes(parse(value))
            assert bytes(parse(printed)) == printed
    with suppress(RemoteError):
        assert all(split_list(value))
    with suppress(RemoteError):
        assert parse_params(print_params(parse_params(value))) == parse_params(value)


@pytest.mark.parametrize(
    "unit",
    [
        b" ",
        b"a",
        b"a ",
        b",",
        b'"',
        b'\\"',
        b'"a"',
        b"<",
        b"<a>",
        b";",
        b";a",
        b";a=",
        b"; ",
        b"a=b,",
    ],
    ids=repr,
)
def test_sec_19_long_values_take_linear_time(unit: bytes) -> None:
    text = unit * (65536 // len(unit))
    began = time.process_time()

    for start in (
        b"",
        b"SIP/2.0/UDP h",
        b"<sip:a@h>",
        b'"',
        b"sip:",
        b"Digest ",
        b'Digest a="',
        b"1 ",
    ):
        for end in (b"", b"\x00", b">"):
            for parse in (*PARSERS, split_list, parse_params):
                with suppress(RemoteError):
                    parse(start + text + end)

    # 168 calls on 64 KiB each; what is quadratic would take minutes
    assert time.process_time() - began < 3.4
