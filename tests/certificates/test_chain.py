"""What is said of a chain: the days that are left, and where it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipx.certificates import load_own
from sipx.certificates.chain import Known, chain, dates, until
from sipx.config.model import CertificateConfig
from sipx.testing import Authority

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
ROOT = Authority("Root CA")
PRIVATE = Authority("Private CA")


def ended(directory, issued, *, trust=(ROOT,), routes=()):
    """The one finding about the end of a chain, as severity, text and remedy; None without."""
    certificate, key = issued.write(directory, "own")
    table = CertificateConfig(cert_file=certificate, key_file=key)
    known = Known(
        NOW, tuple(a.certificate for a in trust), tuple(a.certificate for a in routes), ()
    )
    found = list(chain("it", load_own("main", table), known, table))
    assert len(found) <= 1
    return (found[0].severity.value, found[0].text, found[0].remedy) if found else None


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (20 * DAY, "SIPX-T006", "in 20 days"),
        (DAY, "SIPX-T006", "in 1 day"),
        (timedelta(0), "SIPX-T006", "today"),
        (-DAY, "SIPX-T005", "1 day ago"),
        (-8 * DAY, "SIPX-T005", "8 days ago"),
    ],
)
def test_days_are_told_as_people_count_them(end, code, words):
    leaf = ROOT.leaf(dns=["sip.a.example"], not_before=NOW - 9 * DAY, not_after=NOW + end)
    [finding] = dates("it", leaf.certificate, NOW, 21 * 86400.0)
    assert finding.code == code
    assert finding.text.endswith(f", {words}")


def test_days_that_are_left():
    assert [until(NOW + days * DAY, NOW) for days in (0, 1, 60)] == [
        "ends today",
        "1 day left",
        "60 days left",
    ]


def test_a_chain_up_to_a_trusted_root_is_complete(tmp_path):
    leaf = Authority("Sub CA", issuer=ROOT).leaf(dns=["sip.a.example"])
    assert ended(tmp_path, leaf) is None


def test_an_intermediate_among_the_trusted_completes_no_chain(tmp_path):
    sub = Authority("Sub CA", issuer=ROOT)
    leaf = sub.leaf(dns=["sip.a.example"])
    severity, text, remedy = ended(
        tmp_path, type(leaf)(leaf.certificate, leaf.key, ()), trust=(ROOT, sub)
    )
    assert severity == "failure"
    assert "the intermediate CN=Sub CA is missing from its chain" in text
    assert remedy == f"append the certificate of CN=Sub CA to {tmp_path / 'own.crt'}"


def test_a_private_authority_beside_the_certificate_is_no_missing_one(tmp_path):
    beside = PRIVATE.write(tmp_path, "ca")
    severity, text, remedy = ended(tmp_path, PRIVATE.leaf(dns=["sip.a.example"]))
    assert (severity, text) == ("ok", "it is issued by the private authority CN=Private CA")
    assert remedy == f"partners need {beside} in the ca of their route"


def test_a_private_authority_is_known_from_a_route_or_from_the_file_itself(tmp_path):
    leaf = PRIVATE.leaf(dns=["sip.a.example"])
    whole = type(leaf)(leaf.certificate, leaf.key, (PRIVATE.certificate,))
    for found in (ended(tmp_path, leaf, routes=(PRIVATE,)), ended(tmp_path, whole)):
        assert found is not None
        assert found[0] == "ok"
        assert found[2] == "partners need its certificate in the ca of their route"


def test_another_ca_crt_beside_the_certificate_proves_nothing(tmp_path):
    Authority("Private CA").write(tmp_path, "ca")
    severity, text, remedy = ended(tmp_path, PRIVATE.leaf(dns=["sip.a.example"]))
    assert severity == "warning"
    assert "an intermediate that is missing, or a private root" in text
    assert "if it is an intermediate" in remedy
    assert "if it is a root" in remedy


def test_a_private_authority_that_has_expired_is_told(tmp_path):
    old = Authority("Old CA", now=NOW - 3651 * DAY)
    certificate, key = old.leaf(dns=["sip.a.example"], not_after=NOW + DAY).write(tmp_path, "own")
    old.write(tmp_path, "ca")
    table = CertificateConfig(cert_file=certificate, key_file=key)
    known = Known(NOW, (ROOT.certificate,), (), ())
    found = {f.code: f for f in chain("it", load_own("main", table), known, table)}
    assert "its authority CN=Old CA expired on" in found["SIPX-T005"].text
