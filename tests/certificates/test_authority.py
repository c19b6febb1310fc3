"""Certificates that are made here have to pass elsewhere: OpenSSL's rules and our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto

from sipx.certificates.authority import (
    PrivateAuthority,
    left_out,
    names_of,
    new_key,
    proper_domain,
    read_request,
    request,
    self_signed,
)
from sipx.identity import CLIENT_AUTH, SIP_DOMAIN_EKU, certificate_facts
from sipx.testing import Authority

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = ["a.example", "sip.a.example"]


def verifies(certificate, authority):
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(authority))
    store.set_flags(crypto.X509StoreFlags.X509_STRICT)
    leaf = crypto.X509.from_cryptography(certificate)
    crypto.X509StoreContext(store, leaf).verify_certificate()
    return True


@pytest.mark.parametrize("eku", ["server", "client", "both"])
def test_what_an_authority_issues_is_valid_and_names_its_domains(eku):
    authority = PrivateAuthority.create("My CA", NOW)
    leaf = authority.issue(NAMES, NOW, 30, eku=eku)
    assert verifies(leaf.certificate, authority.certificate)
    facts = certificate_facts(leaf.certificate)
    assert facts.ids == {name.encode() for name in NAMES}
    assert len(facts.eku) == (2 if eku == "both" else 1)
    assert facts.not_after == NOW + timedelta(days=30)
    assert facts.not_before < NOW
    assert b"PRIVATE KEY" in leaf.key_pem


def test_it_can_issue_leaves_only():
    authority = PrivateAuthority.create("My CA", NOW)
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_request_is_answered_for_its_names_and_key(kind):
    key = new_key(kind)
    csr = x509.load_pem_x509_csr(request(NAMES, key))
    assert names_of(csr) == NAMES
    leaf = PrivateAuthority.create("My CA", NOW).issue_for(csr, NOW, 10, "both")
    assert leaf.key is None
    assert leaf.certificate.public_key() == key.public_key()
    assert names_of(leaf.certificate) == NAMES


def csr_of(names, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest)


DNS, URI = x509.DNSName, x509.UniformResourceIdentifier


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "names no domain"),
        ([x509.IPAddress(ip_address("10.0.0.1"))], "names no domain"),
        ([DNS("*.a.example")], "is a wildcard"),
        ([DNS("localhost")], "has no dot"),
        ([DNS("10.0.0.1")], "is an IP address"),
        ([URI("sip:ada@a.example")], "names no domain"),
    ],
)
def test_a_request_without_a_domain_is_refused(names, words):
    with pytest.raises(ValueError, match=words):
        PrivateAuthority.create("My CA", NOW).issue_for(csr_of(names), NOW, 10, "both")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024), "1024 bits"),
        (ed25519.Ed25519PrivateKey.generate, "neither RSA nor EC"),
    ],
)
def test_a_request_with_a_key_that_will_not_do_is_refused(key, words):
    csr = csr_of([DNS("a.example")], key())
    with pytest.raises(ValueError, match=words):
        PrivateAuthority.create("My CA", NOW).issue_for(csr, NOW, 10, "both")


def test_a_request_is_answered_for_what_it_asks_and_no_more():
    csr = csr_of([URI("sip:a.example"), x509.IPAddress(ip_address("10.0.0.1"))])
    leaf = PrivateAuthority.create("My CA", NOW).issue_for(csr, NOW, 10, "both")
    assert certificate_facts(leaf.certificate).ids == {b"a.example"}
    assert names_of(leaf.certificate) == []
    assert left_out(csr) == ["IP:10.0.0.1"]
    both = csr_of([DNS("sip.a.example"), URI("sip:a.example")])
    leaf = PrivateAuthority.create("My CA", NOW).issue_for(both, NOW, 10, "both")
    assert certificate_facts(leaf.certificate).ids == {b"a.example"}


def test_a_request_is_read_in_both_encodings():
    csr = csr_of([DNS("a.example")])
    for encoding in (Encoding.PEM, Encoding.DER):
        assert read_request(csr.public_bytes(encoding)) == csr
    with pytest.raises(ValueError, match="no signing request in it") as error:
        read_request(b"-----BEGIN nothing")
    assert "http" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1", "is an IP address"),
        ("[::1]", "is an IP address"),
        ("localhost", "has no dot"),
        ("*.a.example", "is a wildcard"),
        ("xn--0.example", "no A-label"),
        ("a b", "is not a domain name"),
    ],
)
def test_what_is_no_domain_for_a_certificate_is_refused_with_the_reason(text, words):
    with pytest.raises(ValueError, match=words):
        proper_domain(text)


def test_an_international_name_becomes_a_labels():
    assert proper_domain("Bücher.example") == "xn--bcher-kva.example"
    assert proper_domain("xn--bcher-kva.example") == "xn--bcher-kva.example"


# ---------------------------------------------------------------- renewing


def test_a_renewed_certificate_says_what_the_old_one_said():
    authority = PrivateAuthority.create("My CA", NOW)
    old = authority.issue_for(csr_of([URI("sip:a.example")]), NOW, 10, "server").certificate
    new = authority.renew(old, NOW, 20).certificate
    assert new.subject == old.subject
    assert certificate_facts(new).eku == certificate_facts(old).eku
    assert names_of(new) == []
    assert certificate_facts(new).ids == {b"a.example"}
    other = authority.renew(old, NOW, 20, eku="client").certificate
    assert certificate_facts(other).eku == {CLIENT_AUTH}


def test_usages_that_are_not_made_here_are_kept():
    lab = Authority("Lab CA")
    authority = PrivateAuthority(lab.certificate, lab.key)
    sip = lab.leaf(dns=["a.example"], ips=["10.0.0.1"], eku=["sipDomain"]).certificate
    new = authority.renew(sip, NOW, 20).certificate
    assert certificate_facts(new).eku == {SIP_DOMAIN_EKU}
    san = x509.SubjectAlternativeName
    assert new.extensions.get_extension_for_class(san) == sip.extensions.get_extension_for_class(
        san
    )
    none = authority.renew(lab.leaf(dns=["a.example"], eku=None).certificate, NOW, 20)
    assert certificate_facts(none.certificate).eku is None


def test_only_its_own_certificates_are_renewed():
    authority = PrivateAuthority.create("My CA", NOW)
    namesake = PrivateAuthority.create("My CA", NOW).issue(NAMES, NOW).certificate
    public = Authority("Public CA").leaf(dns=["a.example"]).certificate
    for old, words in (
        (namesake, "issued by CN=My CA, not by this"),
        (public, "issued by CN=Public CA, not by this authority"),
        (authority.certificate, "the authority itself"),
    ):
        with pytest.raises(ValueError, match=words):
            authority.renew(old, NOW)


def test_nothing_outlives_its_authority():
    authority = PrivateAuthority.create("My CA", NOW, 10)
    leaf = authority.issue(NAMES, NOW, 398)
    assert leaf.certificate.not_valid_after_utc == authority.ends == NOW + timedelta(days=10)
    with pytest.raises(ValueError, match="the authority ended on"):
        authority.issue(NAMES, NOW + timedelta(days=11), 398)


def test_a_self_signed_one_verifies_against_itself():
    leaf = self_signed(NAMES, new_key(), NOW, 10)
    assert leaf.certificate.issuer == leaf.certificate.subject
    assert verifies(leaf.certificate, leaf.certificate)
