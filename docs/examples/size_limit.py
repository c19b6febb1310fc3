"""A plugin that refuses instant messages above a size: the hook `validate_request`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import Config, Flow, Proxy, Size, hookimpl

if TYPE_CHECKING:
    from sipx.sip import Request, Response


class SizeLimitConfig(Config):
    """The TOML table [size-limit]."""

    message: Size = 4096
    """Bytes that the body of a MESSAGE may have."""


class SizeLimit:
    """Refuse a MESSAGE whose body is too large."""

    Config = SizeLimitConfig

    def __init__(self, config: SizeLimitConfig, proxy: Proxy) -> None:
        self._limit = config.message

    @hookimpl
    def validate_request(self, request: Request, flow: Flow) -> Response | None:
        """413 for what is too large; None lets everything else on."""
        if request.method == b"MESSAGE" and len(request.body) > self._limit:
            return request.reply(413)
        return None
