"""``sipx cert show``: verdicts, routes, and live servers that are none or take their time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from sipx.identity import certificate_facts
from sipx.testing import Authority

CA = Authority("Lab CA")
OTHER = Authority("Other CA")
PARTNER = OTHER.leaf(dns=["sip.away.example"])
CONFIGURATION = """
domains = ["home.example"]
plugins = ["tls", "static-routes"]

[interface.far]
bind = "127.0.0.1"
port = 0
protocol = "mtls"
certificate = "main"

[trust]
ca = "lab-ca.crt"

[certificate.main]
cert_file = "main.crt"
key_file = "main.key"

[static-routes.route."pp.example"]
server = "127.0.0.2"
protocol = "mtls"
"""


@pytest.fixture
def configured(home, monkeypatch):
    """A configuration with a route over mtls; no name server is asked."""
    monkeypatch.setattr("sipx.cli.cert_explain._srv", lambda config, domain: ((), "no DNS"))
    CA.write(home, "lab-ca")
    CA.leaf(dns=["sip.home.example"]).write(home, "main")
    PARTNER.write(home, "partner")
    (home / "sipx.toml").write_text(CONFIGURATION)
    return home


def explained(line, configured, settings, what="partner.crt", domain="pp.example"):
    (configured / "sipx.toml").write_text(CONFIGURATION + settings)
    words = ("cert", "show", what, "--explain", domain)
    return line(*words).exit_code, line.json(*words)


# ---------------------------------------------------------------- routes


def test_a_pinned_key_is_good_by_its_route(line, configured):
    pin = f'pins = ["{certificate_facts(PARTNER.certificate).spki}"]'
    code, shown = explained(line, configured, pin)
    assert code == 0
    assert shown["explain"]["route"] == "pp.example"
    direct = shown["explain"]["profiles"]["direct"]
    assert direct == {"good": True, "why": "by the route pp.example: its key is pinned"}
    assert shown["why"] == "believed by the route pp.example"


def test_another_pin_refuses_what_has_the_right_name(line, configured):
    CA.leaf(dns=["pp.example"]).write(configured, "partner")
    code, shown = explained(line, configured, f'pins = ["{"0" * 64}"]')
    assert code == 1
    assert shown["explain"]["profiles"]["rfc5922"]["good"]
    assert "none of the pinned ones" in shown["explain"]["profiles"]["direct"]["why"]


@pytest.mark.parametrize(("setting", "good"), [("", False), ("allow_wildcard = true", True)])
def test_a_wildcard_is_good_where_the_route_says_so(line, configured, setting, good):
    CA.leaf(dns=["*.example"]).write(configured, "partner")
    code, shown = explained(line, configured, setting)
    assert shown["explain"]["profiles"]["direct"]["good"] is good
    assert code == (0 if good else 1)


def test_the_authority_of_a_route_takes_the_place_of_ours(line, configured):
    OTHER.write(configured, "other-ca")
    CA.leaf(dns=["pp.example"]).write(configured, "partner")
    code, shown = explained(line, configured, 'ca = "other-ca.crt"')
    assert (code, shown["trusted"]) == (1, False)
    OTHER.leaf(dns=["pp.example"]).write(configured, "partner")
    code, shown = explained(line, configured, 'ca = "other-ca.crt"')
    assert (code, shown["trusted"]) == (0, True)


def test_a_domain_without_a_route_is_explained_by_the_profiles_alone(line, configured):
    code, shown = explained(line, configured, "", "main.crt", "sip.home.example")
    assert code == 0
    assert shown["explain"]["route"] is None
    assert shown["explain"]["profiles"]["direct"]["why"] == "it names sip.home.example"


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("eku", "code"), [(["emailProtection"], 1), (["1.3.6.1.5.5.7.3.3"], 1), (["sipDomain"], 0)]
)
def test_usages_that_only_any_takes_are_refused(line, configured, eku, code):
    oids = ["1.3.6.1.5.5.7.3.4" if one == "emailProtection" else one for one in eku]
    CA.leaf(dns=["a.example"], eku=oids).write(configured, "a")
    result = line("cert", "show", "a.crt")
    assert result.exit_code == code
    assert ("only the policy any takes it" in result.stdout) is (code == 1)
    [one] = line.json("cert", "show", "a.crt")["chain"]
    assert one["eku"] == [{"1.3.6.1.5.5.7.3.3": "codeSigning"}.get(eku[0], eku[0])]


def test_the_policy_of_the_route_is_the_one_that_counts(line, configured):
    CA.leaf(dns=["pp.example"], eku=["1.3.6.1.5.5.7.3.4"]).write(configured, "partner")
    assert explained(line, configured, 'eku_policy = "any"')[0] == 0
    code, shown = explained(line, configured, 'eku_policy = "strict"')
    assert code == 1
    assert "has the policy strict" in shown["eku_refusal"]


def test_each_policy_has_one_line(line, configured):
    CA.leaf(dns=["a.example"], eku=["serverAuth"]).write(configured, "a")
    lines = [one.strip() for one in line("cert", "show", "a.crt").stdout.splitlines()]
    assert "eku:     strict: refused when it connects to us: it wants clientAuth" in lines
    assert "federation: good" in lines
    assert "sip-only: refused: it wants anyExtendedKeyUsage or sipDomain" in lines


def test_lines_are_short_and_say_nothing_twice(line, configured):
    dns = [f"a-rather-long-host-name-{n}.example" for n in range(9)]
    leaf = OTHER.leaf(dns=dns)
    leaf.write(configured, "a")
    text = line("cert", "show", "a.crt").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert text.count(f"{leaf.certificate.serial_number:x}") == 1
    assert text.count("speaks for") == 1


# ---------------------------------------------------------------- what is named


def test_a_certificate_whose_key_is_broken_is_shown_all_the_same(line, configured):
    (configured / "main.key").write_text("nothing")
    result = line("cert", "show", "main")
    assert result.exit_code == 1
    assert "DNS:sip.home.example" in result.stdout
    assert "holds no private key" in result.stderr
    assert line.json("cert", "show", "main")["error"]["code"] == "SIPX-T002"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (("",), "is no [certificate.NAME]"),
        (("mian",), "did you mean 'main'?"),
        ((".",), ". is a directory: name a file in it"),
        (("::1:5061",), "write [::1]:5061"),
        (("2001:db8::1",), "write [2001:db8::1]:5061"),
        ((":5061",), "there is no host before the port"),
        (("[a.example]:5061",), "no IPv6 address in the brackets"),
        (("a..example:5061",), "nothing between two dots"),
        (("a.example:0",), "no HOST:PORT"),
        (("a.example:²",), "no HOST:PORT"),
        (("a.example:5061", "--sni", "x" * 64 + ".example"), "longer than 63 characters"),
        (("a.example:5061", "--sni", "10.0.0.1"), "no name to ask for"),
        (("127.0.0.1:1", "--certificate", "mian"), "did you mean 'main'?"),
        (("main", "--explain", "a b"), "is not a domain name"),
        (("main", "--timeout", "0"), "--timeout"),
        (("main", "--timeout", "-1"), "--timeout"),
        (("main", "--timeout", "nan"), "--timeout"),
        (("main", "--timeout", "inf"), "--timeout"),
        (("x" * 300,), "no [certificate.NAME]"),
    ],
)
def test_wrong_use_is_told_with_what_would_be_right(line, configured, what, words):
    result = line("cert", "show", *what)
    assert words in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "is empty"), (b"0\x82\x01\x00\x02\x01\x03", "`sipx cert import`")]
)
def test_a_file_that_cannot_be_shown_is_told_as_what_it_is(line, home, data, words):
    (home / "a.crt").write_bytes(data)
    result = line("cert", "show", "a.crt")
    assert result.exit_code == 1
    assert words in result.stderr


def test_pkcs7_is_shown_as_well(line, home):
    data = pkcs7.serialize_certificates([PARTNER.certificate], Encoding.DER)
    (home / "a.p7b").write_bytes(data)
    assert len(line.json("cert", "show", "a.p7b")["chain"]) == 1


# ---------------------------------------------------------------- live servers


@contextlib.contextmanager
def server(serve):
    """A server on a port of its own: ``serve`` has the one connection to it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run():
        with contextlib.suppress(OSError), listening.accept()[0] as sock:
            serve(sock)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listening.getsockname()[1]}"
    listening.close()
    thread.join(5)


