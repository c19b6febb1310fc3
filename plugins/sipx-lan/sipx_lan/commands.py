"""``sipx lan``: who may log on, who has, and who is banned."""

from __future__ import annotations

import click


@click.group()
def lan() -> None:
    """UC servers and users that log on: settings, accounts, bans."""
