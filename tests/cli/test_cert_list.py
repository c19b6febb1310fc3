"""``sipx cert list``: the state of each certificate, as `sipx check certs` would have it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipx.certificates.names import names_of, purposes
from sipx.testing import Authority

CONFIGURATION = """
domains = ["home.example"]
plugins = ["tls"]

[interface.far]
bind = "127.0.0.1"
port = 0
protocol = "mtls"
certificate = "main"

[trust]
ca = "lab-ca.crt"

[certificate.main]
cert_file = "main.crt"
key_file = "main.key"
"""
ANOTHER = """
[certificate.other]
cert_file = "other.crt"
key_file = "other.key"
"""
CA = Authority("Lab CA")
GOOD = CA.leaf(dns=["sip.home.example"])


@pytest.fixture
def configured(home):
    CA.write(home, "lab-ca")
    GOOD.write(home, "main")
    (home / "sipx.toml").write_text(CONFIGURATION)
    return home


def listed(line):
    result = line("cert", "list")
    return result.exit_code, line.json("cert", "list")["certificates"]


def test_one_without_fault_is_ok(line, configured):
    code, [one] = listed(line)
    assert (code, one["state"]) == (0, "ok")
    assert all(finding["severity"] == "ok" for finding in one["findings"])


def test_a_key_that_others_may_read_is_a_failure_with_its_remedy(line, configured):
    (configured / "main.key").chmod(0o644)
    code, [one] = listed(line)
    assert (code, one["state"]) == (1, "failure")
    [finding] = [f for f in one["findings"] if f["severity"] == "failure"]
    assert finding["code"] == "SIPX-T004"
    assert finding["remedy"] == f"chmod 600 {configured / 'main.key'}"
    text = line("cert", "list").stdout
    assert "main: FAILURE" in text
    assert "SIPX-T004" in text
    assert finding["remedy"] in " ".join(text.split())


def test_one_that_names_no_domain_is_a_failure(line, configured):
    CA.leaf(ips=["10.0.0.1"]).write(configured, "main")
    code, [one] = listed(line)
    assert (code, one["state"]) == (1, "failure")
    assert one["names"] == ["IP:10.0.0.1"]
    assert one["identities"] == []
    assert "speaks for  no domain" in line("cert", "list").stdout


def test_one_that_ends_soon_is_a_warning(line, configured):
    soon = datetime.now(UTC) + timedelta(days=3)
    CA.leaf(dns=["sip.home.example"], not_after=soon).write(configured, "main")
    code, [one] = listed(line)
    assert (code, one["state"]) == (0, "warning")
    assert "SIPX-T006" in [finding["code"] for finding in one["findings"]]


def test_each_has_its_own_findings(line, configured):
    CA.leaf(dns=["sip.home.example"]).write(configured, "other")
    (configured / "other.key").write_text("nothing")
    (configured / "sipx.toml").write_text(CONFIGURATION + ANOTHER)
    code, [main, other] = listed(line)
    assert code == 1
    assert main["state"] == "ok"
    assert other["state"] == "failure"
    assert other["subject"] is None
    [failure] = [f for f in other["findings"] if f["severity"] == "failure"]
    assert failure["code"] == "SIPX-T002"
    assert failure["text"].startswith(str(configured / "other.key"))


def test_what_is_used_is_not_said_twice(line, configured):
    (configured / "main.crt").unlink()
    _, [one] = listed(line)
    [failure] = one["findings"]
    assert failure["text"].startswith(str(configured / "main.crt"))


def test_it_can_be_read_at_80_columns(line, configured):
    names = [f"host-{number}.home.example" for number in range(9)]
    CA.leaf(dns=names).write(configured, "main")
    text = line("cert", "list").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"DNS:{name}" in text for name in names)


# ---------------------------------------------------------------- words


def test_names_are_written_as_they_are_and_act_on_no_terminal():
    leaf = CA.leaf(dns=["a.example"], uris=["sip:\x1b[2Ja"], ips=["::1"], emails=["a@b.example"])
    assert names_of(leaf.certificate) == [
        "DNS:a.example",
        "URI:sip:\\x1b[2Ja",
        "IP:::1",
        "email:a@b.example",
    ]
    assert names_of(CA.certificate) == []


def test_usages_have_names_where_they_are_known():
    assert purposes({"1.3.6.1.5.5.7.3.20", "1.2.3.4"}) == ["1.2.3.4", "sipDomain"]
    assert purposes(None) is None
