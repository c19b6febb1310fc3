"""Our own certificates, from files that are right and files that are not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)

from sipx.certificates import CertificateError, load_own
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


@pytest.mark.parametrize("password", [Secret("wrong"), None])
def test_a_wrong_password_is_told_without_it(tmp_path, password):
    table = CertificateConfig(pkcs12_file=p12(tmp_path), pkcs12_password=password)
    with pytest.raises(CertificateError, match="its password is wrong") as error:
        load_own("a", table)
    assert "wrong" not in repr(password)
    assert "secret" not in str(error.value)
