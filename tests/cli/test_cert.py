"""``sipx cert``: what it lists, shows and makes, and how it refuses."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from sipx.testing import Authority

CONFIGURATION = """
domains = ["home.example"]
plugins = ["tls"]

[interface.far]
bind = "127.0.0.1"
port = 0
protocol = "mtls"
certificate = "main"

[certificate.main]
cert_file = "{certificate}"
key_file = "{key}"

[trust]
ca = "{ca}"
"""


@pytest.fixture
def ca():
    return Authority("Lab CA")


@pytest.fixture
def configured(home, ca):
    """A configuration with one certificate of the laboratory's authority."""
    certificate, key = ca.leaf(dns=["sip.home.example", "home.example"]).write(home, "main")
    path = home / "sipx.toml"
    path.write_text(
        CONFIGURATION.format(certificate=certificate, key=key, ca=ca.write(home, "lab-ca"))
    )
    return path


def openssl(*words):
    if shutil.which("openssl") is None:
        assert not os.environ.get("CI"), "openssl is not installed, and CI must not skip"
        pytest.skip("openssl is not installed")
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


# ---------------------------------------------------------------- list


def test_the_list_says_whose_until_when_and_what_for(line, configured):
    [one] = line.json("cert", "list")["certificates"]
    assert one["names"] == ["DNS:sip.home.example", "DNS:home.example"]
    assert one["identities"] == ["home.example", "sip.home.example"]
    assert one["state"] == "ok"
    assert one["used_by"] == ["interface far"]
    assert one["days_left"] in (88, 89)
    assert len(one["fingerprint"]) == 64
    text = line("cert", "list").stdout
    assert "CN=sip.home.example" in text
    assert "CN=Lab CA" in text


def test_a_broken_certificate_is_in_the_list_with_its_error(line, configured, home):
    (home / "main.key").write_text("nothing")
    result = line("cert", "list")
    assert result.exit_code == 1
    assert "holds no private key" in result.stdout


# ---------------------------------------------------------------- show


def test_a_certificate_of_the_configuration_is_shown_with_its_verdicts(line, configured):
    shown = line.json("cert", "show", "main")
    assert shown["trusted"] is True
    assert shown["eku"]["strict"] == {"connecting to us": None, "connected to": None}
    assert "clientAuth" in shown["eku"]["sip-only"]["connecting to us"]
    assert shown["chain"][0]["names"] == ["DNS:sip.home.example", "DNS:home.example"]
    assert shown["chain"][0]["identities"] == ["home.example", "sip.home.example"]
    assert shown["chain"][0]["eku"] == ["clientAuth", "serverAuth"]


def test_a_file_needs_no_configuration(line, home):
    certificate, _ = Authority("Unknown CA").leaf(dns=["away.example"]).write(home, "away")
    result = line("cert", "show", str(certificate))
    assert result.exit_code == 1
    assert "chain:   REFUSED" in result.stdout
    assert "its issuer CN=Unknown CA is not trusted here" in " ".join(result.stdout.split())


@pytest.fixture
def live(home, ca):
    """A TLS server of somebody else; its port."""
    cert_file, key_file = ca.leaf(dns=["sip.away.example"], eku=["serverAuth"]).write(home, "live")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        try:
            with (
                listening.accept()[0] as plain,
                context.wrap_socket(plain, server_side=True) as tls,
            ):
                tls.recv(1)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.close()
    thread.join(5)


def test_a_live_server_is_looked_at_and_explained(line, configured, live):
    shown = line.json("cert", "show", f"127.0.0.1:{live}", "--explain", "sip.away.example")
    assert shown["trusted"] is True
    assert shown["tls"]["version"] == "TLSv1.3"
    profiles = shown["explain"]["profiles"]
    assert profiles["rfc5922"] == {"good": True, "why": "it names sip.away.example"}
    assert shown["eku"]["strict"]["connected to"] is None
    assert "serverAuth" in shown["eku"]["strict"]["connecting to us"]


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("nonsense", 2, "no [certificate.NAME], no file, and no HOST:PORT"),
        ("127.0.0.1:1", 4, "the connection was refused"),
        ("127.0.0.1:99999", 2, "no HOST:PORT"),
    ],
)
def test_what_cannot_be_shown_is_said(line, configured, what, code, words):
    result = line("cert", "show", what)
    assert result.exit_code == code
    assert words in result.stderr


# ---------------------------------------------------------------- make


