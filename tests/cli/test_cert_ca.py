"""``sipx cert ca``: what it never writes over, what it renews, and what it tells."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from sipx.certificates.authority import PrivateAuthority
from sipx.testing import Authority

DNS, URI = x509.DNSName, x509.UniformResourceIdentifier


@pytest.fixture
def authority(line, home):
    """An authority in ./tls."""
    assert line("cert", "ca", "init").exit_code == 0
    return home / "tls"


def csr(path, *names, key=None, encoding=Encoding.PEM):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    path.write_bytes(signed.public_bytes(encoding))
    return path.name


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---------------------------------------------------------------- renew


def test_a_certificate_of_somebody_else_is_not_renewed(line, authority):
    Authority("Public CA").leaf(dns=["a.example"]).write(authority, "a")
    before = files(authority)
    for words in ((), ("--new-key",)):
        result = line("cert", "ca", "renew", "tls/a.crt", *words)
        assert result.exit_code == 1
        assert "issued by CN=Public CA, not by this authority" in result.stderr
    assert files(authority) == before


def test_the_authority_does_not_renew_itself(line, authority):
    before = files(authority)
    result = line("cert", "ca", "renew", "tls/ca.crt", "--new-key")
    assert result.exit_code == 1
    assert "the authority itself" in result.stderr
    assert files(authority) == before


@pytest.mark.parametrize(
    ("words", "eku"), [((), ["serverAuth"]), (("--eku", "client"), ["clientAuth"])]
)
def test_usages_and_names_stay_unless_others_are_asked_for(line, authority, words, eku):
    line("cert", "ca", "issue", "a.example", "b.example", "--eku", "server")
    before = line.json("cert", "show", "tls/a.example.crt")["chain"][0]
    assert line("cert", "ca", "renew", "tls/a.example.crt", *words).exit_code == 0
    after = line.json("cert", "show", "tls/a.example.crt")["chain"][0]
    assert after["eku"] == eku
    assert after["names"] == before["names"]
    assert after["spki"] == before["spki"]
    assert after["serial"] != before["serial"]


def test_one_for_a_request_has_no_key_to_be_renewed_with(line, authority, home):
    line("cert", "ca", "issue", "--csr", csr(home / "p.csr", URI("sip:p.example")))
    result = line("cert", "ca", "renew", "tls/p.crt")
    assert result.exit_code == 1
    assert "use `ca issue --csr`; else --new-key" in result.stderr
    assert line("cert", "ca", "renew", "tls/p.crt", "--new-key").exit_code == 0
    [one] = line.json("cert", "show", "tls/p.crt")["chain"]
    assert one["names"] == ["URI:sip:p.example"]
    assert (authority / "p.key").stat().st_mode & 0o777 == 0o600


def test_the_key_of_another_certificate_is_not_taken(line, authority):
    line("cert", "ca", "issue", "a.example")
    line("cert", "ca", "issue", "b.example")
    (authority / "a.example.key").write_bytes((authority / "b.example.key").read_bytes())
    result = line("cert", "ca", "renew", "tls/a.example.crt")
    assert result.exit_code == 1
    assert "does not belong to" in result.stderr


# ---------------------------------------------------------------- issue


def test_a_request_cannot_take_the_place_of_the_authority(line, authority, home):
    before = files(authority)
    result = line("cert", "ca", "issue", "--csr", csr(home / "ca.csr", DNS("a.example")), "--force")
    assert result.exit_code == 2
    assert "reserved for ca.crt and ca.key" in result.stderr
    assert files(authority) == before


@pytest.mark.parametrize(
    ("names", "bits", "words"),
    [
        ([DNS("*.p.example")], 2048, "is a wildcard"),
        ([DNS("localhost")], 2048, "has no dot"),
        ([DNS("p.example")], 1024, "only 1024 bits"),
    ],
)
def test_a_request_that_is_not_good_is_refused(line, authority, home, names, bits, words):
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    result = line("cert", "ca", "issue", "--csr", csr(home / "p.csr", *names, key=key))
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (authority / "p.crt").exists()


def test_what_of_a_request_is_left_out_is_told(line, authority, home):
    names = (URI("sip:p.example"), x509.IPAddress(ip_address("10.0.0.1")))
    words = ("cert", "ca", "issue", "--csr", csr(home / "p.csr", *names, encoding=Encoding.DER))
    result = line(*words)
    assert result.exit_code == 0
    assert "left out" in result.stderr
    assert "IP:10.0.0.1" in result.stderr
    assert line.json(*words, "--force")["names"] == ["p.example"]


@pytest.mark.parametrize("data", [b"", b"nonsense", b"-----BEGIN CERTIFICATE REQUEST-----\nx"])
def test_what_is_no_request_is_told_without_addresses_of_others(line, authority, home, data):
    (home / "p.csr").write_bytes(data)
    result = line("cert", "ca", "issue", "--csr", "p.csr")
    assert result.exit_code == 1
    assert "no signing request in it" in result.stderr
    assert "http" not in result.stderr


def test_a_certificate_ends_with_its_authority_and_that_is_told(line, home):
    line("cert", "ca", "init", "--days", "30")
    result = line("cert", "ca", "issue", "a.example", "--days", "398")
    assert result.exit_code == 0
    assert "not for 398 days: then the authority ends" in result.stderr
    [one] = line.json("cert", "ca", "list")["issued"]
    assert one["days_left"] in (29, 30)
    assert "authority ends" not in line("cert", "ca", "issue", "b.example", "--days", "9").stderr


def test_an_authority_that_has_ended_issues_nothing(line, home):
    (home / "tls").mkdir()
    old = PrivateAuthority.create("Old CA", datetime(2020, 1, 1, tzinfo=UTC), 10)
    (home / "tls/ca.crt").write_bytes(old.cert_pem)
    from sipx.certificates.authority import pem_of

    (home / "tls/ca.key").touch(mode=0o600)
    (home / "tls/ca.key").write_bytes(pem_of(old.key))
    result = line("cert", "ca", "issue", "a.example")
    assert result.exit_code == 1
    assert "the authority ended on 2020-01-11" in result.stderr


# ---------------------------------------------------------------- its folder and key


@pytest.mark.parametrize("words", [("list",), ("issue", "a.example"), ("renew", "a.crt")])
def test_nothing_is_made_where_there_is_no_authority(line, home, words):
    (home / "a.crt").write_bytes(Authority().leaf(dns=["a.example"]).cert_pem)
    result = line("cert", "ca", *words)
    assert result.exit_code == 1
    assert "`sipx cert ca init` makes one" in result.stderr
    assert not (home / "tls").exists()


def test_a_key_that_others_may_read_is_warned_of(line, authority):
    assert line("cert", "ca", "list").stderr == ""
    (authority / "ca.key").chmod(0o644)
    result = line("cert", "ca", "list")
    assert result.exit_code == 0
    assert f"(mode 644): chmod 600 {authority / 'ca.key'}" in result.stderr


def test_a_key_that_cannot_be_read_is_not_made_anew(line, authority, monkeypatch):
    (authority / "ca.key").write_text("nothing")
    result = line("cert", "ca", "issue", "a.example")
    assert result.exit_code == 1
    assert "holds no private key" in result.stderr
    assert "ca init" not in result.stderr
    read = Path.read_bytes

    def refuse(self):
        if self.name == "ca.key":
            raise PermissionError(13, "Permission denied")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    result = line("cert", "ca", "issue", "a.example")
    assert result.exit_code == 5
    assert "ca.key cannot be read: Permission denied" in result.stderr
    assert "ca init" not in result.stderr


@pytest.mark.parametrize("name", ["", " ", "x" * 65])
def test_an_authority_has_a_name_that_a_certificate_can_hold(line, home, name):
    result = line("cert", "ca", "init", "--name", name)
    assert result.exit_code == 2
    assert "a name has 1 to 64 characters" in result.stderr
    assert not (home / "tls").exists()


def test_a_key_without_its_certificate_is_not_written_over(line, authority):
    (authority / "ca.crt").unlink()
    before = files(authority)
    assert line("cert", "ca", "init").exit_code == 1
    assert files(authority) == before
