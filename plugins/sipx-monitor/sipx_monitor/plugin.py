"""The plugin: what runs, what can be asked, what stands on the command line."""

from __future__ import annotations

import logging
import secrets
import sys
from typing import TYPE_CHECKING, Final

import click
import trio

from sipx import Check, Finding, Proxy, Service, StartError, hookimpl
from sipx_monitor.checks import findings
from sipx_monitor.config import MonitorConfig
from sipx_monitor.traffic import Traffic
from sipx_monitor.web.access import LINK_USER, Access
from sipx_monitor.web.samples import Sampler
from sipx_monitor.web.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sipx_monitor.web.feeds import Feeds
    from sipx_monitor.web.server import Server

BOOT: Final = secrets.token_hex(8)
"""Which process this is: numbers of events mean nothing in another one."""


class Monitor:
    """The live monitor and the web console."""

    Config = MonitorConfig

    def __init__(self, config: MonitorConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self.tokens = Tokens(lambda: proxy.state_dir, proxy.wall)
        self.access = Access(config, self.tokens, proxy.now)
        self.traffic = Traffic(config, proxy)
        self.sampler = Sampler(proxy)
        self.address: tuple[str, int] | None = None
        """What is really bound; None until then."""
        self.server: Server | None = None
        self.feeds: Feeds | None = None
        self._told = False

    @hookimpl
    def take_over(self, old: Monitor) -> None:
        """Whoever is logged on stays so through a reload."""
        self.access.take_over(old.access)
        self.traffic.take_over(old.traffic)
        self.sampler.take_over(old.sampler)
        self._told = old._told

    @hookimpl
    def services(self) -> Iterable[Service]:
        """The port of the console, what records the traffic, and what counts."""
        return [self.serve, self.record, self.sample]

    async def record(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Record messages when somebody watches, or always."""
        await self.traffic.run(task_status=task_status)

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and answer until cancelled. Raises StartError when the address is taken."""
        from sipx_monitor.web.feeds import Feeds
        from sipx_monitor.web.long_answers import LongAnswers
        from sipx_monitor.web.server import Server
        from sipx_monitor.web.site import Site
        from sipx_monitor.web.tls import TlsContext

        config, proxy = self._config, self._proxy
        try:
            self.tokens.read()
        except (OSError, ValueError) as error:
            proxy.log.error("no token works: %s", error)
        tls = None
        if config.certificate is not None:
            tls = TlsContext(proxy.tls, config.certificate)
            tls.current()
        listener = await self._listener()
        watching = {"traffic": self.traffic.watching, "times": self.sampler.watching}
        self.feeds = feeds = Feeds(proxy.control, watching, proxy.log)
        long = LongAnswers()
        self.server = server = Server(
            Site(config, proxy, self.access, feeds, long),
            self.access,
            feeds,
            long,
            proxy.control,
            tls,
            boot=BOOT,
            version=proxy.status().service.version,
            log=proxy.log,
        )
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(feeds.run)
                nursery.start_soon(server.serve, listener)
                self._tell()
                task_status.started()
        finally:
            self.address = self.server = self.feeds = None

    async def _listener(self) -> trio.SocketListener:
        bind, port = self._config.bind, self._config.port
        try:
            (listener,) = await trio.open_tcp_listeners(port, host=bind)
        except OSError as error:
            why = error.strerror or str(error)
            raise StartError(
                f"the console cannot be served on {bind} port {port}: {why}; end what listens "
                "there, or set monitor.bind and monitor.port"
            ) from None
        self.address = listener.socket.getsockname()[:2]
        assert self.address is not None
        self.access.cookie = f"sipx_session_{self.address[1]}"
        return listener

    def url(self, token: str = "") -> str:
        """Where the console is; with a token it opens the door once."""
        assert self.address is not None
        scheme = "http" if self._config.certificate is None else "https"
        host, port = self.address
        if host in ("0.0.0.0", "::"):  # noqa: S104  # nobody can connect to these
            host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
        if ":" in host:
            host = f"[{host}]"
        link = f"{scheme}://{host}:{port}{self._config.root_path}/"  # the cookie is for there
        # In the fragment: it is in no request, and in nobody's log of requests.
        return f"{link}#token={token}" if token else link

    def _tell(self) -> None:
        log = self._proxy.log
        log.info("console: %s; `sipx console url` shows a link", self.url())
        # The log keeps no secrets; a person at a terminal gets the link beside it, unless the log
        # was told to be quieter than that.
        at_terminal = log.isEnabledFor(logging.INFO) and sys.stderr.isatty()
        if self._config.auth == "token" and not self._told and at_terminal:
            link = self.url(self.access.sessions.link(LINK_USER, "admin"))
            click.echo(f"sipx: the console (works once, within an hour): {link}", err=True)
        self._told = True

    async def sample(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Count once a second, for the charts."""
        await self.sampler.run(task_status=task_status)

    # ------------------------------------------------------------ what can be asked

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``console.*``."""
        from sipx_monitor.web.control import ConsoleMethods
        from sipx_monitor.web.help import HelpMethods

        return {
            **ConsoleMethods(self).methods(),
            "monitor.help": HelpMethods(self._proxy.control).help,
            **self.traffic.control_methods(),
        }

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx console``, ``sipx monitor``, ``sipx trace``."""
        from sipx_monitor.terminal.console import console
        from sipx_monitor.terminal.monitor import monitor
        from sipx_monitor.terminal.trace import trace

        return [console, monitor, trace]

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check console``."""
        return [Check("console", self._findings)]

    def _findings(self) -> Iterable[Finding]:
        return findings(self._config, self._proxy.config.certificate)