def test_a_request_has_the_domains_in_both_spellings(line, home):
    assert line("cert", "request", "a.example", "sip.a.example").exit_code == 0
    code, said = openssl("req", "-in", home / "tls/a.example.csr", "-noout", "-text", "-verify")
    assert code == 0
    for name in ("DNS:a.example", "DNS:sip.a.example", "URI:sip:a.example", "CN = a.example"):
        assert name in said
    mode = stat.S_IMODE((home / "tls/a.example.key").stat().st_mode)
    assert mode == 0o600


def test_nothing_is_written_over_unless_it_is_forced(line, home):
    assert line("cert", "request", "a.example").exit_code == 0
    before = (home / "tls/a.example.key").read_bytes()
    result = line("cert", "request", "a.example")
    assert result.exit_code == 1
    assert "is there already; --force writes over it" in result.stderr
    assert (home / "tls/a.example.key").read_bytes() == before
    assert line("cert", "request", "a.example", "--force").exit_code == 0
    assert (home / "tls/a.example.key").read_bytes() != before


def test_a_self_signed_certificate_brings_the_line_that_pins_it(line, home):
    made = line.json("cert", "self-signed", "a.example", "--days", "9")
    shown = line.json("cert", "show", made["cert_file"])
    assert shown["spki"] == made["spki"]
    assert shown["chain"][0]["days_left"] in (8, 9)


def test_what_is_no_domain_is_refused(line, home):
    result = line("cert", "request", "not a domain")
    assert result.exit_code == 2
    assert "is not a domain name" in result.stderr


def test_pkcs12_is_imported(line, home, ca):
    sub = Authority("Sub CA", issuer=ca)
    leaf = sub.leaf(dns=["sip.a.example"])
    locked = pkcs12.serialize_key_and_certificates(
        b"x", leaf.key, leaf.certificate, list(leaf.chain), BestAvailableEncryption(b"secret")
    )
    (home / "export.pfx").write_bytes(locked)
    (home / "password").write_text("secret\n")
    words = ("cert", "import", "export.pfx", "--name", "main", "--password-file", "password")
    made = line.json(*words)
    assert made["names"] == ["sip.a.example"]
    assert made["chain"] == 1
    assert (home / "tls/main.crt").read_bytes() == leaf.cert_pem
    (home / "password").write_text("wrong")
    result = line(*words, "--force")
    assert result.exit_code == 1
    assert "its password is wrong" in result.stderr
    assert "secret" not in result.stderr


# ---------------------------------------------------------------- a private authority


def test_an_authority_issues_and_renews_what_openssl_verifies(line, home):
    assert line("cert", "ca", "init").exit_code == 0
    made = line.json("cert", "ca", "issue", "sip.a.example", "a.example", "--days", "30")
    code, said = openssl("verify", "-x509_strict", "-CAfile", "tls/ca.crt", made["cert_file"])
    assert (code, said.split()[-1]) == (0, "OK")
    key = (home / "tls/sip.a.example.key").read_bytes()
    renewed = line.json("cert", "ca", "renew", made["cert_file"], "--days", "60")
    assert sorted(renewed["names"]) == ["a.example", "sip.a.example"]
    assert (home / "tls/sip.a.example.key").read_bytes() == key
    [issued] = line.json("cert", "ca", "list")["issued"]
    assert issued["days_left"] in (59, 60)
    line.json("cert", "ca", "renew", made["cert_file"], "--new-key")
    assert (home / "tls/sip.a.example.key").read_bytes() != key


def test_an_authority_signs_the_request_of_a_partner(line, home):
    line("cert", "ca", "init")
    line("cert", "request", "partner.example")
    made = line.json("cert", "ca", "issue", "--csr", "tls/partner.example.csr", "--force")
    assert openssl("verify", "-CAfile", "tls/ca.crt", made["cert_file"])[0] == 0


def test_without_an_authority_the_way_to_one_is_said(line, home):
    result = line("cert", "ca", "issue", "a.example")
    assert result.exit_code == 1
    assert "`sipx cert ca init` makes one" in result.stderr
    line("cert", "ca", "init")
    again = line("cert", "ca", "init")
    assert again.exit_code == 1
    assert "--force makes a new one" in again.stderr


# ---------------------------------------------------------------- reading it


@pytest.mark.parametrize("group", [("cert",), ("cert", "ca")])
def test_no_summary_is_cut(line, group):
    text = line(*group, "--help").stdout
    assert "..." not in text.partition("Commands:")[2]
    assert max(map(len, text.splitlines())) <= 80
