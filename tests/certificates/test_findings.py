"""`sipx check certs`: every finding with its code and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from sipx.certificates import CertificateStore
from sipx.certificates.findings import certificate_findings, inline_secrets
from sipx.config.model import KernelConfig
from sipx.identity import Partner
from sipx.testing import Authority

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
ROOT = Authority("Root CA")


def configured(directory, certificates, *, partners=(), trust=None, used=True):
    """The findings for tables of certificates; the first is that of [wan]."""
    config = KernelConfig.model_validate(
        {
            "domains": ["a.example"],
            "certificate": certificates,
            "wan": {"certificate": next(iter(certificates))} if used and certificates else {},
            "interface": {"far": {"port": 5061, "protocol": "mtls"}},
            "trust": {"ca": str(directory / "ca.crt")} if trust is None else trust,
        }
    )
    return list(certificate_findings(CertificateStore(config, partners), NOW))


def files(directory, issued, stem="own", mode=0o600):
    """The two keys of a table, and their files."""
    certificate, key = issued.write(directory, stem)
    key.chmod(mode)
    return {"cert_file": str(certificate), "key_file": str(key)}


def found(directory, issued, *, key=None, mode=0o600, used=True, ca=ROOT, crl=None, **table):
    pem = files(directory, issued, mode=mode)
    if key is not None:
        Path(pem["key_file"]).write_bytes(key.key_pem)
    trust = {"ca": str(ca.write(directory, "ca"))}
    if crl is not None:
        (directory / "list.crl").write_bytes(crl)
        trust["crl"] = str(directory / "list.crl")
    return configured(directory, {"main": {**pem, **table}}, trust=trust, used=used)


def told(findings, code):
    """The severities and texts of the findings with a code."""
    return [(f.severity.value, f.text) for f in findings if f.code == code]


def certificate_of(subject, issuer, key, *, begin=NOW - DAY, end=NOW + 90 * DAY, extensions=()):
    """A certificate of an authority, made with whatever is wrong with it."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer.key, hashes.SHA256())


CA = x509.BasicConstraints(ca=True, path_length=None)


def below(**faults):
    """A leaf below an intermediate with faults."""
    sub = Authority("Sub CA", issuer=ROOT)
    sub.certificate = certificate_of("Sub CA", ROOT, sub.key, **{"extensions": (CA,), **faults})
    return sub.leaf(dns=["sip.a.example"], not_after=NOW + 60 * DAY)


def test_a_certificate_without_fault_is_one_line(tmp_path):
    [finding] = found(tmp_path, ROOT.leaf(dns=["sip.a.example"], not_after=NOW + 60 * DAY))
    assert (finding.code, finding.severity.value) == ("SIPX-T000", "ok")
    assert "60 days left" in finding.text
    assert "subject CN=sip.a.example" in finding.text


def faulty(tmp_path, fault):
    names = {"dns": ["sip.a.example"]}
    if fault == "expired":
        return found(tmp_path, ROOT.leaf(**names, not_before=NOW - 9 * DAY, not_after=NOW - DAY))
    if fault == "not yet":
        return found(tmp_path, ROOT.leaf(**names, not_before=NOW + DAY))
    if fault == "soon":
        return found(tmp_path, ROOT.leaf(**names, not_after=NOW + 20 * DAY))
    if fault == "readable":
        return found(tmp_path, ROOT.leaf(**names), mode=0o644)
    if fault == "other key":
        return found(tmp_path, ROOT.leaf(**names), key=ROOT.leaf(**names))
    if fault == "no name":
        return found(tmp_path, ROOT.leaf(dns=["*.a.example"]))
    if fault == "no FQDN":
        return found(tmp_path, ROOT.leaf(dns=["proxy"]))
    if fault == "self-signed":
        return found(tmp_path, ROOT.leaf(**names, self_signed=True))
    if fault == "incomplete":
        sub = Authority("Sub CA", issuer=ROOT).leaf(**names)
        return found(tmp_path, type(sub)(sub.certificate, sub.key, ()))
    if fault == "intermediate in [trust]":
        sub = Authority("Sub CA", issuer=ROOT)
        leaf = sub.leaf(**names)
        return found(tmp_path, type(leaf)(leaf.certificate, leaf.key, ()), ca=sub)
    if fault == "server only":
        return found(tmp_path, ROOT.leaf(**names, eku=["serverAuth"]))
    if fault == "revoked":
        leaf = ROOT.leaf(**names)
        return found(tmp_path, leaf, crl=ROOT.revoke(leaf))
    if fault == "old intermediate":
        return found(tmp_path, below(begin=NOW - 9 * DAY, end=NOW - 3 * DAY))
    if fault == "new intermediate":
        return found(tmp_path, below(begin=NOW + DAY))
    if fault == "ending intermediate":
        return found(tmp_path, below(end=NOW + 5 * DAY))
    if fault == "no CA":
        return found(tmp_path, below(extensions=(x509.BasicConstraints(False, None),)))
    if fault == "no constraints":
        return found(tmp_path, below(extensions=()))
    if fault == "revoked intermediate":
        leaf = below()
        [sub] = leaf.chain
        return found(tmp_path, leaf, crl=ROOT.revoke(type(leaf)(sub, leaf.key)))
    return found(tmp_path, ROOT.leaf(**names), used=False)


