"""The lab of open federation."""

from __future__ import annotations

import pytest

from sipx.testing import dns_server

from .lab import Lab


@pytest.fixture
async def lab(tmp_path, sipx_on_loopback, nursery):
    async with dns_server() as dns:
        yield Lab(tmp_path, sipx_on_loopback, nursery, dns)
