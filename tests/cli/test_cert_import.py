"""``sipx cert import``: what others export, in all its formats, and what is not taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from sipx.testing import Authority

ROOT = Authority("Root CA")
SUB = Authority("Sub CA", issuer=ROOT)
LEAF = SUB.leaf(dns=["sip.a.example"])
LOCKED = LEAF.key.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)


def p12(password=b"secret"):
    return pkcs12.serialize_key_and_certificates(
        b"x", LEAF.key, LEAF.certificate, list(LEAF.chain), BestAvailableEncryption(password)
    )


def imported(line, home, data, *words, name="main"):
    (home / "given").write_bytes(data)
    result = line("cert", "import", "given", "--name", name, *words)
    assert result.exit_code in (0, 1, 2, 5), result.stderr
    return result


def is_there(home):
    return (
        (home / "tls/main.crt").read_bytes() == LEAF.cert_pem
        and (home / "tls/main.key").read_bytes() == LEAF.key_pem
        and (home / "tls/main.key").stat().st_mode & 0o777 == 0o600
    )


@pytest.mark.parametrize(
    "data",
    [
        LEAF.cert_pem + LEAF.key_pem,
        LEAF.key_pem + LEAF.cert_pem,
        b"Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n"
        + LEAF.key_pem
        + LEAF.cert_pem,
        b"\xef\xbb\xbf" + LEAF.cert_pem + LEAF.key_pem,
        (LEAF.cert_pem + LEAF.key_pem).decode().encode("utf-16"),
        SUB.pem + LEAF.certificate.public_bytes(Encoding.PEM) + LEAF.key_pem,
    ],
    ids=["pem", "key first", "bag attributes", "BOM", "UTF-16", "authority first"],
)
def test_pem_is_known_however_it_begins(line, home, data):
    result = imported(line, home, data)
    assert (result.exit_code, result.stderr) == (0, "")
    assert is_there(home)


@pytest.mark.parametrize(
    "data",
    [
        LEAF.cert_pem,
        pkcs7.serialize_certificates([SUB.certificate, LEAF.certificate], Encoding.DER),
        pkcs7.serialize_certificates([LEAF.certificate, SUB.certificate], Encoding.PEM),
    ],
)
def test_a_key_may_stand_apart(line, home, data):
    (home / "k").write_bytes(LEAF.key_pem)
    result = imported(line, home, data, "--key", "k")
    assert (result.exit_code, result.stderr) == (0, "")
    assert is_there(home)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (LEAF.certificate.public_bytes(Encoding.DER), "no key is inside"),
        (LEAF.cert_pem, "no key is inside"),
        (pkcs7.serialize_certificates([LEAF.certificate], Encoding.DER), "give the key with --key"),
        (LEAF.key_pem, "holds no certificate"),
        (b"nonsense", "neither PEM nor PKCS #12"),
        (LEAF.cert_pem + SUB.leaf(dns=["b.example"]).key_pem, "does not belong to the certificate"),
    ],
)
def test_what_cannot_be_imported_is_told_as_what_it_is(line, home, data, words):
    result = imported(line, home, data)
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (home / "tls").exists()


def test_pkcs12_has_its_key_inside(line, home):
    (home / "k").write_bytes(LEAF.key_pem)
    result = imported(line, home, p12(), "--key", "k")
    assert result.exit_code == 1
    assert "leave --key out" in result.stderr


# ---------------------------------------------------------------- passwords


@pytest.mark.parametrize(
    "stored",
    [
        b"secret",
        b"secret\n",
        b"secret\r\n",
        b"\xef\xbb\xbfsecret\r\n",
        "secret\r\n".encode("utf-16"),
    ],
)
@pytest.mark.parametrize("data", [p12(), LEAF.cert_pem + LOCKED], ids=["pkcs12", "pem"])
def test_the_password_is_read_from_its_file(line, home, stored, data):
    (home / "password").write_bytes(stored)
    result = imported(line, home, data, "--password-file", "password")
    assert (result.exit_code, result.stderr) == (0, "")
    assert is_there(home)


@pytest.mark.parametrize("data", [p12(), LEAF.cert_pem + LOCKED], ids=["pkcs12", "pem"])
@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (b"wrong", "its password is wrong; correct that in password (--password-file)"),
        (b"", "no password was given"),
        ("größe".encode("latin-1"), "neither UTF-8 nor UTF-16"),
    ],
)
def test_a_password_that_does_not_open_it_is_told(line, home, data, stored, words):
    (home / "password").write_bytes(stored)
    result = imported(line, home, data, "--password-file", "password")
    assert result.exit_code == 1
    assert words in result.stderr
    assert "pkcs12_password" not in result.stderr


def test_without_a_terminal_nobody_is_asked(line, home):
    result = imported(line, home, p12())
    assert result.exit_code == 2
    assert "no terminal to ask on: use --password-file" in result.stderr


def test_who_sits_at_the_terminal_is_asked_once(line, home, monkeypatch):
    asked = []
    monkeypatch.setattr("sipx.cli.cert_import.sys", Terminal)
    monkeypatch.setattr("click.prompt", lambda text, **rest: asked.append(text) or "secret")
    assert imported(line, home, p12()).exit_code == 0
    assert asked == ["password of given"]
    assert is_there(home)


class Terminal:
    class stdin:  # noqa: N801  # in place of sys
        @staticmethod
        def isatty():
            return True


# ---------------------------------------------------------------- names, and what is not well


@pytest.mark.parametrize("name", ["a/b", "../../evil", "a\\b", "..", "", "ca", "CA", "a\nb"])
def test_a_name_is_no_path_and_not_that_of_the_authority(line, home, name):
    result = imported(line, home, LEAF.cert_pem + LEAF.key_pem, name=name)
    assert result.exit_code == 2
    assert not (home / "tls").exists()
    assert not list(home.parent.glob("evil*"))


def test_the_name_of_the_file_is_looked_at_as_well(line, home):
    (home / "ca.pfx").write_bytes(LEAF.cert_pem + LEAF.key_pem)
    result = line("cert", "import", "ca.pfx")
    assert result.exit_code == 2
    assert "reserved for ca.crt and ca.key" in result.stderr
    assert "choose one with --name" in result.stderr


def test_what_has_expired_or_lacks_its_chain_is_imported_and_told(line, home):
    old = datetime.now(UTC) - timedelta(days=9)
    leaf = SUB.leaf(dns=["a.example"], not_before=old, not_after=old + timedelta(days=1))
    alone = leaf.certificate.public_bytes(Encoding.PEM) + leaf.key_pem
    result = imported(line, home, alone)
    assert result.exit_code == 0
    assert "it expired on" in result.stderr
    assert "its issuer CN=Sub CA is not inside" in result.stderr


def test_one_that_is_complete_is_not_talked_about(line, home):
    direct = ROOT.leaf(dns=["a.example"])
    assert imported(line, home, direct.cert_pem + ROOT.pem + direct.key_pem).stderr == ""
    itself = ROOT.leaf(dns=["a.example"], self_signed=True)
    assert imported(line, home, itself.cert_pem + itself.key_pem, "--force").stderr == ""
