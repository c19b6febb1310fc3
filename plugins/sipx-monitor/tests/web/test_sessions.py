"""Sessions, links and attempts, on a clock of the test."""

from __future__ import annotations

from sipx_monitor.web.sessions import (
    ALL_FAILURES,
    FAILURES,
    IDLE,
    LINK_LIFE,
    LINKS,
    LONGEST,
    SESSIONS,
    WINDOW,
    Attempts,
    Sessions,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_that_is_used_lasts_and_another_does_not():
    clock = Clock()
    sessions = Sessions(clock)
    token = sessions.begin("anna", "admin", "link", "127.0.0.1")
    clock.now += IDLE
    assert sessions.find(token).user == "anna"
    clock.now += IDLE + 1
    assert sessions.find(token) is None
    assert len(sessions) == 0


def test_no_session_lasts_for_ever():
    clock = Clock()
    sessions = Sessions(clock)
    token = sessions.begin("anna", "admin", "link", "127.0.0.1")
    for _ in range(int(LONGEST / IDLE)):
        clock.now += IDLE
        assert sessions.find(token)
    clock.now += 1
    assert sessions.find(token) is None


def test_what_is_kept_opens_nothing():
    sessions = Sessions(Clock())
    token = sessions.begin("anna", "admin", "link", "127.0.0.1")
    link = sessions.link("anna", "admin")
    assert token not in repr(vars(sessions))
    assert link not in repr(vars(sessions))
    assert sessions.find("") is None
    assert sessions.find("\ud800") is None


def test_a_link_works_once_and_within_its_time():
    clock = Clock()
    sessions = Sessions(clock)
    link = sessions.link("anna", "operator")
    assert sessions.redeem(link) == ("anna", "operator")
    assert sessions.redeem(link) is None
    late = sessions.link("anna", "operator")
    clock.now += LINK_LIFE + 1
    assert sessions.redeem(late) is None


def test_sessions_and_links_are_bounded():
    sessions = Sessions(Clock())
    links = [sessions.link("anna", "viewer") for _ in range(LINKS + 1)]
    assert sessions.redeem(links[0]) is None
    assert sessions.redeem(links[1])
    tokens = [sessions.begin("anna", "viewer", "link", "::1") for _ in range(SESSIONS + 1)]
    assert sessions.find(tokens[0]) is None
    assert len(sessions) == SESSIONS


def test_a_reload_keeps_them():
    old = Sessions(Clock())
    token, link = old.begin("anna", "admin", "link", "::1"), old.link("bob", "viewer")
    new = Sessions(Clock())
    new.take_over(old)
    assert new.find(token)
    assert new.redeem(link)


def test_so_many_attempts_may_fail_from_one_address():
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FAILURES):
        assert attempts.wait("192.0.2.1") == 0
        attempts.failed("192.0.2.1")
        clock.now += 1
    assert attempts.wait("192.0.2.1") == WINDOW - FAILURES
    assert attempts.wait("192.0.2.2") == 0
    clock.now += WINDOW - FAILURES
    assert attempts.wait("192.0.2.1") == 0


def test_a_success_forgets_what_failed():
    attempts = Attempts(Clock())
    for _ in range(FAILURES):
        attempts.failed("192.0.2.1")
    attempts.succeeded("192.0.2.1")
    assert attempts.wait("192.0.2.1") == 0


def test_what_is_under_way_counts_until_it_succeeds():
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(ALL_FAILURES):
        under_way = attempts.failed(f"192.0.2.{number}")
        clock.now += 1
    assert attempts.wait("198.51.100.1") > 0
    attempts.succeeded(f"192.0.2.{number}", under_way)
    assert attempts.wait("198.51.100.1") == 0


def test_a_network_of_ipv6_is_one_address():
    attempts = Attempts(Clock())
    for number in range(FAILURES):
        attempts.failed(f"2001:db8:1:2::{number:x}")
    assert attempts.wait("2001:db8:1:2:ffff::1") > 0
    assert attempts.wait("2001:db8:1:3::1") == 0


def test_all_addresses_together_are_limited_too():
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(ALL_FAILURES):
        attempts.failed(f"192.0.2.{number}")
    assert attempts.wait("198.51.100.1") == WINDOW


def test_addresses_are_forgotten():
    attempts = Attempts(Clock())
    for number in range(5000):
        attempts.failed(f"10.0.{number // 250}.{number % 250}")
    assert len(attempts._failed) <= 1000
