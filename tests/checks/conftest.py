"""The areas of ``sipx check`` are looked at as the command shows them."""

from __future__ import annotations

# An absolute name would need `tests` on the path.
from ..cli.conftest import (  # noqa: TID252
    Line,
    beside,
    federated,
    home,
    line,
    two_domains,
)

__all__ = ["Line", "beside", "federated", "home", "line", "two_domains"]
