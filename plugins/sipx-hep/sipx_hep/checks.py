"""What ``sipx check hep`` looks for: whether messages arrive, and who else may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx import Finding, ResolveError, Severity, is_private, parse_address
from sipx_hep.collector import opened, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipx import Proxy
    from sipx_hep.config import HepConfig

PATIENCE: Final = 5.0
"""Seconds for which a name server or the collector may be silent here."""


def findings(config: HepConfig, proxy: Proxy) -> Iterator[Finding]:
    """Each with its code, what is so, and what to do about it."""
    if not config.server:
        yield Finding(
            "SIPX-H005",
            Severity.WARNING,
            "no collector is named, so that nothing is sent",
            '[hep] server = "NAME:PORT"; or take hep out of plugins',
        )
        return
    addresses, error = trio.run(_looked, config, proxy)
    where = f"the collector {config.server}"
    if error:
        yield Finding(
            "SIPX-H001",
            Severity.WARNING,
            f"{where} cannot be reached by {config.protocol}: {error}; messages are lost",
            "start what listens there, or correct hep.server",
        )
    if config.protocol != "tls" and any(map(_far, addresses)):
        key = " and the password of [hep]" if config.password is not None else ""
        yield Finding(
            "SIPX-H002",
            Severity.WARNING,
            f"messages{key} go to {where} in the clear, over a network that is not private",
            'set hep.protocol = "tls", or send them through a tunnel',
        )
    if config.bodies == "all":
        yield Finding(
            "SIPX-H003",
            Severity.WARNING,
            f"{where} gets the text of chats",
            'set hep.bodies = "sdp", or see that those who chat know of it',
        )
    if not config.mask:
        yield Finding(
            "SIPX-H004",
            Severity.WARNING,
            f"{where} gets the credentials that stand in messages",
            "set hep.mask = true",
        )


def _far(address: str) -> bool:
    parsed = parse_address(address)
    return parsed is not None and not parsed.is_loopback and not is_private(address)


async def _looked(config: HepConfig, proxy: Proxy) -> tuple[Sequence[str], str]:
    """The addresses of the collector, and why it cannot be reached; "" if it can."""
    host, port = config.address
    addresses: Sequence[str] = (host,)
    try:
        with trio.fail_after(PATIENCE):
            if parse_address(host) is None:
                addresses = await proxy.resolver.addresses(host)
            if config.protocol != "udp":
                async with await opened(addresses[0], port):
                    pass
    except trio.TooSlowError:
        return addresses, f"no answer for {PATIENCE:.0f} s"
    except ResolveError as error:
        return (), str(error)
    except OSError as error:
        return addresses, words(error)
    return addresses, ""
