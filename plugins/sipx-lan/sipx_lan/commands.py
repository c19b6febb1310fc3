"""``sipx lan``: who may log on, who has, and who is banned."""

from __future__ import annotations

import click

from sipx_lan.changes import add, disable, enable, remove, set_
from sipx_lan.listing import bans, show, unban


@click.group()
def lan() -> None:
    """UC servers and users that log on: settings, accounts, bans."""


for command in (show, set_, add, remove, enable, disable, bans, unban):
    lan.add_command(command)
