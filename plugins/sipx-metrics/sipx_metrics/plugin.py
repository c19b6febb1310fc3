"""The plugin: a page of metrics for Prometheus and two for health, on a listener of their own."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import trio
from pydantic import BaseModel

from sipx import (
    Check,
    Config,
    Finding,
    IPAddress,
    Port,
    Proxy,
    Service,
    Severity,
    StartError,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import click


class MetricsConfig(Config):
    """The TOML table ``[metrics]``."""

    bind: IPAddress = "127.0.0.1"
    """The address of this machine to listen on; there is no password."""
    port: Port = 9471
    """The TCP port to listen on; 0 takes a free one."""


class MetricsText(BaseModel):
    """What Prometheus would read now."""

    text: str


class Metrics:
    """Prometheus metrics and health checks over HTTP."""

    Config = MetricsConfig

    def __init__(self, config: MetricsConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self.address: tuple[str, int] | None = None
        """What is really bound; None until then."""

    # ------------------------------------------------------------ HTTP

    @hookimpl
    def services(self) -> Iterable[Service]:
        """The listener."""
        return [self.serve]

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and answer until cancelled. Raises StartError when the address is taken."""
        # The library is imported where it is needed: commands of others do without it.
        from sipx_metrics.exposition import Exposition, KeptStatus
        from sipx_metrics.pages import Pages
        from sipx_metrics.server import Server

        status = KeptStatus(self._proxy.status, self._proxy.now)
        exposition = Exposition(status, self._proxy.now)
        bind, port = self._config.bind, self._config.port
        try:
            (listener,) = await trio.open_tcp_listeners(port, host=bind)
        except OSError as error:
            why = error.strerror or str(error)
            raise StartError(
                f"metrics cannot be served on {bind} port {port}: {why}; end what listens there, "
                "or set metrics.bind and metrics.port"
            ) from None
        self.address = listener.socket.getsockname()[:2]
        assert self.address is not None
        # The first text of a process takes longest, and nobody waits for it yet.
        self.metrics_text()
        self._proxy.log.info("metrics: listening on %s port %d", *self.address)
        task_status.started()
        try:
            await Server(Pages(exposition, status).answer, self._proxy.log).serve(listener)
        finally:
            self.address = None

    # ------------------------------------------------------------ command line

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``metrics.text``."""
        return {"metrics.text": self.metrics_text}

    def metrics_text(self) -> MetricsText:
        """What Prometheus would read now, in its text format."""
        from sipx_metrics.exposition import Exposition

        text, _ = Exposition(self._proxy.status, self._proxy.now).text()
        return MetricsText(text=text.decode())

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx metrics``."""
        from sipx_metrics.command import metrics

        return [metrics]

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check metrics``."""
        return [Check("metrics", self._findings)]

    def _findings(self) -> Iterable[Finding]:
        bind, port = self._config.bind, self._config.port
        if not ipaddress.ip_address(bind).is_loopback:
            yield Finding(
                "SIPX-M001",
                Severity.WARNING,
                f"metrics can be read without a password by whoever reaches {bind} port {port}",
                'set metrics.bind = "127.0.0.1", or let a firewall admit Prometheus only',
            )
