"""The plugin ``stun``: its hooks."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from sipx import Check, hookimpl
from sipx_stun.checks import findings
from sipx_stun.codec import binding_answer
from sipx_stun.config import NAME, StunConfig
from sipx_stun.detection import Detector
from sipx_stun.state import Bindings, StunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx import Flow, Proxy, Service

_SUCCESS: Final = b"\x01\x01"
"""The type of the message that gives the address; any other answer is an error."""


class Stun:
    """What the world sees in the place of our addresses; and others, in the place of theirs."""

    Config = StunConfig

    def __init__(self, config: StunConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self.detector = Detector(config, proxy)
        self._answered = self._refused = 0
        self._addresses: frozenset[str] = frozenset()

    @hookimpl
    def services(self) -> Iterable[Service]:
        """What keeps the public address known."""
        return [self.detector.service]

    @hookimpl
    def take_over(self, old: Stun) -> None:
        """What was found, and what was counted."""
        self.detector.take_over(old.detector)
        self._answered, self._refused = old._answered, old._refused
        self._addresses = old._addresses

    @hookimpl
    def reloaded(self) -> None:
        """Interfaces may be others, and be bound elsewhere."""
        self.detector.reloaded()

    @hookimpl
    def addresses_changed(self, addresses: frozenset[str]) -> None:
        """Another address of this machine may have another public one. Not a link-local one:
        those come and go with each container.
        """
        routed = frozenset(each for each in addresses if not ip_address(each).is_link_local)
        if routed != self._addresses:
            self._addresses = routed
            self.detector.look_again()

    @hookimpl
    def serve_datagram(self, data: bytes, flow: Flow) -> bytes | None:
        """A Binding request is answered with where it came from (RFC 5626 §8)."""
        if not self._config.answer:
            return None
        answer = binding_answer(data, (flow.address, flow.port))
        if answer is None:
            return None
        if answer[:2] == _SUCCESS:
            self._answered += 1
        else:
            self._refused += 1
        return answer

    # ------------------------------------------------------------ seen and steered

    def state(self) -> StunState:
        """What is known now."""
        counted = Bindings(answered=self._answered, refused=self._refused)
        return self.detector.state().model_copy(update={"bindings": counted})

    @hookimpl
    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """``sipx status`` shows the public address and the kind of the NAT."""
        return {NAME: self.state()}

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check stun``."""
        return [Check(NAME, lambda: findings(self._config, self._proxy))]

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``stun.status`` and ``stun.detect``."""
        from sipx_stun.control import StunMethods

        return StunMethods(self.detector, self.state).methods()

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx stun``."""
        from sipx_stun.commands import stun

        return [stun]
