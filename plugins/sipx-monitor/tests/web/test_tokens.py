"""Tokens for programs: made once, kept hashed, ended."""

from __future__ import annotations

import json

import pytest
from sipx_monitor.web.tokens import FILE, MARK, MOST, TokenError, Tokens


class Wall:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def tokens(tmp_path, wall):
    return Tokens(lambda: tmp_path, wall)


async def test_a_token_is_kept_hashed_and_outlives_the_process(tokens, tmp_path, wall):
    text = await tokens.create("grafana", "viewer", "anna", None)
    assert text.startswith(MARK)
    kept = (tmp_path / FILE).read_text()
    assert text not in kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    again = Tokens(lambda: tmp_path, wall)
    again.read()
    found = again.find(text)
    assert (found.name, found.role, found.created_by) == ("grafana", "viewer", "anna")
    assert again.find(text + "x") is None
    assert again.find("") is None
    assert again.find(found.hash) is None


async def test_a_token_ends(tokens, wall):
    text = await tokens.create("grafana", "viewer", "anna", 60)
    wall.now += 59
    assert tokens.find(text)
    wall.now += 1
    assert tokens.find(text) is None
    assert tokens.all() == []
    assert await tokens.create("grafana", "viewer", "anna", None)


async def test_a_token_is_revoked(tokens, tmp_path):
    text = await tokens.create("grafana", "viewer", "anna", None)
    assert await tokens.revoke("grafana")
    assert not await tokens.revoke("grafana")
    assert tokens.find(text) is None
    assert json.loads((tmp_path / FILE).read_text()) == {"tokens": []}


async def test_names_are_given_once_and_tokens_are_bounded(tokens):
    for number in range(MOST):
        await tokens.create(f"t{number}", "viewer", "anna", None)
    with pytest.raises(TokenError, match="there is a token 't1' already"):
        await tokens.create("t1", "viewer", "anna", None)
    with pytest.raises(TokenError, match="revoke some"):
        await tokens.create("one more", "viewer", "anna", None)


@pytest.mark.parametrize("text", ["{", "[]", '{"tokens": [{}]}', '{"tokens": 1}'])
def test_a_file_that_is_damaged(tokens, tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=r".+"):
        tokens.read()


async def test_a_damaged_file_is_told_and_the_console_runs(start_console, monkeypatch, caplog):
    monkeypatch.setattr(Tokens, "read", lambda _: json.loads("{"))
    console = await start_console()
    assert (await console.ask("GET", "/livez")).status == 200
    assert "no token works" in caplog.text


async def test_a_token_is_a_way_into_the_api(console):
    text = await console.plugin.tokens.create("grafana", "operator", "anna", None)
    bearer = {"authorization": f"Bearer {text}"}
    answer = await console.ask("GET", "/session", **bearer)
    assert (answer.json["user"], answer.json["role"]) == ("token grafana", "operator")
    assert (await console.ask("POST", "/api/dns.flush", {}, **bearer)).status == 200
    assert (await console.ask("POST", "/api/reload", {}, **bearer)).status in (200, 409)
    answer = await console.ask("POST", "/api/process.stop", {}, **bearer)
    assert answer.status == 403
    await console.plugin.tokens.revoke("grafana")
    answer = await console.ask("GET", "/session", **bearer)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