@pytest.mark.parametrize(
    ("fault", "code", "severity", "words"),
    [
        ("expired", "SIPX-T005", "failure", "expired on"),
        ("not yet", "SIPX-T005", "failure", "valid only from"),
        ("soon", "SIPX-T006", "warning", "in 20 days"),
        ("readable", "SIPX-T004", "failure", "others may read the key"),
        ("other key", "SIPX-T003", "failure", "does not belong"),
        ("no name", "SIPX-T007", "failure", "names only *.a.example (a wildcard)"),
        ("no FQDN", "SIPX-T007", "failure", "no full domain name"),
        ("self-signed", "SIPX-T008", "warning", "is self-signed"),
        ("incomplete", "SIPX-T008", "warning", "ends before CN=Sub CA, which is not known here"),
        ("intermediate in [trust]", "SIPX-T008", "failure", "intermediate CN=Sub CA is missing"),
        ("revoked", "SIPX-T013", "failure", "is revoked since"),
        ("old intermediate", "SIPX-T005", "failure", "its intermediate CN=Sub CA expired on"),
        ("new intermediate", "SIPX-T005", "failure", "its intermediate CN=Sub CA is valid only"),
        ("ending intermediate", "SIPX-T006", "warning", "its intermediate CN=Sub CA expires on"),
        ("no CA", "SIPX-T008", "failure", "its intermediate CN=Sub CA is no authority"),
        ("no constraints", "SIPX-T008", "failure", "it has no basicConstraints"),
        ("revoked intermediate", "SIPX-T013", "failure", "CN=Sub CA is revoked since"),
        ("server only", "SIPX-T010", "ok", "partners with strict rules refuse it"),
        ("unused", "SIPX-T011", "warning", "nothing uses it"),
    ],
)
def test_each_fault_has_a_code_and_a_remedy(tmp_path, fault, code, severity, words):
    match = [f for f in faulty(tmp_path, fault) if f.code == code]
    assert [f.severity.value for f in match] == [severity]
    assert words in match[0].text
    assert match[0].text.startswith("certificate 'main'")
    assert match[0].remedy


def test_an_old_revocation_list_is_told(tmp_path):
    crl = tmp_path / "old.pem"
    crl.write_bytes(ROOT.revoke(next_update=ROOT.now + DAY / 24))
    certificate, key = ROOT.leaf(dns=["sip.a.example"]).write(tmp_path, "own")
    config = KernelConfig.model_validate(
        {
            "domains": ["a.example"],
            "certificate": {"main": {"cert_file": str(certificate), "key_file": str(key)}},
            "wan": {"certificate": "main"},
            "trust": {"ca": str(ROOT.write(tmp_path)), "crl": [str(crl)]},
        }
    )
    found = {f.code: f for f in certificate_findings(CertificateStore(config), NOW)}
    assert "a newer one was due" in found["SIPX-T012"].text


def test_warn_before_is_configured(tmp_path):
    leaf = ROOT.leaf(dns=["sip.a.example"], not_after=NOW + 20 * DAY)
    codes = {f.code for f in found(tmp_path, leaf, warn_before="5d")}
    assert codes == {"SIPX-T000"}