def clear_text(sock):
    sock.recv(4096)
    sock.sendall(b"SIP/2.0 400 Bad Request\r\n\r\n")


def alert(number):
    def serve(sock):
        sock.recv(4096)
        sock.sendall(bytes((21, 3, 1, 0, 2, 2, number)))

    return serve


def reset(sock):
    sock.recv(4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (clear_text, "what it sent is no TLS"),
        (alert(70), "nothing newer than TLS 1.1"),
        (alert(112), "it does not know the name we asked for"),
        (reset, "it reset the connection"),
        (lambda sock: sock.recv(4096), "it closed the connection in the middle"),
    ],
    ids=["clear text", "protocol version", "unrecognized name", "reset", "closed"],
)
def test_why_a_server_cannot_be_looked_at(line, home, serve, words):
    with server(serve) as place:
        result = line("cert", "show", place)
    assert result.exit_code == 4
    assert words in result.stderr
    assert place in result.stderr


def test_a_server_that_drips_does_not_hold_the_command(line, home):
    looked, done = threading.Event(), threading.Event()

    def drip(sock):
        sock.sendall(b"\x16\x03\x03\x40\x00")
        for _ in range(400):
            sock.sendall(b"\x02")
            if looked.wait(0.05):
                return
        done.set()

    with server(drip) as place:
        result = line("cert", "show", place, "--timeout", "0.4")
        assert not done.is_set(), "it was held until the last drop"
        looked.set()
    assert result.exit_code == 4
    assert "within 0.4 seconds" in result.stderr


def test_a_name_without_an_address_is_told(line, home, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    result = line("cert", "show", "nobody.example:5061")
    assert result.exit_code == 4
    assert "no address for this name" in result.stderr


def test_the_search_for_an_address_is_in_the_timeout_as_well(line, home, monkeypatch):
    looked, answered = threading.Event(), threading.Event()

    def slow(*args, **kwargs):
        if not looked.wait(10):
            answered.set()
        return []

    monkeypatch.setattr("socket.getaddrinfo", slow)
    result = line("cert", "show", "slow.example:5061", "--timeout", "0.2")
    assert not answered.is_set(), "it waited for the answer"
    looked.set()
    assert result.exit_code == 4


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_a_server_thinks_of_us_is_told(line, configured, ours, version):
    cert_file, key_file = CA.leaf(dns=["live.example"]).write(configured, "live")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    context.load_verify_locations(OTHER.write(configured, "other-ca"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version

    def serve(sock):
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(1)

    words = ("--certificate", "main") if ours else ()
    with server(serve) as place:
        shown = line.json("cert", "show", place, *words)
    assert shown["tls"]["wants_our_certificate"] is not ours
    expected = "does not know the authority of our certificate" if ours else "we showed no"
    assert expected in shown["tls"]["refusal"]
