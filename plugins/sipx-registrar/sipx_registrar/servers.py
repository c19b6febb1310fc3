"""The UC servers: what the registrar asks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx import (
        Account,
        Branch,
        Check,
        Flow,
        Proxy,
        Refuse,
        Sender,
        Service,
        Target,
        Targets,
    )
    from sipx.sip import Request, Response
    from sipx_registrar.bindings import Bindings
    from sipx_registrar.config import RegistrarConfig


class Servers:
    """The table of UC servers."""

    def __init__(self, config: RegistrarConfig, proxy: Proxy, bindings: Bindings) -> None:
        self._config = config
        self._proxy = proxy
        self._bindings = bindings

    def accounts_changed(self) -> None:
        """At the start, after a reload, when an account shows up that was not known."""

    def registered(
        self, account: Account, flow: Flow, contact: bytes, *, logon: bool, until: float
    ) -> None:
        """A REGISTER of this account was answered 200; ``until`` is seconds since 1970."""

    def unregistered(self, account: Account, flow: Flow, *, logon: bool) -> None:
        """A REGISTER that removed bindings was answered 200."""

    def admits(self, account: Account) -> Refuse | None:
        """Why a REGISTER of this account is refused now."""
        return None

    def is_down(self, name: str) -> bool:
        """Whether a server's bindings do not hold their users."""
        return False

    def flow_closed(self, flow: Flow, reason: str) -> None:
        """A flow has ended."""

    def determine_targets(self, request: Request, sender: Sender) -> Targets | Refuse | None:
        """Where a request goes."""
        return None

    def dialog_target(
        self, peer: bytes, flow: Flow | None, sender: Sender
    ) -> Target | Refuse | None:
        """Where a request within a dialog goes."""
        return None

    def explain_targets(self, request: Request, sender: Sender) -> Sequence[str]:
        """Why."""
        return []

    def process_response(self, response: Response, branch: Branch) -> None:
        """What a server answered."""

    def services(self) -> Sequence[Service]:
        """What runs."""
        return []

    def take_over(self, old: Servers) -> None:
        """A reload made this anew."""

    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """What the status shows."""
        return {}

    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """Methods of the control API."""
        return {}

    @staticmethod
    def commands() -> Iterable[click.Command]:
        """``sipx servers``; asked of a class, before there is a configuration."""
        return []

    def checks(self) -> Iterable[Check]:
        """For ``sipx check``."""
        return []
