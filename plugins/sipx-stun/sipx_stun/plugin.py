"""The plugin ``stun``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import hookimpl
from sipx_stun.config import StunConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx import Proxy, Service


class Stun:
    """What the world sees in the place of our addresses."""

    Config = StunConfig

    def __init__(self, config: StunConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy

    @hookimpl
    def services(self) -> Iterable[Service]:
        """None yet: nothing is contacted."""
        return []
