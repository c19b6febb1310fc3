"""The plugin: its hooks, and who answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import Check, Proxy, Service, hookimpl
from sipx_registrar.bindings import Bindings
from sipx_registrar.config import RegistrarConfig
from sipx_registrar.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx import Branch, Flow, Later, Refuse, Sender, Target, Targets
    from sipx.sip import Request, Response


class Registrar:
    """Registrations of users, and which UC server a user's requests go to."""

    Config = RegistrarConfig

    def __init__(self, config: RegistrarConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self.bindings = Bindings(proxy.now, proxy.wall)
        self.servers = Servers(config, proxy, self.bindings)

    @hookimpl
    def option_tags(self) -> Iterable[bytes]:
        """RFC 6140 §5.1: a bulk registration says ``gin`` in Proxy-Require too."""
        return (b"gin",)

    # ------------------------------------------------------------ requests

    @hookimpl
    def serve_request(
        self, request: Request, sender: Sender, flow: Flow
    ) -> Response | Later[Response] | None:
        """REGISTER for one of our domains."""
        return None

    @hookimpl
    def determine_targets(self, request: Request, sender: Sender) -> Targets | Refuse | None:
        """Whoever is registered, or the server whose user it is."""
        return self.servers.determine_targets(request, sender)

    @hookimpl
    def dialog_target(
        self, peer: bytes, flow: Flow | None, sender: Sender
    ) -> Target | Refuse | None:
        """The way to a server or user that a dialog is with, now."""
        return self.servers.dialog_target(peer, flow, sender)

    @hookimpl
    def explain_targets(self, request: Request, sender: Sender) -> Iterable[str]:
        """For ``sipx routes explain``."""
        return self.servers.explain_targets(request, sender)

    @hookimpl
    def process_response(self, response: Response, branch: Branch) -> None:
        """What a server answers says how it is."""
        self.servers.process_response(response, branch)

    @hookimpl
    def flow_closed(self, flow: Flow, reason: str) -> None:
        """Its bindings cannot be reached over it any more."""
        self.servers.flow_closed(flow, reason)
        self.bindings.flow_closed(flow)

    # ------------------------------------------------------------ life

    @hookimpl
    def services(self) -> Iterable[Service]:
        """What watches the servers."""
        return self.servers.services()

    @hookimpl
    def take_over(self, old: Registrar) -> None:
        """What is registered stays, and what is known of the servers."""
        # What was asked of this one already, its services and methods, goes on being asked: so
        # its parts stay what they are, and learn what the old ones know.
        self.bindings.take_over(old.bindings)
        self.servers.take_over(old.servers)

    @hookimpl
    def reloaded(self) -> None:
        """Accounts may have changed."""
        self.servers.accounts_changed()

    # ------------------------------------------------------------ seen and steered

    @hookimpl
    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """``sipx status``."""
        return self.servers.status_sections()

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``registrar.*``."""
        return self.servers.control_methods()

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx servers``."""
        return Servers.commands()

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check registrar``."""
        return self.servers.checks()
