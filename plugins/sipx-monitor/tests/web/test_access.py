"""Logging on with a password, and what is done about guessing."""

from __future__ import annotations

import pytest
import trio
from sipx_monitor.web.sessions import FAILURES, WINDOW

ORIGIN = "http://127.0.0.1:8061"
ANNA = "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M"


@pytest.fixture
async def console(start_console):
    return await start_console(
        auth="password",
        user={
            "anna": {"password_hash": ANNA, "role": "operator"},
            "bob": {"role": "admin"},
            "off": {"password_hash": ANNA, "enabled": False},
        },
    )


async def log_on(console, user, password):
    given = {"user": user, "password": password}
    return await console.ask("POST", "/session", given, origin=ORIGIN)


async def test_a_user_logs_on_with_a_password(console, caplog):
    caplog.set_level("INFO")
    answer = await log_on(console, "anna", "correct horse")
    assert (answer.status, answer.json["role"]) == (200, "operator")
    assert "anna (operator) has logged on from 127.0.0.1" in caplog.text
    assert (await console.ask("GET", "/session", cookie=answer.cookie)).json["user"] == "anna"
    assert "correct" not in caplog.text


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("anna", "correct horsf"),
        ("anna", ""),
        ("bob", ""),
        ("eve", "x"),
        ("off", "correct horse"),
        ("", ""),
        ("anna", "x" * 2000),
    ],
)
async def test_others_do_not_and_all_hear_the_same(console, caplog, user, password):
    answer = await log_on(console, user, password)
    assert (answer.status, answer.error["text"]) == (401, "the user or the password is wrong")
    assert "set-cookie" not in answer.headers
    assert "an attempt to log on from 127.0.0.1 has failed" in caplog.text


@pytest.mark.parametrize("given", [[], 1, {}, {"user": "anna"}, {"user": 1, "password": 2}])
async def test_what_is_no_attempt(console, given):
    assert (await console.ask("POST", "/session", given, origin=ORIGIN)).status == 400


async def test_guessing_is_slowed_down(console):
    """The clock of the test is real here: a password is checked in a thread."""
    for _ in range(FAILURES):
        assert (await log_on(console, "anna", "wrong")).status == 401
    answer = await log_on(console, "anna", "correct horse")
    assert (answer.status, answer.error["code"]) == (429, "too many")
    assert 0 < int(answer.headers["retry-after"]) <= WINDOW + 1
    console.address = "127.0.0.2"
    assert (await log_on(console, "anna", "correct horse")).status == 200


async def test_guesses_sent_at_once_are_no_more_than_those_sent_one_by_one(console, monkeypatch):
    looked_at = []
    monkeypatch.setattr(
        "sipx_monitor.web.access.fits", lambda given, kept: looked_at.append(given) or False
    )
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(log_on, console, "anna", f"guess {number}")
    assert len(looked_at) == FAILURES


async def test_guessing_links_is_slowed_down_and_keeps_nobody_out_who_has_one(
    start_console, autojump_clock
):
    console = await start_console()
    link = console.plugin.access.sessions.link("anna", "admin")
    for _ in range(FAILURES):
        await console.ask("POST", "/session", {"token": "x"}, origin=ORIGIN)
    answer = await console.ask("POST", "/session", {"token": "x"}, origin=ORIGIN)
    assert answer.status == 429
    # Whoever else is on this machine has the same address.
    assert (await console.ask("POST", "/session", {"token": link}, origin=ORIGIN)).status == 200
    assert (await console.ask("POST", "/session", {"token": link}, origin=ORIGIN)).status == 401
    for _ in range(FAILURES):
        answer = await console.ask("POST", "/session", {"token": "x"}, origin=ORIGIN)
    assert answer.status == 429
    await trio.sleep(int(answer.headers["retry-after"]))
    assert (await console.ask("POST", "/session", {"token": "x"}, origin=ORIGIN)).status == 401


async def test_a_link_works_beside_passwords(console):
    assert await console.log_on()


async def test_a_password_is_not_asked_for_otherwise(start_console):
    console = await start_console(user={"anna": {"password_hash": ANNA}})
    answer = await log_on(console, "anna", "correct horse")
    assert answer.status == 403


