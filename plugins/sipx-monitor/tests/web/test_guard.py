"""Who is let in: Host, Origin and Sec-Fetch-Site, at pages, methods and the websocket."""

from __future__ import annotations

import pytest

HOST = "127.0.0.1:8061"
ORIGIN = f"http://{HOST}"
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec_websocket_protocol": "sipx.v1",
}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8061", 200),
        ("127.0.0.1", 200),
        ("127.0.0.2:9", 200),
        ("localhost:8061", 200),
        ("LOCALHOST:1234", 200),
        ("localhost.:1234", 200),
        ("[::1]:8061", 200),
        ("sipx.example", 200),
        ("SIPX.example:443", 200),
        ("rebound.example:8061", 403),
        ("localhost.evil.example", 403),
        ("192.0.2.1:8061", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1@evil.example", 400),
        ("[::1", 400),
        ("", 400),
        ("a b", 400),
        ("evil.example/127.0.0.1", 400),
    ],
)
async def test_a_host_that_is_ours_and_others(start_console, host, status):
    console = await start_console(allowed_hosts=["sipx.example"])
    assert (await console.ask("GET", "/", host=host)).status == status
    assert (await console.ask("GET", "/livez", host=host)).status == status


async def test_a_refused_host_says_what_to_set(console):
    answer = await console.ask("GET", "/", host="sipx.example")
    assert 'monitor.allowed_hosts = ["sipx.example"]' in answer.error["text"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (ORIGIN, True),
        ("http://127.0.0.1:8062", False),
        ("http://127.0.0.1", False),
        ("http://localhost:8061", False),
        ("https://127.0.0.1:8061", False),
        ("http://evil.example", False),
        ("null", False),
        ("http://[", False),
        (None, False),
    ],
)
async def test_origins(console, origin, allowed):
    """None: a request with a cookie that does not say where it comes from."""
    cookie = await console.log_on()
    answer = await console.ask("POST", "/api/status", {}, cookie=cookie, origin=origin)
    assert answer.status == (200 if allowed else 403)
    answer = await console.ask("DELETE", "/session", cookie="x=y", origin=origin)
    # Nobody can end a session but by its cookie, which a page of others cannot send.
    assert answer.status == (204 if allowed or origin is None else 403)
    answer = await console.ask("GET", "/ws", cookie=cookie, origin=origin, **UPGRADE)
    assert answer.status == (101 if allowed else 403)


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
        ("cross-site", "navigate", 200),  # a link somewhere leads to the console
        ("cross-site", "cors", 403),
        ("cross-site", "no-cors", 403),
        ("same-site", "cors", 403),
    ],
)
async def test_what_a_browser_says_of_the_page_that_asks(console, site, mode, status):
    answer = await console.ask("GET", "/", sec_fetch_site=site, sec_fetch_mode=mode)
    assert answer.status == status


async def test_a_navigation_from_elsewhere_changes_nothing(console):
    cookie = await console.log_on()
    answer = await console.ask(
        "POST",
        "/api/reload",
        {},
        cookie=cookie,
        sec_fetch_site="cross-site",
        sec_fetch_mode="navigate",
    )
    assert answer.status == 403


async def test_a_form_of_another_site_is_no_json(console):
    cookie = await console.log_on()
    answer = await console.ask(
        "POST", "/api/status", b"{}", cookie=cookie, origin=ORIGIN, content_type="text/plain"
    )
    assert answer.status == 415


async def test_a_token_needs_no_origin_but_a_wrong_one_is_refused(console):
    token = await console.plugin.tokens.create("grafana", "viewer", "anna", None)
    bearer = f"Bearer {token}"
    assert (await console.ask("GET", "/api/status", authorization=bearer)).status == 200
    answer = await console.ask(
        "GET", "/api/status", authorization=bearer, origin="http://e.example"
    )
    assert answer.status == 403
    answer = await console.ask("GET", "/ws", authorization=bearer, **UPGRADE)
    assert answer.status == 101


async def test_two_hosts_in_one_request(console):
    said = await console.raw(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 400 ")


# ---------------------------------------------------------------- behind a reverse proxy


async def behind(start_console, **more):
    return await start_console(
        trusted_proxies=["10.0.0.0/8"], allowed_hosts=["sipx.example"], **more
    )


async def test_a_trusted_proxy_says_what_it_was_asked(start_console):
    console = await behind(start_console)
    console.address = "10.0.0.1"
    token = console.plugin.access.sessions.link("anna", "admin")
    answer = await console.ask(
        "POST",
        "/session",
        {"token": token},
        host="backend:8061",
        x_forwarded_host="sipx.example",
        x_forwarded_proto="https",
        x_forwarded_for="192.0.2.7, 10.0.0.9",
        origin="https://sipx.example",
    )
    assert answer.status == 200
    assert answer.headers["set-cookie"].endswith("; Secure")
    (session,) = console.plugin.access.sessions._open.values()
    assert session.address == "192.0.2.7"


async def test_others_cannot_say_it(start_console):
    console = await behind(start_console)
    console.address = "192.0.2.66"
    answer = await console.ask("GET", "/", host="evil.example", x_forwarded_host="sipx.example")
    assert answer.status == 403


async def test_a_proxy_says_who_it_has_let_in(start_console):
    console = await behind(start_console, auth="proxy-header", user={"anna": {"role": "operator"}})
    console.address = "10.0.0.1"
    said = {"host": "sipx.example", "x_forwarded_user": "anna"}
    answer = await console.ask("GET", "/session", **said)
    assert (answer.json["user"], answer.json["role"]) == ("anna", "operator")
    answer = await console.ask("GET", "/session", host="sipx.example", x_forwarded_user="bob")
    assert answer.status == 403
    assert "[monitor.user.bob]" in answer.error["text"]
    assert (await console.ask("GET", "/session", host="sipx.example")).status == 401
    console.address = "192.0.2.66"
    assert (await console.ask("GET", "/session", **said)).status == 401


async def test_whoever_is_behind_the_proxy_is_limited_each_alone(start_console):
    console = await behind(start_console)
    console.address = "10.0.0.1"
    for _ in range(5):
        await console.ask(
            "POST", "/session", {"token": "x"}, host="sipx.example", x_forwarded_for="192.0.2.1"
        )
    said = [
        await console.ask(
            "POST", "/session", {"token": "x"}, host="sipx.example", x_forwarded_for=address
        )
        for address in ("192.0.2.1", "192.0.2.2", "junk, 192.0.2.1")
    ]
    assert [answer.status for answer in said] == [429, 401, 429]
