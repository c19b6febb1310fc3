"""What responses say of servers."""

from __future__ import annotations

import pytest
from sipx_registrar.answers import retry_after, why_not_delivered

from sipx.testing import a_request


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"20", 20), (b"120 (in a meeting)", 120), (b"18;duration=3600", 18), (b"soon", 0)],
)
def test_retry_after(value, seconds):
    assert retry_after(a_request().reply(503, headers=((b"Retry-After", value),))) == seconds


def test_without_retry_after():
    assert retry_after(a_request().reply(503)) == 0


def test_why_a_request_was_not_delivered():
    warning = ((b"Warning", b'399 sipx "10.0.0.11 port 5060: Connection refused"'),)
    why = why_not_delivered(a_request().reply(503, headers=warning))
    assert why == "a request could not be delivered: 10.0.0.11 port 5060: Connection refused"
    assert why_not_delivered(a_request().reply(480, headers=warning)) == ""
    assert "no reason" in why_not_delivered(a_request().reply(504))
