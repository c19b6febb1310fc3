"""What the running proxy would do with a request: the method ``explain``.

The same as `sipx routes explain` says of a configuration that does not run, but registrations and
the states of UC servers are those of now. Nothing is changed and nothing is sent but questions to
the DNS: the request comes on a flow that is none, whose ``id`` is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from sipx.addresses import parse_address
from sipx.certificates.own import certificates_in
from sipx.control.errors import ControlError
from sipx.dry_run import DryRun, RequestError
from sipx.escaping import escaped

if TYPE_CHECKING:
    from sipx.dry_run import Explained
    from sipx.kernel import Kernel

LONGEST_URI: Final = 1000
LONGEST_CHAIN: Final = 100_000
"""Characters."""


class ExplainParams(BaseModel):
    """Which request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    uri: str = Field(min_length=1, max_length=LONGEST_URI)
    """The Request-URI."""
    method: str = Field("MESSAGE", min_length=1, max_length=32, pattern="^[A-Z]+$")
    address: str = Field("", max_length=64)
    """The IP address that it comes from; "": it comes from ``account``."""
    port: int = Field(5060, ge=1, le=65535)
    """The port that it comes from."""
    from_uri: str = Field("", max_length=LONGEST_URI)
    """The URI in From; "": the user whom it is for, where that is one of ours."""
    interface: str = Field("", max_length=200)
    """Only as it is received on this interface."""
    account: str = Field("", max_length=200)
    """Who sends it and has logged on; "": an accepted UC server is taken for granted."""
    certificate: str = Field("", max_length=LONGEST_CHAIN)
    """The chain that the sender shows over TLS, in PEM."""


class ExplainedArrival(BaseModel):
    """How the request is received on one interface."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    interface: str
    protocol: str
    accepted: bool
    trusted: bool
    status: int
    """What it is refused with, 0 where it is accepted."""
    why: str
    row: int
    """The row of docs/trust.md, table "Incoming", that decided; 0 where none did."""


class ExplainedHop(BaseModel):
    """One place that a target is tried at."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    address: str
    port: int
    transport: str
    name: str
    interface: str
    """What it is reached from."""
    refused: str
    """Why it is not tried, "" if it is."""


class ExplainedTarget(BaseModel):
    """One target; those of one group are tried at the same time."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    group: int
    status: int
    """What stands for it where it cannot be reached, 0 where it can."""
    why: str
    hops: tuple[ExplainedHop, ...]


class ExplainedAnswer(BaseModel):
    """What the DNS said."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    type: str
    text: str
    ttl: float
    temporary: bool
    """Whether a name server failed, so that it may be another soon."""


class Explanation(BaseModel):
    """The fate of a request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    live: bool
    """Whether a running proxy says so."""
    method: str
    uri: str
    from_uri: str
    status: int
    """0: it is forwarded; else it is answered so."""
    why: str
    row: int
    """The row of docs/trust.md, table "Outgoing", that decided; 0 where none did."""
    arrivals: tuple[ExplainedArrival, ...]
    reasons: tuple[str, ...]
    """Why the targets are what they are, a line for each step."""
    targets: tuple[ExplainedTarget, ...]
    dns: tuple[ExplainedAnswer, ...]

    @classmethod
    def of(cls, told: Explained, *, live: bool) -> Explanation:
        """What a DryRun found, without what is only there as long as it is."""
        return cls(
            live=live,
            method=told.method,
            uri=escaped(told.uri),
            from_uri=escaped(told.from_uri),
            status=told.status,
            why=escaped(told.why),
            row=told.row,
            arrivals=tuple(
                ExplainedArrival(
                    interface=arrival.interface,
                    protocol=arrival.protocol,
                    accepted=arrival.sender is not None,
                    trusted=arrival.sender is not None and arrival.sender.trusted,
                    status=arrival.status,
                    why=escaped(arrival.why),
                    row=arrival.row,
                )
                for arrival in told.arrivals
            ),
            reasons=tuple(escaped(line) for line in told.reasons),
            targets=tuple(
                ExplainedTarget(
                    name=target.name,
                    group=target.group,
                    status=target.status,
                    why=escaped(target.why),
                    hops=tuple(
                        ExplainedHop(
                            address=hop.address,
                            port=hop.port,
                            transport=hop.transport,
                            name=escaped(hop.name),
                            interface=hop.interface,
                            refused=escaped(hop.refused),
                        )
                        for hop in target.hops
                    ),
                )
                for target in told.targets
            ),
            dns=tuple(
                ExplainedAnswer(
                    name=escaped(answer.name),
                    type=answer.type,
                    text=escaped(answer.text),
                    ttl=answer.ttl,
                    temporary=answer.temporary,
                )
                for answer in told.dns
            ),
        )


class ExplainMethods:
    """The method ``explain``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def explain(self, params: ExplainParams) -> Explanation:
        """What would happen to a request now, and why; it is not sent, and nothing is changed."""
        dry = DryRun(self._kernel)
        names = [interface.name for interface in dry.interfaces]
        if params.interface and params.interface not in names:
            raise ControlError(
                "params",
                f"interface '{params.interface}' is not switched on; there are: "
                f"{', '.join(names) or 'none'}",
            )
        if params.address and parse_address(params.address) is None:
            raise ControlError("params", f"address: '{params.address}' is no IP address")
        chain = tuple(certificates_in(params.certificate.encode())) if params.certificate else ()
        if params.certificate and not chain:
            raise ControlError("params", "certificate: there is none in it that can be read")
        try:
            told = await dry.explain(
                params.uri,
                method=params.method,
                source=(params.address, params.port) if params.address else None,
                from_uri=params.from_uri or None,
                interface=params.interface or None,
                account=params.account or None,
                chain=chain,
            )
        except RequestError as error:
            raise ControlError("params", str(error)) from error
        return Explanation.of(told, live=True)
