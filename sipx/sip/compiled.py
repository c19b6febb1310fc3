"""What the compiler of the hot path (pyproject.toml, mypyc) is told about a class.

It stands in a module that is never compiled, so that the rest of sipx.sip needs nothing but the
standard library, compiled or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**attributes: bool) -> Callable[[type], type]:
        """A decorator without effect: the compiler has read it, nobody else asks."""
        return lambda cls: cls


__all__ = ["mypyc_attr"]
