"""Whatever stands in a request: it is judged, nothing raises, and nobody is let in by it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from sipx_lan import Lan, LanConfig

from sipx import Accept, Challenge, Refuse, Sender, SenderKind
from sipx.sip import RemoteError, digest, parse_datagram

SETTINGS = {
    "user": "ucserver",
    "password": "kept secret",
    "server": {
        "berlin": {"password": "kept secret", "users": ["*.berlin", "desk"]},
        "alice": {"password": "kept secret", "kind": "user", "allow_md5": True},
        "cert": {"certificate": "uc.example"},
        "gate": {"password": "kept secret", "kind": "partner", "routes": ["partner.example"]},
    },
}


class FakeProxy:
    domains = frozenset({b"home.example"})
    config = SimpleNamespace(domains=("home.example",))
    log = logging.getLogger("sipx.plugin.lan")

    def now(self):
        return 100.0

    def wall(self):
        return 1e9

    def report(self, event):
        pass


def flow(transport, role, *, outbound=False):
    interface = SimpleNamespace(name="lan", role=role, bind="10.0.0.1")
    return SimpleNamespace(
        id=7,
        interface=interface,
        transport=transport,
        address="10.0.0.9",
        port=5060,
        name=f"{transport}:10.0.0.9:5060",
        examined=None,
        outbound=outbound,
        reliable=transport != "udp",
        account="",
        account_until=0.0,
        last_in=100.0,
        close=lambda reason: None,
    )


NASTY = st.one_of(
    st.sampled_from(
        [
            b"",
            b"*",
            b"ucserver",
            b"home.example",
            b"sip:",
            b"\xff\xfe",
            b'"',
            b"\\",
            b"%00",
            b"0" * 70,
        ]
    ),
    st.binary(max_size=60),
)
URI = st.one_of(
    st.sampled_from(
        [
            b"sip:ucserver@home.example",
            b"sip:a.berlin@home.example",
            b"sip:desk@home.example;x=y",
            b"sips:home.example",
            b"tel:+49123",
            b"sip:%2a@home.example",
        ]
    ),
    NASTY.map(lambda text: b"sip:" + text + b"@home.example"),
)
NAMES = (
    b"username",
    b"realm",
    b"nonce",
    b"uri",
    b"response",
    b"algorithm",
    b"qop",
    b"nc",
    b"cnonce",
)
CREDENTIALS = st.one_of(
    NASTY,
    st.lists(st.tuples(st.sampled_from(NAMES), NASTY), max_size=12).map(
        lambda pairs: b"Digest " + b", ".join(b'%b="%b"' % pair for pair in pairs)
    ),
    st.tuples(
        st.sampled_from([b"ucserver", b"berlin", b"alice", b"gate", b"cert", b"nobody", b"\xff"]),
        st.sampled_from([b"SHA-256", b"SHA-512-256", b"MD5", b"SHA-256-sess", b"x"]),
        st.sampled_from([b"0" * 64, b"f" * 32, b""]),
    ),
)


def message(lan, where, method, sender, to, credentials, *, inside):
    """A request as it could come off the wire; None for one that the parser refuses."""
    if isinstance(credentials, tuple):
        user, algorithm, response = credentials
        asked = lan.judge.digest.challenge(
            SimpleNamespace(method=method), where, 100.0, stale=False, algorithms=digest.KNOWN
        )
        nonce = digest.Challenge.parse(asked.headers[0][1]).nonce
        credentials = (
            b'Digest username="%b", realm="home.example", nonce="%b", uri="%b", response="%b", '
            b'algorithm=%b, qop=auth, nc=00000001, cnonce="c"'
            % (user, nonce, to, response, algorithm)
        )
    credentials = credentials.translate(None, b"\r\n\0")
    tag = b";tag=2" if inside else b""
    route = b"Route: <sip:sipx-abc@10.0.0.1;lr>\r\n" if inside else b""
    data = (
        b"%b %b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
        b"%bFrom: <%b>;tag=1\r\nTo: <%b>%b\r\nCall-ID: a@b\r\nCSeq: 1 %b\r\n"
        b"Proxy-Authorization: %b\r\nAuthorization: %b\r\nContent-Length: 0\r\n\r\n"
        % (method, to, route, sender, to, tag, method, credentials, credentials)
    )
    try:
        return parse_datagram(data)
    except RemoteError:
        return None


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["udp", "tcp", "tls", "mtls"]),
    st.sampled_from(["lan", "wan"]),
    st.sampled_from([b"REGISTER", b"MESSAGE", b"INVITE", b"ACK", b"OPTIONS"]),
    URI,
    URI,
    CREDENTIALS,
    st.booleans(),
)
def test_nothing_raises_and_nobody_is_let_in(
    transport, role, method, sender, to, credentials, inside
):
    lan = Lan(LanConfig.model_validate(SETTINGS), FakeProxy())
    where = flow(transport, role)
    request = message(lan, where, method, sender, to, credentials, inside=inside)
    if request is None:
        return
    verdict = lan.authorise_request(request, where, None)
    assert verdict is None or isinstance(verdict, Challenge | Refuse)
    if role == "wan":
        assert verdict is None
    partner = Sender(SenderKind.PARTNER, "partner.example", {b"partner.example"}, False)
    verdict = lan.authorise_request(request, where, partner)
    assert not isinstance(verdict, Accept)
    stranger = Sender(SenderKind.PARTNER, "other.example", {b"other.example"}, False)
    assert lan.authorise_request(request, where, stranger) is None
    lan.forward_request(request, None)
    assert where.account == ""
