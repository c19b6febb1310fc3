"""What makes a proxy ready, and how that is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sipx_metrics.health import Look, liveness, readiness, report

NOW = datetime(2027, 1, 15, tzinfo=UTC)


def interface(name="lan", state="listening", reason=""):
    return SimpleNamespace(name=name, state=state, reason=reason)


def certificate(days=90, error="", used_by=("wan",)):
    end = None if days is None else NOW + timedelta(days=days)
    return SimpleNamespace(name="main", not_after=end, days_left=days, error=error, used_by=used_by)


def status(*, state="running", interfaces=None, certificates=()):
    return SimpleNamespace(
        service=SimpleNamespace(state=state),
        interfaces=[interface()] if interfaces is None else interfaces,
        certificates=certificates,
    )


def wrong(found):
    return [f"{look.name}: {look.wrong}" for look in readiness(found) if look.wrong]


@pytest.mark.parametrize(
    "found",
    [
        status(),
        status(interfaces=[interface(), interface("old", "off")]),
        status(interfaces=[interface(), interface("lan", "draining")]),
        status(certificates=[certificate()]),
        status(certificates=[certificate(error="new.crt: not readable")]),
        status(certificates=[certificate(days=-1, used_by=())]),
    ],
    ids=[
        "plain",
        "one interface off",
        "the old one drains",
        "certificate",
        "the last good one in use",
        "nobody's",
    ],
)
def test_it_is_ready(found):
    assert wrong(found) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (status(state="draining"), "proxy: it is draining"),
        (status(state="stopped"), "proxy: it is stopped"),
        (
            status(interfaces=[interface(), interface("tls", "failed", "Address already in use")]),
            "interface tls: Address already in use",
        ),
        (status(interfaces=[interface("tls", "starting")]), "interface tls: it is starting"),
        (status(interfaces=[interface("old", "off")]), "interfaces: none is switched on"),
        (
            status(certificates=[certificate(days=-1)]),
            "certificate main: it ended on 2027-01-14 00:00 UTC",
        ),
        (
            status(certificates=[certificate(days=None, error="main.crt: not found")]),
            "certificate main: main.crt: not found",
        ),
    ],
)
def test_it_is_not_ready_and_says_why(found, said):
    assert wrong(found) == [said]


def test_a_process_that_answers_lives():
    assert report(liveness(), verbose=False) == (True, "ok\n")


def test_what_is_wrong_is_always_said_and_the_rest_on_demand():
    looks = [Look("proxy"), Look("interface tls", "Address already in use")]
    assert report(looks, verbose=False) == (
        False,
        "[-] interface tls: Address already in use\nnot ready\n",
    )
    assert report(looks, verbose=True) == (
        False,
        "[+] proxy\n[-] interface tls: Address already in use\nnot ready\n",
    )
