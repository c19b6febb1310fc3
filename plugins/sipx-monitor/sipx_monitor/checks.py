"""What ``sipx check console`` finds: who could come in, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx_monitor.config import MonitorConfig


def findings(config: MonitorConfig, certificates: Iterable[str]) -> Iterable[Finding]:
    """The findings of a configuration; ``certificates`` are the names of those there are."""
    bind, port = config.bind, config.port
    if config.certificate is not None and config.certificate not in certificates:
        yield Finding(
            "SIPX-W001",
            Severity.FAILURE,
            f"monitor.certificate is {config.certificate!r}, and there is no such certificate",
            f"add [certificate.{config.certificate}], or set monitor.certificate to one there is",
        )
    if config.auth == "none":
        yield Finding(
            "SIPX-W002",
            Severity.WARNING,
            f"everybody who has an account on this machine can change everything at {bind} "
            f"port {port}",
            'set monitor.auth = "token"',
        )
    if not config.on_loopback:
        yield Finding(
            "SIPX-W003",
            Severity.WARNING,
            f"the console can be reached over the network: {bind} port {port}",
            'set monitor.bind = "127.0.0.1", or let a firewall admit those who administer',
        )
    for name, user in config.user.items():
        if user.password_hash is not None and config.auth != "password":
            yield Finding(
                "SIPX-W004",
                Severity.WARNING,
                f"{name} has a password for the console, and passwords are not asked for",
                f'set monitor.auth = "password", or take monitor.user.{name} out',
            )
    if any(network.endswith("/0") for network in config.trusted_proxies):
        yield Finding(
            "SIPX-W005",
            Severity.WARNING,
            "monitor.trusted_proxies trusts everybody: anybody can say who they are",
            "name the addresses of the reverse proxy only",
        )
    if config.capture_bodies == "all":
        yield Finding(
            "SIPX-W006",
            Severity.WARNING,
            "the text of chats is kept and can be read in the console by operators",
            'set monitor.capture_bodies = "sdp" when it is not needed any more',
        )
