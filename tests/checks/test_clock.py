"""The area clock of ``sipx check``."""

from __future__ import annotations

import os
import time

import pytest

from sipx.checks import clock
from sipx.checks.clock import Kept, clock_findings, kept_by
from sipx.config import load
from sipx.registry import Registry


@pytest.fixture
def told(two_domains, monkeypatch):
    """The findings for a system that says this of its clock."""

    def find(kept, now=None, secured=False):
        monkeypatch.setattr(clock, "kept_by", lambda: kept)
        if secured:
            text = '[certificate.main]\ncert_file = "a.crt"\nkey_file = "a.key"\n'
            two_domains.write_text(two_domains.read_text() + text)
        settings = load(two_domains, Registry())
        return [(f.code, f.severity.value, f.text) for f in clock_findings(settings, now)]

    return find


def test_a_clock_that_is_kept(told):
    [(code, severity, text)] = told(Kept(True, 0.012))
    assert (code, severity) == ("SIPX-K001", "ok")
    assert "within 12 ms" in text


def test_nothing_keeps_it(told):
    [found] = told(Kept(False, 16.0))
    assert found[:2] == ("SIPX-K002", "ok")
    [found] = told(Kept(False, 16.0), secured=True)
    assert found[:2] == ("SIPX-K002", "warning")


def test_a_system_that_does_not_tell(told):
    [found] = told(None)
    assert found[:2] == ("SIPX-K004", "ok")


def test_a_clock_that_cannot_be_right(told, two_domains):
    assert [f[0] for f in told(None, now=0.0)][:1] == ["SIPX-K003"]
    later = time.time() + 3600
    os.utime(two_domains, (later, later))
    found = told(None)
    assert found[0][:2] == ("SIPX-K003", "failure")
    assert "in the future" in found[0][2]


def test_the_system_is_asked(monkeypatch):
    found = kept_by()
    assert found is None or found.error >= 0
    monkeypatch.setattr("sys.platform", "darwin")
    assert kept_by() is None


def test_it_is_an_area(line, two_domains):
    findings = line.json("check", "clock")["findings"]
    assert {f["area"] for f in findings} == {"clock"}
