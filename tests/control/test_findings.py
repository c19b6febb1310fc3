"""What ``sipx check`` says of the control socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipx.config.model import ServiceConfig
from sipx.control.findings import control_findings

LONG = Path("/run/" + "x" * 120)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, []),
        ({"control_socket": Path("/run/sipx/control.sock")}, []),
        ({"control_socket": LONG}, [("SIPX-C003", "failure", "at most 107 bytes, this one 125")]),
        (
            {"control_group": "no-such-group"},
            [("SIPX-C004", "warning", "there is no group 'no-such-group'")],
        ),
    ],
)
def test_what_is_told(given, said):
    found = list(control_findings(ServiceConfig.model_construct(**given)))
    assert [(f.code, f.severity.value) for f in found] == [(code, how) for code, how, _ in said]
    for finding, (_, _, text) in zip(found, said, strict=True):
        assert text in finding.text
        assert "service." in finding.text
        assert "control_" in finding.remedy
