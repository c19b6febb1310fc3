"""The basic rules of RFC 3261 §25.1: what each takes, what it refuses, and that none is slow."""

from __future__ import annotations

import re
import time

import pytest

from sipx.sip import grammar

RULES = {name: rule for name, rule in vars(grammar).items() if isinstance(rule, re.Pattern)}


@pytest.mark.parametrize(
    ("rule", "texts"),
    [
        ("TOKEN", [b"INVITE", b"a", b"-.!%*_+`'~", b"z9hG4bK776"]),
        ("WORD", [b"f81d4fae", b'<>()"/[]?{}:\\', b"a.b"]),
        ("CALLID", [b"a84b4c76e66710@gw.leeds.ac.uk", b"0ha0isndaksdj", b"a<b@[::1]"]),
        ("QUOTED_STRING", [b'""', b'"a b"', rb'"a\"b\\"', b'"\xc3\xa4"', b'"a\tb"', b'"\\\x00"']),
        ("SCHEME", [b"sip", b"SIPS", b"h323", b"soap.beep", b"a+b-c"]),
        ("USERINFO", [b"alice@", b"alice:s3cret@", b"a;x=1?y/z@", b"%40@", b"alice:@", b"+1(5)@"]),
        (
            "HOSTNAME",
            [b"localhost", b"a.b.example", b"A-1.Example.", b"xn--bcher-kva.ch", b"uc_1", b"1.a"],
        ),
        ("IPV4ADDRESS", [b"0.0.0.0", b"192.0.2.1", b"255.255.255.255"]),
        ("IPV6REFERENCE", [b"[::]", b"[2001:db8::10]", b"[::ffff:192.0.2.1]"]),
        ("SIP_VERSION", [b"SIP/2.0", b"sip/2.0", b"SIP/7.0"]),
        ("METHOD", [b"INVITE", b"foo", b"!interesting-Method0123456789_*+`.%indeed'~"]),
        ("GENERIC_PARAMS", [b"", b";a", b" ; a = b;c", b';x="y;z"', b";x=[::1]", b";x=YQ==/+"]),
    ],
)
def test_rule_takes_what_the_rfc_allows(rule: str, texts: list[bytes]) -> None:
    for text in texts:
        assert RULES[rule].fullmatch(text), text


@pytest.mark.parametrize(
    ("rule", "texts"),
    [
        ("TOKEN", [b"", b"a b", b"a;b", b"a@b", b"a\x00", b"\xc3\xa4", b"a\n", b'"a"', b"a/b"]),
        ("WORD", [b"", b"a b", b"a@b", b"a,b"]),
        ("CALLID", [b"", b"@b", b"a@", b"a@b@c", b"a b"]),
        (
            "QUOTED_STRING",
            [b'"', b'"a', b'a"', b'"a"b"', b'"\\"', b'"a\x00"', b'"\\\n"', b'"\x7f"'],
        ),
        ("SCHEME", [b"", b"1sip", b"si p", b"sip:", b"\xc3\xa4"]),
        ("USERINFO", [b"@", b":x@", b"a@b@", b"a%4@", b"a%zz@", b"a b@", b"a#@", b"a:b;c@", b"a"]),
        (
            "HOSTNAME",
            [
                b"",
                b".",
                b"a..b",
                b"-a.b",
                b"a-.b",
                b"a.1",
                b"1.2.3.4",
                b"\xc3\xa4.de",
                b"a.b-",
                b"%61.b",
            ],
        ),
        (
            "IPV4ADDRESS",
            [b"1.2.3", b"1.2.3.4.5", b"256.1.1.1", b"01.2.3.4", b"1.2.3.", b"127.1", b"0x7f.0.0.1"],
        ),
        ("IPV6REFERENCE", [b"::1", b"[]", b"[::1", b"[fe80::1%eth0]", b"[g::]", b"[[::1]]"]),
        ("SIP_VERSION", [b"SIP/2", b"SIP/2.0.1", b"SIP / 2.0", b"HTTP/1.1", b"SIP/.0"]),
        ("METHOD", [b"", b"IN VITE", b"INV\xc3\x8fTE"]),
        (
            "GENERIC_PARAMS",
            [b";", b"a", b";a=", b";=b", b";a;", b";;a", b';a="b', b";a b", b";a=b c", b";a=<b>"],
        ),
    ],
)
def test_rule_refuses_what_the_rfc_does_not_allow(rule: str, texts: list[bytes]) -> None:
    for text in texts:
        assert not RULES[rule].fullmatch(text), text


def test_every_rule_has_rows_in_these_tables_or_is_a_part_of_one_that_has() -> None:
    tested = {
        row[0]
        for test in (
            test_rule_takes_what_the_rfc_allows,
            test_rule_refuses_what_the_rfc_does_not_allow,
        )
        for row in test.pytestmark[0].args[1]
    }

    assert set(RULES) - tested == {"ESCAPED", "GENERIC_PARAM"}


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize(
    "unit",
    [
        b"a",
        b"1",
        b"a.",
        b"1.",
        b"a-",
        b" ",
        b"%41",
        b'"',
        b"\\",
        b'\\"',
        b";a",
        b";a=b",
        b"<",
        b":",
    ],
    ids=repr,
)
def test_sec_19_no_rule_is_slow_on_64_kib_of_one_thing(rule: str, unit: bytes) -> None:
    text = unit * (65536 // len(unit))
    began = time.process_time()

    for start in (b"", b'"', b"[", b";a=", b'"a', b"a"):
        RULES[rule].fullmatch(start + text + b"\x00")

    # Six texts at a nanosecond or ten per byte; what is quadratic would take minutes.
    assert time.process_time() - began < 0.5
