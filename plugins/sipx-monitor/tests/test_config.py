"""The table [monitor]: what is refused, in which words, and what `sipx check console` finds."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from sipx_monitor.checks import findings
from sipx_monitor.config import MonitorConfig

HASH = "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M"
PASSWORD = {"auth": "password", "user": {"anna": {"password_hash": HASH}}}


def test_it_has_defaults_that_are_safe():
    config = MonitorConfig()
    assert (config.bind, config.port, config.auth) == ("127.0.0.1", 8061, "token")
    assert config.on_loopback
    assert config.record == "watched"
    assert config.capture_bodies == "sdp"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"bind": "0.0.0.0"}, "nobody there has a password"),
        ({"bind": "0.0.0.0", "certificate": "main"}, "nobody there has a password"),
        ({"bind": "fd00::2", **PASSWORD}, "without certificate"),
        ({"bind": "0.0.0.0", "certificate": "main", "auth": "none"}, "everybody could change"),
        ({"auth": "password"}, "nobody has one"),
        ({"auth": "password", "user": {"a": {}}}, "nobody has one"),
        ({"auth": "proxy-header"}, "trusted_proxies"),
        ({"auth": "basic"}, "token"),
        ({"trusted_proxies": ["proxy.example"]}, "is not an IP address or network"),
        ({"allowed_hosts": ["https://a.example"]}, "is not the name of a host"),
        ({"allowed_hosts": ["a.example:80"]}, "is not the name of a host"),
        ({"root_path": "sipx"}, "is not the beginning of a path"),
        ({"root_path": "/../x"}, "is not the beginning of a path"),
        ({"proxy_header": "X User"}, "is not the name of a header"),
        ({"user": {"a b": {}}}, "no user name"),
        ({"user": {"a": {"password_hash": "secret"}}}, "no hash of a password"),
        ({"user": {"a": {"role": "root"}}}, "viewer"),
        ({"keep_messages": 1}, "100"),
        ({"prot": 1}, "prot"),
    ],
)
def test_what_is_refused(table, words):
    with pytest.raises(ValidationError, match=words):
        MonitorConfig.model_validate(table)


@pytest.mark.parametrize(
    "table",
    [
        {"bind": "0.0.0.0", "certificate": "main", **PASSWORD},
        {
            "bind": "0.0.0.0",
            "certificate": "main",
            "auth": "proxy-header",
            "trusted_proxies": ["10.0.0.1"],
        },
        {"bind": "::1", "auth": "none"},
        {"auth": "password", "user": {"anna": {"password_hash": HASH}}},
        {"auth": "proxy-header", "trusted_proxies": ["10.0.0.1", "fd00::/8"]},
        {"root_path": "/sipx/", "allowed_hosts": ["a.example", "::1", "192.0.2.1"]},
    ],
)
def test_what_is_right(table):
    assert MonitorConfig.model_validate(table)


def test_values_are_brought_into_one_form():
    config = MonitorConfig.model_validate(
        {
            "root_path": "/sipx/",
            "allowed_hosts": ["SIPX.Example"],
            "trusted_proxies": ["10.0.0.1"],
            "proxy_header": "Remote-User",
        }
    )
    assert config.root_path == "/sipx"
    assert config.allowed_hosts == ("sipx.example",)
    assert config.trusted_proxies == ("10.0.0.1/32",)
    assert config.proxy_header == "remote-user"


def test_a_hash_is_not_shown():
    config = MonitorConfig.model_validate({"user": {"anna": {"password_hash": HASH}}})
    assert HASH not in repr(config)
    assert HASH not in config.model_dump_json()


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ({}, []),
        ({"certificate": "main"}, []),
        ({"certificate": "other"}, ["SIPX-W001"]),
        ({"auth": "none"}, ["SIPX-W002"]),
        ({"bind": "0.0.0.0", "certificate": "main", **PASSWORD}, ["SIPX-W003"]),
        ({"user": {"anna": {"password_hash": HASH}}}, ["SIPX-W004"]),
        ({"trusted_proxies": ["0.0.0.0/0"]}, ["SIPX-W005"]),
        ({"capture_bodies": "all"}, ["SIPX-W006"]),
    ],
)
def test_findings(table, codes):
    found = list(findings(MonitorConfig.model_validate(table), ["main"]))
    assert [one.code for one in found] == codes
    assert all(one.remedy for one in found)