def test_the_last_day_of_a_good_certificate_is_no_number(tmp_path):
    leaf = ROOT.leaf(dns=["sip.a.example"], not_after=NOW)
    [(severity, text)] = told(found(tmp_path, leaf, warn_before=0), "SIPX-T000")
    assert severity == "ok"
    assert text.endswith(", ends today")


# ---------------------------------------------------------------- names


def test_each_name_that_does_not_count_is_told_beside_good_ones(tmp_path):
    leaf = ROOT.leaf(dns=["sip.a.example", "*.a.example", "proxy"], ips=["192.0.2.1"])
    findings = found(tmp_path, leaf)
    [(severity, text)] = told(findings, "SIPX-T007")
    assert severity == "warning"
    for said in ("*.a.example (a wildcard)", "proxy (no dot)", "192.0.2.1 (an address)"):
        assert said in text
    assert "sip.a.example (" not in text


def test_a_certificate_without_names_is_a_failure(tmp_path):
    [(severity, text)] = told(found(tmp_path, ROOT.leaf("x", san=False)), "SIPX-T007")
    assert severity == "failure"
    assert "names no domain" in text


def test_a_revoked_certificate_of_somebody_else_is_none_of_ours(tmp_path):
    crl = ROOT.revoke(ROOT.leaf(dns=["b.example"]))
    findings = found(tmp_path, ROOT.leaf(dns=["sip.a.example"]), crl=crl)
    assert {f.code for f in findings} == {"SIPX-T000"}


# ---------------------------------------------------------------- several certificates


def test_what_is_normal_is_told_once_for_all(tmp_path):
    tables = {
        name: files(tmp_path, ROOT.leaf(dns=["sip.a.example"], eku=["serverAuth"]), name)
        for name in ("one", "two")
    }
    ROOT.write(tmp_path, "ca")
    findings = configured(tmp_path, tables)
    [(severity, text)] = told(findings, "SIPX-T010")
    assert severity == "ok"
    assert text.startswith("certificates 'one', 'two': its extended key usage is serverAuth")
    assert len(told(findings, "SIPX-T000")) == 1  # the other is not used


def test_a_broken_certificate_of_a_list_names_its_interface(tmp_path):
    good = files(tmp_path, ROOT.leaf(dns=["sip.a.example"]), "good")
    bad = {"cert_file": str(tmp_path / "none.crt"), "key_file": str(tmp_path / "none.key")}
    config = KernelConfig.model_validate(
        {
            "domains": ["a.example"],
            "certificate": {"main": good, "bad": bad},
            "interface": {
                "far": {"port": 5061, "protocol": "mtls", "certificate": ["main", "bad"]}
            },
            "trust": {"ca": str(ROOT.write(tmp_path, "ca"))},
        }
    )
    findings = list(certificate_findings(CertificateStore(config), NOW))
    [(severity, text)] = told(findings, "SIPX-T001")
    assert severity == "failure"
    assert text.startswith("certificate 'bad', used by interface far: ")
    assert told(findings, "SIPX-T000")


def test_a_broken_certificate_of_wan_names_the_interfaces_that_fall_back_on_it(tmp_path):
    ROOT.write(tmp_path, "ca")
    bad = {"cert_file": str(tmp_path / "none.crt"), "key_file": str(tmp_path / "none.key")}
    [(_, text)] = told(configured(tmp_path, {"bad": bad}), "SIPX-T001")
    assert text.startswith("certificate 'bad', used by interface far: ")


# ---------------------------------------------------------------- files that others may read


def test_a_directory_as_key_is_told_as_that_and_its_mode_is_left_alone(tmp_path):
    pem = files(tmp_path, ROOT.leaf(dns=["sip.a.example"]))
    ROOT.write(tmp_path, "ca")
    (tmp_path / "keys").mkdir(mode=0o755)
    findings = configured(tmp_path, {"main": {**pem, "key_file": str(tmp_path / "keys")}})
    [(_, text)] = told(findings, "SIPX-T001")
    assert "s a directory" in text
    assert not told(findings, "SIPX-T004")


