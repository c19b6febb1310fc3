"""What is known of UC servers and accounts.

A plugin that is made anew by a reload shares it with the one that it replaces, so that whichever
of the two runs on knows all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipx import Account, Flow
    from sipx_registrar.server import Server
    from sipx_registrar.states import Rules


class Known:
    """The servers by name, and all accounts. ``version`` grows when a choice may be another."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.servers: dict[str, Server] = {}
        self.accounts: dict[str, Account] = {}
        self.peers: dict[bytes, Account] = {}
        """The accounts as cookies name them."""
        self.flows: dict[Flow, Server] = {}
        self.users: dict[str, object] = {}
        """The patterns of each server when they were looked at last: a list is read again live."""
        self.version = 0
        self.started: float | None = None
