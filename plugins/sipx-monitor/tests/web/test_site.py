"""What is answered: pages, files, sessions, and with which headers."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from sipx import ConsolePanel, PluginError

HOST = "127.0.0.1:8061"
ORIGIN = f"http://{HOST}"


async def test_the_page_allows_only_its_own_files_and_its_import_map(console):
    answer = await console.ask("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    (found,) = re.findall(rb'<script[^>]*type="importmap"[^>]*>(.*?)</script>', answer.body, re.S)
    digest = base64.b64encode(hashlib.sha256(found).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_every_answer_is_protected(console):
    for method, path in (("GET", "/"), ("GET", "/nothing"), ("GET", "/session"), ("PUT", "/")):
        answer = await console.ask(method, path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_link_logs_on_once(console):
    token = console.plugin.access.sessions.link("anna", "operator")
    answer = await console.ask("POST", "/session", {"token": token}, origin=ORIGIN)
    assert answer.status == 200
    assert (answer.json["user"], answer.json["role"]) == ("anna", "operator")
    assert answer.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert answer.headers["cache-control"] == "no-store"
    again = await console.ask("POST", "/session", {"token": token}, origin=ORIGIN)
    assert again.status == 401
    assert "sipx console url" in again.error["text"]
    session = await console.ask("GET", "/session", cookie=answer.cookie)
    assert session.json["user"] == "anna"


async def test_who_is_nobody_is_told_how_to_log_on(console):
    answer = await console.ask("GET", "/session")
    assert answer.status == 401
    assert answer.json["auth"] == "token"
    assert answer.error["code"] == "unauthenticated"


async def test_logging_off_ends_the_session(console):
    cookie = await console.log_on()
    answer = await console.ask("DELETE", "/session", cookie=cookie, origin=ORIGIN)
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await console.ask("GET", "/session", cookie=cookie)).status == 401
    assert (await console.call("status", cookie=cookie)).status == 401


async def test_another_method_than_those_there_are(console):
    answer = await console.ask("PUT", "/session")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, DELETE")
    assert (await console.ask("POST", "/console/sipx.js")).status == 405
    assert (await console.ask("GET", "/nothing")).status == 404


async def test_whoever_asks_whether_it_lives_needs_no_session(console):
    answer = await console.ask("GET", "/livez")
    assert (answer.status, answer.body) == (200, b"ok\n")


async def test_below_a_root_path(start_console):
    console = await start_console(root_path="/sipx")
    assert (await console.ask("GET", "/sipx/")).status == 200
    assert (await console.ask("GET", "/sipx/console/sipx.js")).status == 200
    answer = await console.ask("GET", "/sipx")
    assert (answer.status, answer.headers["location"]) == (308, "/sipx/")
    # A proxy may also cut it off before it asks.
    assert (await console.ask("GET", "/console/sipx.js")).status == 200
    token = console.plugin.access.sessions.link("anna", "admin")
    answer = await console.ask("POST", "/sipx/session", {"token": token}, origin=ORIGIN)
    assert "Path=/sipx;" in answer.headers["set-cookie"]


@pytest.fixture
def panel(console, tmp_path, monkeypatch):
    """A package with a panel, and a plugin that shows it."""
    package = tmp_path / "sipx_with_a_panel"
    (package / "static").mkdir(parents=True)
    (package / "__init__.py").write_text("SECRET = 1")
    (package / "static" / "panel.js").write_text("export default 1;")
    (package / "static" / "panel.css").write_text("p {}")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = ConsolePanel("static/panel.js", package.name, styles=("static/panel.css",))
    handle = type(console.plugin._proxy)
    monkeypatch.setattr(handle, "console_panels", lambda _: {"demo": (found,)})


async def test_panels_of_plugins(console, panel):
    cookie = await console.log_on("viewer")
    answer = await console.ask("GET", "/session", cookie=cookie)
    assert answer.json["panels"] == [
        {
            "plugin": "demo",
            "module": "plugins/demo/static/panel.js",
            "styles": ["plugins/demo/static/panel.css"],
        }
    ]
    answer = await console.ask("GET", "/plugins/demo/static/panel.js")
    assert (answer.status, answer.body) == (200, b"export default 1;")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert (await console.ask("GET", "/plugins/demo/static/panel.css")).status == 200
    for name in ("__init__.py", "../x.js", "static/other.js", "static/", ""):
        assert (await console.ask("GET", f"/plugins/demo/{name}")).status == 404
    assert (await console.ask("GET", "/plugins/other/static/panel.js")).status == 404


async def test_panels_that_are_not_right_are_told_and_not_shown(console, monkeypatch, caplog):
    def wrong(_):
        raise PluginError("panel.js does not exist")

    monkeypatch.setattr(type(console.plugin._proxy), "console_panels", wrong)
    answer = await console.ask("GET", "/session", cookie=await console.log_on())
    assert answer.json["panels"] == []
    assert "panel.js does not exist" in caplog.text


async def test_a_body_that_is_no_json(console):
    answer = await console.ask("POST", "/session", b"{", origin=ORIGIN)
    assert (answer.status, answer.error["text"]) == (400, "the body is no JSON")
    answer = await console.ask(
        "POST", "/session", b"token=1", content_type="application/x-www-form-urlencoded"
    )
    assert answer.status == 415
    answer = await console.ask("POST", "/session", b"x" * 10_000)
    assert answer.status == 413
