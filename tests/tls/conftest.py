"""What the tests of TLS share: a laboratory for each."""

from __future__ import annotations

import pytest

from .strangers import Lab


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)
