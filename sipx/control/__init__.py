"""The control API: what can be asked of a running proxy, and its Unix socket.

A method is a typed function (`methods`); all of them are an `Api` (`api`), which the command line
reaches over a Unix socket (`server`, `client`), and every other face by calling the same object. A
name is imported when it is first asked for: a client needs little of this.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipx.control.api import Api
    from sipx.control.client import Client, Forbidden, Unreachable
    from sipx.control.errors import ControlError
    from sipx.control.methods import Caller, Done, Method, changing
    from sipx.control.server import serve

_PLACES: Final = {
    "Api": "api",
    "Caller": "methods",
    "Client": "client",
    "ControlError": "errors",
    "Done": "methods",
    "Forbidden": "client",
    "Method": "methods",
    "Unreachable": "client",
    "changing": "methods",
    "serve": "server",
}

__all__ = [
    "Api",
    "Caller",
    "Client",
    "ControlError",
    "Done",
    "Forbidden",
    "Method",
    "Unreachable",
    "changing",
    "serve",
]


def __getattr__(name: str) -> object:
    """Import a name on first use (PEP 562)."""
    module = _PLACES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
