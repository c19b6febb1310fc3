"""What ``sipx check lan`` finds, each by its code."""

from __future__ import annotations

from pathlib import Path

import pytest
from sipx_lan.checks import findings

from sipx import Severity
from sipx.testing import read_configuration

HEAD = """\
config_version = 1
domains = ["home.example"]
plugins = ["udp", "tcp", "tls", "lan"]
[certificate.own]
cert_file = "own.crt"
key_file = "own.key"
[lan]
"""
GOOD = 'bind = "10.0.0.1"\nuser = "u"\npassword = "secret"\n'
MTLS = 'bind = "10.0.0.1"\nprotocol = "mtls"\ncertificate = "own"\n'


def found(tmp_path, text):
    settings = read_configuration(HEAD + text, tmp_path)
    return list(findings(settings.plugins["lan"], settings.kernel))


def test_nothing_is_found_where_nothing_is_wrong(tmp_path):
    assert found(tmp_path, GOOD + '[lan.server.a]\npassword = "x"\nusers = "*.a"\n') == []
    assert found(tmp_path, MTLS + '[lan.server.a]\ncertificate = "a.example"\n') == []


def test_of_shared_users_the_registrar_tells(tmp_path, monkeypatch):
    users = '[lan.server.{0}]\npassword = "x"\nusers = ["anna"]\n'
    text = GOOD + users.format("a") + users.format("b")
    assert [finding.code for finding in found(tmp_path, text)] == ["SIPX-A006"]
    monkeypatch.setattr(f"{__name__}.HEAD", HEAD.replace('"lan"]', '"lan", "registrar"]'))
    assert found(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "code", "severity", "said"),
    [
        ('bind = "10.0.0.1"', "SIPX-A001", Severity.WARNING, "nobody can log on"),
        ('user = "u"\npassword = "x"', "SIPX-A002", Severity.FAILURE, "on the LAN side"),
        ('bind = "10.0.0.1"\nuser = "u"', "SIPX-A003", Severity.WARNING, "any private address"),
        (
            GOOD + '[lan.server.a]\naddresses = "10.0.0.7"',
            "SIPX-A003",
            Severity.WARNING,
            "whoever is at 10.0.0.7/32 is it",
        ),
        (GOOD + "allow_md5 = true", "SIPX-A004", Severity.WARNING, "for the shared user u"),
        (
            GOOD + '[lan.server.a]\npassword = "x"\nallow_md5 = true',
            "SIPX-A004",
            Severity.WARNING,
            "MD5 is allowed for a:",
        ),
        (
            GOOD.replace("10.0.0.1", "*"),
            "SIPX-A005",
            Severity.WARNING,
            "at lan over tcp at every address",
        ),
        (
            GOOD
            + '[lan.server.a]\npassword = "x"\nusers = ["Anna", "*.a"]\n'
            + '[lan.server.b]\npassword = "x"\nusers = ["anna", "*.a"]\n',
            "SIPX-A006",
            Severity.WARNING,
            "the user anna is one of a and of b",
        ),
        (
            GOOD + '[lan.server.a]\ncertificate = "a.example"',
            "SIPX-A007",
            Severity.FAILURE,
            "no LAN interface speaks mtls",
        ),
        (
            MTLS + '[lan.server.a]\npassword = "x"',
            "SIPX-A008",
            Severity.FAILURE,
            "the account a has no certificate",
        ),
        (
            MTLS + 'user = "u"\npassword = "x"\n[lan.server.a]\ncertificate = "a.example"',
            "SIPX-A008",
            Severity.FAILURE,
            "the shared user u has no certificate",
        ),
        (
            GOOD + '[lan.server.a]\npassword = "x"\nserver = "a.example"\nprotocol = "tls"',
            "SIPX-A009",
            Severity.FAILURE,
            "over tls, and no enabled interface speaks that",
        ),
        (
            GOOD + 'never_ban = ["198.51.100.0/24", "10.0.0.0/8", "198.18.0.0/15"]',
            "SIPX-A010",
            Severity.WARNING,
            "the public network 198.18.0.0/15",
        ),
        (
            GOOD + 'never_ban = ["2001:db8::/64", "fd00::/8", "2001:db8::/56"]',
            "SIPX-A010",
            Severity.WARNING,
            "the public network 2001:db8::/56",
        ),
    ],
)
def test_what_is_found(tmp_path, text, code, severity, said):
    [finding] = found(tmp_path, text)
    assert (finding.code, finding.severity) == (code, severity)
    assert said in finding.text
    assert finding.remedy


def test_the_readme_lists_every_code():
    plugin = Path(__file__).parent.parent
    source = (plugin / "sipx_lan/checks.py").read_text()
    readme = (plugin / "README.md").read_text()
    codes = {word.strip('",') for word in source.split() if "SIPX-A" in word}
    assert len(codes) == 10
    assert all(f"| {code} |" in readme for code in codes)
