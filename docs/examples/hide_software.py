"""A plugin that edits what leaves: `forward_request` and `process_response`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import Branch, Config, Proxy, Target, hookimpl

if TYPE_CHECKING:
    from sipx.sip import Request, Response


class HideSoftwareConfig(Config):
    """The TOML table [hide-software]; it has no keys but `enabled`."""


class HideSoftware:
    """Take the names of programs out of messages for partners that are not trusted."""

    Config = HideSoftwareConfig

    def __init__(self, config: HideSoftwareConfig, proxy: Proxy) -> None:
        pass

    @hookimpl
    def forward_request(self, request: Request, target: Target) -> None:
        """Each branch has a copy of its own, so the others do not change."""
        if not target.trusted:
            request.remove(b"User-Agent")

    @hookimpl
    def process_response(self, response: Response, branch: Branch) -> None:
        """Before the response goes upstream."""
        response.remove(b"Server")
