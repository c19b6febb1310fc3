"""`sipx check certs`: every finding with its code and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipx.certificates import CertificateStore
from sipx.certificates.findings import certificate_findings
from sipx.config.model import KernelConfig
from sipx.testing import Authority

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
ROOT = Authority("Root CA")


def found(directory, issued, *, key=None, mode=0o600, used=True, ca=ROOT, **table):
    certificate, key_file = issued.write(directory, "own")
    if key is not None:
        key_file.write_bytes(key.key_pem)
    key_file.chmod(mode)
    ca.write(directory, "ca")
    config = KernelConfig.model_validate(
        {
            "domains": ["a.example"],
            "certificate": {
                "main": {"cert_file": str(certificate), "key_file": str(key_file), **table}
            },
            "wan": {"certificate": "main"} if used else {},
            "trust": {"ca": str(directory / "ca.crt")},
        }
    )
    return list(certificate_findings(CertificateStore(config), NOW))


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
    if fault == "server only":
        return found(tmp_path, ROOT.leaf(**names, eku=["serverAuth"]))
    return found(tmp_path, ROOT.leaf(**names), used=False)


@pytest.mark.parametrize(
    ("fault", "code", "severity", "words"),
    [
        ("expired", "SIPX-T005", "failure", "expired on"),
        ("not yet", "SIPX-T005", "failure", "valid only from"),
        ("soon", "SIPX-T006", "warning", "in 20 days"),
        ("readable", "SIPX-T004", "failure", "others may read the key"),
        ("other key", "SIPX-T003", "failure", "does not belong"),
        ("no name", "SIPX-T007", "failure", "names no domain"),
        ("no FQDN", "SIPX-T007", "failure", "no full domain name"),
        ("self-signed", "SIPX-T008", "warning", "is self-signed"),
        ("incomplete", "SIPX-T008", "warning", "ends before CN=Sub CA"),
        ("server only", "SIPX-T010", "ok", "partners with strict rules refuse it"),
        ("unused", "SIPX-T011", "warning", "nothing uses it"),
    ],
)
def test_each_fault_has_a_code_and_a_remedy(tmp_path, fault, code, severity, words):
    match = [f for f in faulty(tmp_path, fault) if f.code == code]
    assert [f.severity.value for f in match] == [severity]
    assert words in match[0].text
    assert match[0].text.startswith("certificate main")
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
