"""What the tests behind routers need of the machine."""

from __future__ import annotations

import os

import pytest

from tests.interop.programs import IN_CI, program

from .lab import Lab, LabError


@pytest.fixture(scope="session", autouse=True)
def _the_machine_makes_labs() -> None:
    """Skips, or fails where ``CI`` is set, what cannot be run here."""
    if os.geteuid():
        _cannot("needs root, for network namespaces and nftables")
    for name in ("ip", "ss", "nft"):
        program(name)
    try:
        with Lab("linux-masquerade", ipv6=True):
            pass
    except LabError as error:
        _cannot(f"this machine makes no network namespaces with nftables: {error}")


def _cannot(why: str) -> None:
    if IN_CI:
        pytest.fail(f"{why}, and CI must not skip")
    pytest.skip(why)
