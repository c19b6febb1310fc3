"""Certificates that are made here have to pass elsewhere: OpenSSL's rules and our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from OpenSSL import crypto

from sipx.certificates.authority import PrivateAuthority, names_of, new_key, request, self_signed
from sipx.identity import certificate_facts

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


def test_a_request_without_names_is_refused():
    key = new_key()
    from cryptography.hazmat.primitives import hashes

    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(ValueError, match="names no domain"):
        PrivateAuthority.create("My CA", NOW).issue_for(csr, NOW, 10, "both")


def test_a_self_signed_one_verifies_against_itself():
    leaf = self_signed(NAMES, new_key(), NOW, 10)
    assert leaf.certificate.issuer == leaf.certificate.subject
    assert verifies(leaf.certificate, leaf.certificate)