def locked(directory):
    """A PKCS #12 file with the password "secret"."""
    leaf = ROOT.leaf(dns=["sip.a.example"])
    path = directory / "own.p12"
    path.touch(mode=0o600)
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(
            None, leaf.key, leaf.certificate, None, BestAvailableEncryption(b"secret")
        )
    )
    return str(path)


@pytest.mark.parametrize(("mode", "count"), [(0o644, 1), (0o640, 1), (0o600, 0)])
def test_a_password_file_that_others_may_read_is_a_failure(tmp_path, mode, count):
    ROOT.write(tmp_path, "ca")
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(mode)
    table = {"pkcs12_file": locked(tmp_path), "pkcs12_password": {"file": str(password)}}
    findings = configured(tmp_path, {"main": table})
    assert len(told(findings, "SIPX-T004")) == count
    for finding in findings:
        if finding.code == "SIPX-T004":
            assert "the password" in finding.text
            assert finding.remedy == f"chmod 600 {password}"


@pytest.mark.parametrize(
    ("password", "mode", "count"),
    [("secret", 0o644, 1), ("secret", 0o600, 0), ({"env": "SIPX_TEST"}, 0o644, 0)],
)
def test_a_password_in_a_file_that_others_may_read_is_a_failure(
    tmp_path, monkeypatch, password, mode, count
):
    monkeypatch.setenv("SIPX_TEST", "secret")
    file = tmp_path / "sipx.toml"
    file.touch()
    file.chmod(mode)
    table = {"pkcs12_file": locked(tmp_path), "pkcs12_password": password}
    config = KernelConfig.model_validate({"domains": ["a.example"], "certificate": {"main": table}})
    findings = list(inline_secrets(config, file))
    assert [f.code for f in findings] == ["SIPX-T004"] * count
    assert all(f"chmod 600 {file}" in f.remedy for f in findings)


# ---------------------------------------------------------------- authorities


@pytest.mark.parametrize("kind", ["folder", "file", "route"])
def test_authorities_that_are_none_are_a_failure(tmp_path, kind):
    pem = files(tmp_path, ROOT.leaf(dns=["sip.a.example"]))
    ROOT.write(tmp_path, "ca")
    empty = tmp_path / "empty"
    if kind == "file":
        empty.touch()
    else:
        empty.mkdir()
    partners = [Partner("b.example", ca=(empty,))] if kind == "route" else ()
    trust = None if kind == "route" else {"ca": str(empty)}
    findings = configured(tmp_path, {"main": pem}, partners=partners, trust=trust)
    who = "route b.example" if kind == "route" else "[trust]"
    assert told(findings, "SIPX-T014") == [
        (
            "failure",
            f"authorities of {who}: there is none in {empty}, so that nobody's certificate is "
            "believed",
        )
    ]
    assert not told(findings, "SIPX-T002")


def test_one_empty_folder_beside_others_is_a_warning(tmp_path):
    pem = files(tmp_path, ROOT.leaf(dns=["sip.a.example"]))
    (tmp_path / "empty").mkdir()
    trust = {"ca": str(ROOT.write(tmp_path, "ca")), "extra_ca": str(tmp_path / "empty")}
    findings = configured(tmp_path, {"main": pem}, trust=trust)
    assert [severity for severity, _ in told(findings, "SIPX-T014")] == ["warning"]


def test_without_tls_nobody_asks_for_authorities(tmp_path, monkeypatch):
    monkeypatch.setattr("sipx.certificates.anchors.system_files", tuple)
    assert configured(tmp_path, {}, trust={}) == []


def test_a_fault_of_several_lists_is_told_once(tmp_path):
    pem = files(tmp_path, ROOT.leaf(dns=["sip.a.example"]))
    ca = ROOT.write(tmp_path, "ca")
    partner = Partner("b.example", ca=(ca,))
    trust = {"ca": str(ca), "crl": str(tmp_path / "none.crl")}
    findings = configured(tmp_path, {"main": pem}, partners=[partner], trust=trust)
    [(_, text)] = told(findings, "SIPX-T001")
    assert text.startswith("authorities of [trust], route b.example: ")
    assert not told(findings, "SIPX-T008")
