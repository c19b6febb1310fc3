"""The pytest plugin of sipx: fixtures that start a real proxy for one test.

pytest loads this module in every run of anybody who has sipx installed, so nothing of the kernel
is imported before a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import trio

    from sipx.testing.proxy import ProxyUnderTest


class StartProxy(Protocol):
    """The type of the fixtures ``sipx_proxy`` and ``sipx_on_loopback``."""

    async def __call__(
        self,
        *,
        domains: Sequence[str] = ...,
        plugins: Sequence[str] = ...,
        **tables: Mapping[str, Any],
    ) -> ProxyUnderTest:
        """Start a proxy; see sipx.testing.proxy.start_proxy."""
        ...


@pytest.fixture
def sipx_proxy(nursery: trio.Nursery, tmp_path: Path) -> StartProxy:
    """``await sipx_proxy(blocklist={"path": ...})``: a real kernel on a network in memory.

    Works with ``autojump_clock``. A fault of any plugin fails the test.
    """
    return _starter(nursery, tmp_path, in_memory=True)


@pytest.fixture
def sipx_on_loopback(nursery: trio.Nursery, tmp_path: Path) -> StartProxy:
    """The same with the real transports ``udp`` and ``tcp`` on free ports of 127.0.0.1."""
    return _starter(nursery, tmp_path, in_memory=False)


def _starter(nursery: trio.Nursery, directory: Path, *, in_memory: bool) -> StartProxy:
    from sipx.testing.proxy import start_proxy

    made = 0

    async def start(
        *,
        domains: Sequence[str] = ("home.example",),
        plugins: Sequence[str] = (),
        **tables: Mapping[str, Any],
    ) -> ProxyUnderTest:
        nonlocal made
        made += 1
        own = directory / f"proxy-{made}"
        own.mkdir()
        return await start_proxy(
            nursery, own, domains=domains, plugins=plugins, in_memory=in_memory, tables=tables
        )

    return start
