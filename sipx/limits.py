"""What tables of the configuration are for the parts of the kernel that know no configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.interfaces import host_port
from sipx.lookup import DnsSettings
from sipx.transport import StreamLimits

if TYPE_CHECKING:
    from sipx.config.model import DnsConfig, LimitsConfig


def dns_settings(dns: DnsConfig) -> DnsSettings:
    """The table [dns] for the resolver."""
    return DnsSettings(
        tuple(host_port(s.host, s.port).decode() for s in dns.servers),
        timeout=dns.timeout,
        cache_max_ttl=dns.cache_max_ttl,
    )


def stream_limits(limits: LimitsConfig) -> StreamLimits:
    """The part of [limits] that connections ask about."""
    return StreamLimits(
        first_message=limits.first_message_timeout,
        head=limits.head_timeout,
        body=limits.body_timeout,
        idle=limits.idle_timeout,
        keepalive=limits.keepalive,
        handshake=limits.handshake_timeout,
        write_queue=limits.write_queue,
    )
