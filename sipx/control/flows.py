"""The flows as the control API shows them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx.control.errors import ControlError
from sipx.escaping import escaped

if TYPE_CHECKING:
    from sipx.flows import Flow
    from sipx.kernel import Kernel

MOST: Final = 1000
"""The largest number that can be asked for at once."""
SLICE: Final = 100
"""Flows that are described without letting others run."""


class FlowsParams(BaseModel):
    """What is listed."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    limit: int = Field(100, ge=1, le=MOST)
    """How many at most, the newest first."""
    interface: str = ""
    """Only those of one interface."""


class FlowParams(BaseModel):
    """Which one."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: int
    """Its number in the list."""


class FlowSummary(BaseModel):
    """One flow: a connection, or an address behind a UDP socket (RFC 5626)."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: int
    interface: str
    protocol: str
    address: str
    """The peer's."""
    port: int
    outbound: bool
    """Whether this proxy opened it."""
    peer: str
    """Who is at the other end, where that is known."""
    age: float
    """Seconds."""
    idle: float
    """Seconds since the last message came in."""
    messages_in: int
    messages_out: int


class FlowList(BaseModel):
    """Some of them."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    flows: tuple[FlowSummary, ...]
    total: int
    """How many there are of what was asked for."""


class FlowProof(BaseModel):
    """Whom the certificate at the other end proves."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    partner: str
    profile: str
    name: str
    """The name in the certificate that proves it."""
    weakness: str


class FlowState(FlowSummary):
    """All that is known of one flow."""

    secure: bool
    bound: str
    """Our own address and port."""
    alias: bool
    """Whether its peer may ask for requests on this connection (RFC 5923)."""
    certificate: str
    """What the peer's certificate says of itself, "" without one."""
    fingerprint: str
    """SHA-256 of that certificate."""
    trusted: bool
    """Whether the authorities of [trust] vouch for it."""
    proofs: tuple[FlowProof, ...]


class FlowMethods:
    """The methods ``flows.*``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(self, params: FlowsParams) -> FlowList:
        """The open flows, the newest first."""
        wanted = params.interface
        if wanted and wanted not in {i.name for i in self._kernel.interfaces.all}:
            known = ", ".join(i.name for i in self._kernel.interfaces.all)
            raise ControlError("not found", f"there is no interface {wanted!r}; known: {known}")
        flows = list(self._kernel.flows)
        flows.reverse()
        if wanted:
            flows = [flow for flow in flows if flow.interface.name == wanted]
        listed: list[FlowSummary] = []
        for one in islice(flows, params.limit):
            listed.append(FlowSummary(**self._summary(one)))
            if len(listed) % SLICE == 0:
                await trio.lowlevel.checkpoint()
        return FlowList(flows=tuple(listed), total=len(flows))

    def show(self, params: FlowParams) -> FlowState:
        """One flow: where it leads, and what is known of its peer."""
        flow = self._kernel.flows.get(params.id)
        if flow is None:
            text = (
                f"there is no flow {params.id}, or it has ended; `sipx flows` lists the open ones"
            )
            raise ControlError("not found", text)
        examined = flow.examined
        bound = flow.interface.address
        return FlowState(
            **self._summary(flow),
            secure=flow.secure,
            bound="" if bound is None else f"{bound[0]} port {bound[1]}",
            alias=flow.may_alias,
            certificate="" if examined is None else escaped(examined.certificate.describe()),
            fingerprint="" if examined is None else examined.certificate.fingerprint,
            trusted=examined is not None and examined.general,
            proofs=()
            if examined is None
            else tuple(
                FlowProof(
                    partner=escaped(name),
                    profile=proof.profile,
                    name=escaped(proof.name.decode("utf-8", "backslashreplace")),
                    weakness=proof.weakness,
                )
                for name, proof in examined.partners.items()
            ),
        )

    def _summary(self, flow: Flow) -> dict[str, Any]:
        now = self._kernel.clock()
        return {
            "id": flow.id,
            "interface": flow.interface.name,
            "protocol": flow.transport,
            "address": flow.address,
            "port": flow.port,
            "outbound": flow.outbound,
            "peer": "" if flow.peer is None else escaped(flow.peer.name),
            "age": max(0.0, now - flow.opened_at),
            "idle": max(0.0, now - flow.last_in),
            "messages_in": flow.messages_in,
            "messages_out": flow.messages_out,
        }
