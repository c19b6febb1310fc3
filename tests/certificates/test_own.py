"""Our own certificates, from files that are right and files that are not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from sipx.certificates import CertificateError, load_own
from sipx.certificates.own import LockedError, certificates_in, key_in
from sipx.config.model import CertificateConfig
from sipx.config.secrets import Secret
from sipx.testing import Authority

ROOT = Authority("Root CA")
SUB = Authority("Sub CA", issuer=ROOT)
LEAF = SUB.leaf(dns=["sip.a.example"])


def pem(directory, certificates, key=LEAF):
    certificate, key_file = directory / "a.crt", directory / "a.key"
    certificate.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in certificates))
    key_file.write_bytes(key.key_pem)
    return CertificateConfig(cert_file=certificate, key_file=key_file)


def test_the_chain_is_put_in_order_and_the_root_left_out(tmp_path):
    deep = Authority("Deep CA", issuer=SUB)
    leaf = deep.leaf(dns=["sip.a.example"])
    mixed = (leaf.certificate, ROOT.certificate, SUB.certificate, deep.certificate)
    own = load_own("a", pem(tmp_path, mixed, leaf))
    assert own.chain == (deep.certificate, SUB.certificate)
    assert own.facts.ids == {b"sip.a.example"}


def test_the_key_is_never_shown(tmp_path):
    own = load_own("a", pem(tmp_path, (LEAF.certificate,)))
    assert "key=" not in repr(own)


def test_a_key_of_another_certificate_is_refused(tmp_path):
    table = pem(tmp_path, (LEAF.certificate,), SUB.leaf(dns=["sip.a.example"]))
    with pytest.raises(CertificateError, match=r"does not belong to .*sip\.a\.example") as error:
        load_own("a", table)
    assert error.value.code == "SIPX-T003"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.crt", b"no certificate", "holds no certificate"),
        ("a.crt", b"", "holds no certificate"),
        ("a.crt", None, "cannot be read: No such file"),
        ("a.key", b"no key", "holds no private key"),
        ("a.key", None, "cannot be read: No such file"),
        ("a.crt", b"x" * (5 << 20), "larger than 4 MiB"),
    ],
)
def test_files_that_cannot_be_used_are_named_with_a_remedy(tmp_path, name, content, words):
    table = pem(tmp_path, (LEAF.certificate,))
    path = tmp_path / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(CertificateError, match=words) as error:
        load_own("a", table)
    assert str(path) in error.value.text
    assert error.value.remedy


def test_an_encrypted_key_is_told_as_such(tmp_path):
    table = pem(tmp_path, (LEAF.certificate,))
    locked = LEAF.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "a.key").write_bytes(locked)
    with pytest.raises(CertificateError, match="is encrypted"):
        load_own("a", table)


def p12(directory, password=b"secret"):
    data = pkcs12.serialize_key_and_certificates(
        b"a",
        LEAF.key,
        LEAF.certificate,
        [ROOT.certificate, SUB.certificate],
        BestAvailableEncryption(password),
    )
    path = directory / "a.p12"
    path.write_bytes(data)
    return path


def test_pkcs12_as_windows_exports_it(tmp_path):
    table = CertificateConfig(pkcs12_file=p12(tmp_path), pkcs12_password=Secret("secret"))
    own = load_own("a", table)
    assert own.certificate == LEAF.certificate
    assert own.chain == (SUB.certificate,)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        (Secret("wrong"), "its password is wrong, .* correct pkcs12_password"),
        (None, "no password was given, .* set pkcs12_password"),
    ],
)
def test_a_wrong_password_is_told_without_it(tmp_path, password, words):
    table = CertificateConfig(pkcs12_file=p12(tmp_path), pkcs12_password=password)
    with pytest.raises(LockedError, match=words) as error:
        load_own("a", table)
    assert error.value.given is (password is not None)
    assert "wrong" not in repr(password)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (LEAF.cert_pem, "is no PKCS #12 file")]
)
def test_what_is_no_pkcs12_has_no_wrong_password(tmp_path, content, words):
    path = tmp_path / "a.p12"
    path.write_bytes(content)
    with pytest.raises(CertificateError, match=words) as error:
        load_own("a", CertificateConfig(pkcs12_file=path, pkcs12_password=Secret("x")))
    assert not isinstance(error.value, LockedError)


def test_a_key_is_found_among_other_things(tmp_path):
    mixed = b"Bag Attributes\n    friendlyName: x\n" + LEAF.cert_pem + LEAF.key_pem
    assert key_in(mixed, tmp_path).public_key() == LEAF.key.public_key()
    der = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert key_in(der, tmp_path).public_key() == LEAF.key.public_key()


@pytest.mark.parametrize(
    ("password", "words"), [(None, "is encrypted"), ("wrong", "password .* is wrong")]
)
def test_a_locked_key_opens_with_its_password_alone(tmp_path, password, words):
    locked = LEAF.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    assert key_in(locked, tmp_path, "secret").public_key() == LEAF.key.public_key()
    with pytest.raises(LockedError, match=words) as error:
        key_in(locked, tmp_path, password)
    assert error.value.given is (password is not None)


def test_certificates_are_found_in_each_of_their_formats():
    chain = [LEAF.certificate, SUB.certificate]
    assert certificates_in(LEAF.cert_pem) == chain
    assert certificates_in(LEAF.certificate.public_bytes(Encoding.DER)) == [LEAF.certificate]
    for encoding in (Encoding.PEM, Encoding.DER):
        assert set(certificates_in(pkcs7.serialize_certificates(chain, encoding))) == set(chain)
    assert certificates_in(b"-----BEGIN nothing") == certificates_in(b"") == []
