"""What the tests with real SIP software share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .programs import Process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    yield
    for process in reversed(Process.started):
        process.end()
    Process.started.clear()
