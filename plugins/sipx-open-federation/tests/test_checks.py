"""``sipx check federation``: findings with their codes."""

from __future__ import annotations

import pytest

from sipx.testing import Authority

A = "a.example"


@pytest.fixture
def check(tmp_path, sipx_on_loopback):
    """The findings of a proxy for a.example, as (code, severity, text)."""

    async def run(*names, tables=None, others=None, **federation):
        ca = Authority("Lab CA")
        ca.write(tmp_path)
        cert, key = ca.leaf(dns=names or [A]).write(tmp_path, "own")
        proxy = await sipx_on_loopback(
            domains=[A],
            plugins=["tls"],
            certificate={"main": {"cert_file": cert, "key_file": key}, **(others or {})},
            wan={"certificate": "main"},
            **(tables or {}),
            **{"open-federation": {"bind": "127.0.0.11", "port": 0, **federation}},
        )
        return [
            (found.code, found.severity.value, found.text)
            for given in proxy.kernel.hooks.checks()
            if given.item.area == "federation"
            for found in given.item.run()
        ]

    return run


async def test_what_is_right_is_told(check):
    assert await check() == [
        ("SIPX-F001", "ok", "open federation with every domain"),
        ("SIPX-F010", "ok", "certificate main proves a.example to every partner (rfc5922)"),
    ]


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [
        ({"allow": []}, "SIPX-F001", "with no domain: allow is empty"),
        ({"deny": ["*"]}, "SIPX-F002", "those with static routes as well"),
        (
            {"allow": ["x.example"], "deny": ["*.example"]},
            "SIPX-F003",
            "x.example is in allow and by deny it is blocked",
        ),
        (
            {"deny": ["*.example"], "partner": {"x.example": {"allowed": True}}},
            "SIPX-F003",
            "x.example is an allowed partner, and by a pattern in deny it is blocked",
        ),
        (
            {"partner": {"*.example": {"blocked": True}, "x.example": {"comment": "?"}}},
            "SIPX-F004",
            "x.example is not blocked, though *.example is",
        ),
        (
            {"partner": {"x.example": {"allow_wildcard": True}}},
            "SIPX-F005",
            "partner x.example: allow_wildcard",
        ),
        ({"partner": {"x.example": {"accept_cn": True}}}, "SIPX-F005", "x.example: accept_cn"),
        ({"providers": ["com"]}, "SIPX-F006", "everybody below com may speak for any domain"),
        ({"ports": []}, "SIPX-F007", "makes sipx connect to any port"),
        ({"messages_per_second": 0.0}, "SIPX-F008", "as many messages as they like"),
        ({"users_per_day": 0}, "SIPX-F008", "as many addresses as they like"),
    ],
)
async def test_what_counts_otherwise_or_is_weak(check, settings, code, text):
    found = [told for told in await check(**settings) if told[1] != "ok"]
    assert [(told[0], text in told[2]) for told in found] == [(code, True)], found


async def test_a_certificate_for_a_host_needs_the_record(check):
    told = await check("sip.a.example", "sip.x.a.example")
    assert told[-1] == (
        "SIPX-F010",
        "ok",
        "certificate main proves a.example where its SRV record names sip.a.example (ms-suffix)",
    )


async def test_a_certificate_of_another_domain_fails(check):
    told = await check("b.example")
    assert told[-1] == (
        "SIPX-F011",
        "failure",
        "certificate main names b.example: no partner believes a.example",
    )


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"sni": "x.test", "accept_cn": False}, "which goes before: sni of its table here counts"),
        ({"blocked": True}, "its table says blocked: nothing uses the route"),
    ],
)
async def test_a_static_route_goes_before_the_table_of_a_partner(check, table, text):
    route = {"x.example": {"server": "192.0.2.1", "protocol": "tcp"}}
    told = await check(tables={"static-routes": {"route": route}}, partner={"x.example": table})
    [found] = [each for each in told if each[0] == "SIPX-F013"]
    assert text in found[2]


async def test_two_certificates_are_told(tmp_path, check):
    far = {
        "near": {"bind": "127.0.0.1", "port": 0, "protocol": "udp"},
        "far": {"bind": "127.0.0.12", "port": 0, "protocol": "mtls", "certificate": "other"},
    }
    cert, key = Authority("Lab CA").leaf(dns=[A]).write(tmp_path, "other")
    told = await check(
        tables={"interface": far},
        interface="far",
        certificate="main",
        others={"other": {"cert_file": cert, "key_file": key}},
    )
    [found] = [each for each in told if each[0] == "SIPX-F012"]
    assert "is shown other, and whom sipx connects to main" in found[2]