async def test_where_everybody_may(start_console):
    console = await start_console(auth="none")
    answer = await console.ask("GET", "/session")
    assert (answer.json["role"], answer.json["auth"]) == ("admin", "none")
    assert answer.json["hints"]
    assert (await console.ask("POST", "/api/dns.flush", {}, origin=ORIGIN)).status == 200
    answer = await console.ask("POST", "/api/dns.flush", {}, origin="http://evil.example")
    assert answer.status == 403


OTHER = "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43


async def test_another_password_ends_what_the_old_one_began(console):
    answer = await log_on(console, "anna", "correct horse")
    link = await console.log_on()
    for kept, status in ((ANNA, 200), (OTHER, 401)):
        await console.proxy.reload(
            monitor={
                "port": 0,
                "auth": "password",
                "language": "de" if status == 200 else "en",
                "user": {"anna": {"password_hash": kept, "role": "operator"}},
            }
        )
        console.plugin = console.proxy.plugin("monitor")
        for cookie, wanted in ((answer.cookie, status), (link, 200)):
            renamed = f"{console.plugin.access.cookie}={cookie.partition('=')[2]}"
            assert (await console.ask("GET", "/session", cookie=renamed)).status == wanted


async def test_a_file_with_another_hash_counts_before_it_is_read_again(start_console, tmp_path):
    file = tmp_path / "anna.hash"
    file.write_text(OTHER)
    console = await start_console(
        auth="password", user={"anna": {"password_hash": {"file": str(file)}}}
    )
    file.write_text(f"{ANNA}\n")
    answer = await log_on(console, "anna", "correct horse")
    assert (await console.ask("GET", "/session", cookie=answer.cookie)).status == 200
    file.write_text(f"{OTHER}\n")
    assert (await console.ask("GET", "/session", cookie=answer.cookie)).status == 401
    file.unlink()
    assert (await console.ask("GET", "/session", cookie=answer.cookie)).status == 401


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda file: file.unlink(), "No such file or directory"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "its file is no text"),
    ],
)
async def test_a_hash_that_cannot_be_read_lets_nobody_in_and_is_told(
    start_console, tmp_path, caplog, spoil, why
):
    file = tmp_path / "anna.hash"
    file.write_text(OTHER)
    console = await start_console(
        auth="password", user={"anna": {"password_hash": {"file": str(file)}}}
    )
    file.write_text(ANNA)
    before = await log_on(console, "anna", "correct horse")
    spoil(file)
    answer = await log_on(console, "anna", "correct horse")
    told = f"the hash of a password cannot be read: {why}"
    assert (answer.status, answer.error["text"]) == (503, told)
    assert f"an attempt to log on from 127.0.0.1 has failed: {told}" in caplog.text
    assert (await console.ask("GET", "/session", cookie=before.cookie)).status == 401
    assert "Traceback" not in caplog.text


async def test_a_reload_keeps_sessions_and_asks_the_new_users(console):
    answer = await log_on(console, "anna", "correct horse")
    link = await console.log_on()
    await console.proxy.reload(
        monitor={
            "port": 0,
            "auth": "password",
            "user": {"anna": {"password_hash": ANNA, "role": "viewer"}},
        }
    )
    console.plugin = console.proxy.plugin("monitor")
    renamed = f"{console.plugin.access.cookie}={answer.cookie.partition('=')[2]}"
    assert (await console.ask("GET", "/session", cookie=renamed)).json["role"] == "viewer"
    renamed = f"{console.plugin.access.cookie}={link.partition('=')[2]}"
    assert (await console.ask("GET", "/session", cookie=renamed)).json["role"] == "admin"
    await console.proxy.reload(
        monitor={"port": 0, "auth": "password", "user": {"bob": {"password_hash": ANNA}}}
    )
    console.plugin = console.proxy.plugin("monitor")
    renamed = f"{console.plugin.access.cookie}={answer.cookie.partition('=')[2]}"
    assert (await console.ask("GET", "/session", cookie=renamed)).status == 401
