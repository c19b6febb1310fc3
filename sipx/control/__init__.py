"""The control API: what can be asked of a running proxy, and its Unix socket.

A method is a typed function (`methods`); all of them are an `Api` (`api`), which the command line
reaches over a Unix socket (`server`, `client`), and every other face by calling the same object.
"""

from __future__ import annotations

from sipx.control.api import Api
from sipx.control.client import Client, Forbidden, Unreachable
from sipx.control.errors import ControlError
from sipx.control.methods import Caller, Done, Method, changing
from sipx.control.server import serve

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
