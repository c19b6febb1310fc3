"""Digest authentication: the vectors of RFC 2617, RFC 7616 and a SIP draft, then the judgements."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest

from sipx.sip import digest as digest_module
from sipx.sip.digest import (
    AUTH,
    AUTH_INT,
    KNOWN,
    MD5,
    SHA256,
    SHA512_256,
    Challenge,
    Credentials,
    Result,
    Secret,
    answer,
    challenges,
    digest,
    ha1,
    response,
    verify,
)
from sipx.sip.errors import LocalError, RemoteError
from sipx.sip.nonce import NonceCounts, check_nonce, make_nonce

NONCE_2617 = b"dcd98b7102dd2f0e8b11d0f600bfb0c093"
NONCE_7616 = b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE_7616 = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
SDP = b"\r\n".join(
    [
        b"v=0",
        b"o=bob 2890844526 2890844526 IN IP4 media.biloxi.com",
        b"s=-",
        b"c=IN IP4 media.biloxi.com",
        b"t=0 0",
        b"m=audio 49170 RTP/AVP 0",
        b"a=rtpmap:0 PCMU/8000",
        b"m=video 51372 RTP/AVP 31",
        b"a=rtpmap:31 H261/90000",
        b"m=video 53000 RTP/AVP 32",
        b"a=rtpmap:32 MPV/90000",
        b"",
    ]
)


# --- vectors ----------------------------------------------------------------------------------


def test_rfc_2617_3_5_example() -> None:
    key = ha1(MD5, b"Mufasa", b"testrealm@host.com", b"Circle Of Life")
    proof = response(
        *(MD5, key, b"GET", b"/dir/index.html", NONCE_2617),
        qop=AUTH,
        cnonce=b"0a4f113b",
        nc=b"00000001",
    )

    assert proof == b"6629fae49393a05397450978507c4ef1"


def test_rfc_2069_example_as_its_erratum_has_it() -> None:
    key = ha1(MD5, b"Mufasa", b"testrealm@host.com", b"CircleOfLife")
    proof = response(MD5, key, b"GET", b"/dir/index.html", NONCE_2617, qop=None)

    assert proof == b"1949323746fe6a43ef61f9606e7febea"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (MD5, b"8ca523f5e9506fed4657c9700eebdbec"),
        (SHA256, b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_3_9_1_example(algorithm: bytes, expected: bytes) -> None:
    key = ha1(algorithm, b"Mufasa", b"http-auth@example.org", b"Circle of Life")
    proof = response(
        *(algorithm, key, b"GET", b"/dir/index.html", NONCE_7616),
        qop=AUTH,
        cnonce=CNONCE_7616,
        nc=b"00000001",
    )

    assert proof == expected


def test_rfc_7616_3_9_2_example_as_its_erratum_has_it() -> None:
    user = "Jäsøn Doe".encode()
    key = ha1(SHA512_256, user, b"api@example.org", b"Secret, or not?")
    proof = response(
        *(SHA512_256, key, b"GET", b"/doe.json", b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"),
        qop=AUTH,
        cnonce=b"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        nc=b"00000001",
    )

    assert digest(SHA512_256, user + b":api@example.org") == (
        b"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    )
    assert proof == b"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


@pytest.mark.parametrize(
    ("algorithm", "qop", "expected"),
    [
        (b"MD5", None, b"bf57e4e0d0bffc0fbaedce64d59add5e"),
        (b"MD5", AUTH, b"89eb0059246c02b2f6ee02c7961d5ea3"),
        (b"MD5-sess", AUTH, b"e4e4ea61d186d07a92c9e1f6919902e9"),
        (b"md5", AUTH_INT, b"bdbeebb2da6adb6bca02599c2239e192"),
        (b"MD5-SESS", AUTH_INT, b"91984da2d8663716e91554859c22ca70"),
    ],
)
def test_draft_smith_sipping_auth_examples(algorithm: bytes, qop: bytes, expected: bytes) -> None:
    proof = response(
        algorithm,
        ha1(algorithm, b"bob", b"biloxi.com", b"zanzibar"),
        b"INVITE",
        b"sip:bob@biloxi.com",
        NONCE_2617,
        qop=qop,
        cnonce=b"0a4f113b",
        nc=b"00000001",
        body=SDP,
    )

    assert proof == expected


def test_unknown_algorithm_is_the_callers_fault() -> None:
    with pytest.raises(LocalError, match="unknown digest algorithm"):
        digest(b"SHA-1", b"")


def test_build_without_sha_512_256_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def new(name: str, data: bytes, *, usedforsecurity: bool) -> object:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", new)

    with pytest.raises(LocalError, match="this build of Python has no sha512_256"):
        digest(SHA512_256, b"")


# --- challenges -------------------------------------------------------------------------------


def test_rfc_8760_2_3_one_challenge_per_algorithm_best_first() -> None:
    assert challenges(b"a.example", b"n0", allow_md5=True) == [
        b'Digest realm="a.example", nonce="n0", algorithm=SHA-256, qop="auth"',
        b'Digest realm="a.example", nonce="n0", algorithm=SHA-512-256, qop="auth"',
        b'Digest realm="a.example", nonce="n0", algorithm=MD5, qop="auth"',
    ]


def test_sec_12_md5_is_not_offered_unless_allowed() -> None:
    offered = [Challenge.parse(value).algorithm for value in challenges(b"a.example", b"n0")]

    assert offered == [SHA256, SHA512_256]


def test_challenge_that_could_not_be_verified_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(digest_module._HASHES, SHA512_256, "no such hash")

    with pytest.raises(LocalError, match="take SHA-512-256 out"):
        challenges(b"a.example", b"n0")
    assert len(challenges(b"a.example", b"n0", algorithms=[SHA256])) == 1


def test_challenge_is_read_as_it_is_written() -> None:
    written = Challenge(
        b'a "b" \\c', b"n", b"MD5-SESS", qop=(AUTH, AUTH_INT), opaque=b"", stale=True
    )
    read = Challenge.parse(bytes(written))

    assert b"algorithm=MD5-sess" in bytes(written)
    for name in Challenge.__slots__:
        assert getattr(read, name) == getattr(written, name)


def test_challenge_without_algorithm_means_md5() -> None:
    challenge = Challenge.parse(b'Digest realm="r", nonce="n", stale=TRUE, qop="auth-int , AUTH"')

    assert (challenge.algorithm, challenge.algorithm_named) == (MD5, False)
    assert (challenge.qop, challenge.stale) == ((AUTH_INT, AUTH), True)
    assert b"algorithm" not in bytes(challenge)


@pytest.mark.parametrize(
    "value",
    [b'Basic realm="r"', b'Digest realm="r"', b'Digest nonce="n"', b'NTLM realm="", nonce=""'],
)
def test_what_is_no_digest_challenge_is_refused(value: bytes) -> None:
    with pytest.raises(RemoteError):
        Challenge.parse(value)


# --- credentials ------------------------------------------------------------------------------

PROOF = b"0123456789abcdef" * 2
GOOD = (
    b'Digest username="bob", realm="biloxi.com", nonce="n", uri="sip:bob@biloxi.com", '
    b'qop=auth, nc=0000000a, cnonce="c", response="' + PROOF + b'", opaque="o", x="y"'
)


def test_credentials_parts() -> None:
    credentials = Credentials.parse(GOOD)

    assert (credentials.username, credentials.realm) == (b"bob", b"biloxi.com")
    assert (credentials.nonce, credentials.uri) == (b"n", b"sip:bob@biloxi.com")
    assert (credentials.qop, credentials.nc, credentials.count) == (AUTH, b"0000000a", 10)
    assert (credentials.cnonce, credentials.opaque, credentials.response) == (b"c", b"o", PROOF)
    assert (credentials.algorithm, credentials.userhash) == (MD5, False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Digest", b"Basic"),
        (b'username="bob"', b'username=""'),
        (b'username="bob", ', b""),
        (b'realm="biloxi.com", ', b""),
        (b'nonce="n", ', b""),
        (b'uri="sip:bob@biloxi.com", ', b""),
        (b'response="', b'answer="'),
        (PROOF, b"x"),
        (PROOF, PROOF.upper()),
        (PROOF, PROOF + b"0"),
        (b"nc=0000000a", b"nc=a"),
        (b"nc=0000000a", b"nc=0000000g"),
        (b"nc=0000000a", b"nc=000000001"),
        (b"nc=0000000a, ", b""),
        (b'cnonce="c"', b'cnonce=""'),
        (b'cnonce="c", ', b""),
        (b'realm="biloxi.com"', b'realm="biloxi.com", realm="x"'),
        (b'qop=auth, nc=0000000a, cnonce="c"', b"algorithm=MD5-sess"),
    ],
)
def test_malformed_credentials_are_a_400(old: bytes, new: bytes) -> None:
    assert old in GOOD

    with pytest.raises(RemoteError) as caught:
        Credentials.parse(GOOD.replace(old, new, 1))

    assert caught.value.status == 400


# --- both sides -------------------------------------------------------------------------------

KEY = b"server key"
REALM = b"lan.example"
NOW = 1_700_000_000
URI = b"sip:bob@lan.example"
NONCE = make_nonce(NOW, KEY, REALM, b"lan", 1)
SECRET = Secret(b"zanzibar")


def nonce_is_good(nonce: bytes, now: int = NOW) -> bool:
    return check_nonce(nonce, now, 60, KEY, REALM, b"lan")


def client(offered: list[bytes] | None = None, **changes: object) -> Credentials:
    """The credentials of a client that knows the password, with arguments of `answer` changed."""
    arguments: dict[str, object] = {
        "user": b"bob",
        "password": b"zanzibar",
        "method": b"INVITE",
        "uri": URI,
        "cnonce": b"c0",
        "nc": 1,
    } | changes
    value = answer(challenges(REALM, NONCE) if offered is None else offered, **arguments)
    assert value is not None
    return Credentials.parse(value)


judge = partial(verify, method=b"INVITE", uri=URI, nonce_is_good=nonce_is_good, realm=REALM)


@pytest.mark.parametrize("algorithm", [SHA256, SHA512_256, MD5, b"SHA-256-SESS", b"MD5-SESS"])
@pytest.mark.parametrize("qop", [AUTH, AUTH_INT])
def test_right_password_is_valid(algorithm: bytes, qop: bytes) -> None:
    offered = challenges(REALM, NONCE, algorithms=[algorithm], qop=(qop,))
    credentials = client(offered, body=SDP)
    ours = partial(judge, credentials, secret=SECRET, algorithms=[algorithm], qop=[qop])

    assert credentials.algorithm == algorithm
    assert ours(body=SDP) is Result.VALID
    assert ours(body=b"") is (Result.VALID if qop == AUTH else Result.WRONG)


@pytest.mark.parametrize("algorithm", [SHA256, b"SHA-256-SESS"])
def test_a_stored_ha1_serves_in_place_of_the_password(algorithm: bytes) -> None:
    credentials = client(challenges(REALM, NONCE, algorithms=[algorithm]))
    stored = Secret(ha1s={SHA256: ha1(SHA256, b"bob", REALM, b"zanzibar")})
    other = Secret(ha1s={SHA512_256: ha1(SHA512_256, b"bob", REALM, b"zanzibar")})
    alice = client(challenges(REALM, NONCE, algorithms=[algorithm]), user=b"alice")

    assert judge(credentials, secret=stored, algorithms=[algorithm]) is Result.VALID
    assert judge(alice, secret=stored, algorithms=[algorithm]) is Result.WRONG
    assert judge(credentials, secret=other, algorithms=[algorithm]) is Result.WRONG


@pytest.mark.parametrize(
    "changes",
    [
        {"password": b"Zanzibar"},
        {"password": b""},
        {"method": b"MESSAGE"},
    ],
)
def test_wrong_password_or_method_is_wrong(changes: dict[str, bytes]) -> None:
    assert judge(client(**changes), secret=SECRET) is Result.WRONG


@pytest.mark.parametrize("name", ["nonce", "cnonce", "nc", "uri", "username", "response"])
def test_each_part_of_the_credentials_counts(name: str) -> None:
    credentials = client()
    old = getattr(credentials, name)
    setattr(credentials, name, old[:-1] + (b"0" if old[-1:] != b"0" else b"1"))

    assert judge(credentials, secret=SECRET, uri=None) is Result.WRONG


@pytest.mark.parametrize("password", [b"", b"zanzibar"])
def test_sec_12_unknown_user_is_answered_like_a_wrong_password(password: bytes) -> None:
    assert judge(client(password=password), secret=None) is Result.WRONG


def test_credentials_for_another_realm_are_left_alone() -> None:
    credentials = client(challenges(b"other.example", NONCE))

    assert judge(credentials, secret=SECRET) is Result.OTHER_REALM


def test_sec_12_downgrade_to_md5_is_refused_even_with_the_right_password() -> None:
    credentials = client(challenges(REALM, NONCE, algorithms=[MD5]))

    assert judge(credentials, secret=SECRET) is Result.MALFORMED
    assert judge(credentials, secret=SECRET, algorithms=KNOWN) is Result.VALID


def test_rfc_2069_form_is_accepted_only_when_asked_for() -> None:
    offered = [b'Digest realm="lan.example", nonce="' + NONCE + b'", algorithm=SHA-256']
    counts = NonceCounts()

    assert answer(offered, b"bob", b"zanzibar", b"INVITE", URI, b"c0", 1) is None
    credentials = client(offered, allow_rfc2069=True)
    ours = partial(judge, credentials, secret=SECRET, allow_rfc2069=True, counts=counts)
    assert (credentials.qop, credentials.nc) == (None, b"")
    assert judge(credentials, secret=SECRET) is Result.MALFORMED
    assert [ours(), ours()] == [Result.VALID, Result.STALE]


def test_quality_of_protection_that_was_not_offered_is_malformed() -> None:
    credentials = client(challenges(REALM, NONCE, qop=(AUTH_INT,)))

    assert judge(credentials, secret=SECRET) is Result.MALFORMED


def test_hashed_user_name_was_never_offered() -> None:
    credentials = client()
    credentials.userhash = True

    assert judge(credentials, secret=SECRET) is Result.MALFORMED


@pytest.mark.parametrize(
    ("request_uri", "result"),
    [
        (URI, Result.VALID),
        (b"sip:%62ob@LAN.example;x=y", Result.VALID),
        (b"sip:alice@lan.example", Result.MALFORMED),
        (b"tel:+15551212", Result.MALFORMED),
        (None, Result.VALID),
    ],
)
def test_rfc_7616_3_4_6_the_uri_must_be_that_of_the_request(request_uri, result) -> None:
    assert judge(client(), secret=SECRET, uri=request_uri) is result


def test_old_and_foreign_nonces_are_stale_if_the_password_is_right() -> None:
    later = partial(nonce_is_good, now=NOW + 61)
    forged = client(challenges(REALM, b"0" * 56))

    assert judge(client(), secret=SECRET, nonce_is_good=later) is Result.STALE
    assert judge(forged, secret=SECRET) is Result.STALE
    assert judge(client(password=b"x"), secret=SECRET, nonce_is_good=later) is Result.WRONG


def test_sec_12_a_replay_is_stale_and_only_the_owner_uses_up_a_count() -> None:
    counts = NonceCounts()

    assert judge(client(password=b"x"), secret=SECRET, counts=counts) is Result.WRONG
    assert len(counts) == 0
    assert judge(client(), secret=SECRET, counts=counts) is Result.VALID
    assert judge(client(), secret=SECRET, counts=counts) is Result.STALE
    assert judge(client(nc=2), secret=SECRET, counts=counts) is Result.VALID


# --- the client's side ------------------------------------------------------------------------


def test_rfc_8760_2_4_the_topmost_known_algorithm_is_answered() -> None:
    offered = [
        b'NTLM realm="lan.example", targetname="x"',
        b"Bearer abc",
        b"Digest =",
        b'Digest realm="lan.example", nonce="n1", algorithm=SHA3-512, qop="auth"',
        b'Digest realm="lan.example", nonce="n2", algorithm=SHA-256, qop="auth-conf"',
        b'Digest realm="lan.example", nonce="n3", algorithm=SHA-512-256, qop="auth-int,auth"',
        b'Digest realm="lan.example", nonce="n4", algorithm=SHA-256, qop="auth"',
    ]

    assert (client(offered).nonce, client(offered).qop) == (b"n3", AUTH)
    assert client(offered, algorithms=[SHA256]).nonce == b"n4"


def test_nothing_to_answer_gives_nothing() -> None:
    assert answer([], b"bob", b"zanzibar", b"INVITE", URI, b"c0", 1) is None
    assert answer([b"Digest x=y"], b"bob", b"zanzibar", b"INVITE", URI, b"c0", 1) is None


def test_sec_13_other_realms_get_no_credentials() -> None:
    offered = [*challenges(b"evil.example", b"n1"), *challenges(REALM, NONCE)]

    assert client(offered, realm=REALM).realm == REALM
    assert client(offered).realm == b"evil.example"


def test_credentials_as_they_are_written() -> None:
    value = answer(
        [b'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="'
         + NONCE_2617 + b'", opaque="5ccc069c403ebaf9f0171e9517f40e41"'],
        *(b"Mufasa", b"Circle Of Life", b"GET", b"/dir/index.html", b"0a4f113b", 1),
    )  # fmt: skip

    assert value == (
        b'Digest username="Mufasa", realm="testrealm@host.com", nonce="' + NONCE_2617 + b'", '
        b'uri="/dir/index.html", response="6629fae49393a05397450978507c4ef1", cnonce="0a4f113b", '
        b'opaque="5ccc069c403ebaf9f0171e9517f40e41", qop=auth, nc=00000001'
    )


def test_names_with_quotes_pass_both_ways() -> None:
    credentials = client(user=b'b"o\\b')

    assert credentials.username == b'b"o\\b'
    assert judge(credentials, secret=SECRET) is Result.VALID


@pytest.mark.parametrize("nc", [0, -1, 1 << 32])
def test_nonce_count_out_of_range_is_the_callers_fault(nc: int) -> None:
    with pytest.raises(LocalError):
        client(nc=nc)
