"""A plugin that looks users up somewhere slow: `determine_targets` with `Later`."""

from __future__ import annotations

import trio

from sipx import Config, FilePath, Later, Proxy, Sender, Target, Targets, hookimpl
from sipx.sip import Request, cached_uri


class DirectoryConfig(Config):
    """The TOML table [directory]."""

    path: FilePath
    """A file with one `user contact-uri` pair on each line."""


class Directory:
    """Send requests for users of our domains to the address that a file names for them."""

    Config = DirectoryConfig

    def __init__(self, config: DirectoryConfig, proxy: Proxy) -> None:
        self._path = trio.Path(config.path)
        self._domains = proxy.domains

    @hookimpl
    def determine_targets(self, request: Request, sender: Sender) -> Later[Targets | None] | None:
        """Not ours: None, the next plugin is asked. Ours: the kernel parks it and waits."""
        uri = cached_uri(request.uri)
        if uri.host not in self._domains or uri.user is None:
            return None
        user = uri.user
        return Later(lambda: self._look_up(user), deadline=2.0)

    async def _look_up(self, user: bytes) -> Targets | None:
        for line in (await self._path.read_bytes()).splitlines():
            name, _, contact = line.partition(b" ")
            if name == user:
                return Targets(((Target(uri=contact, name="directory"),),))
        return None
