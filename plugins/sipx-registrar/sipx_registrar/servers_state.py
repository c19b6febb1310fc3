"""What is shown of UC servers: in the status, to ``sipx servers``, and as events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sipx_registrar.bindings import Bindings
    from sipx_registrar.server import Server


@dataclass(frozen=True, slots=True)
class ServerChanged:
    """A UC server is in another state, or is reached in another way: then both are the same."""

    name: str
    before: str
    after: str
    why: str


class FlowOfServer(BaseModel):
    """One flow to a server."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    flow: str
    """Its name, as the log has it."""
    id: int
    """Its number in `sipx flows`."""
    since: float
    """Seconds since 1970."""
    expires: float | None
    """When the registration over it ends, in seconds since 1970; None: not by itself."""
    logon: bool
    """Whether the server itself logged on there."""
    outbound: bool
    """Whether sipx opened it."""


class ServerState(BaseModel):
    """One UC server, as it is now."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    state: str
    """never seen, up, suspect, down, draining or maintenance."""
    health: str
    """What sipx finds out about it, whatever the operator wants: never seen, up, suspect, down."""
    since: float
    """Seconds since 1970."""
    lasting: float
    """Seconds in this state."""
    reason: str
    """Why it is in this state."""
    address: str
    """Where it is, "" while that is not known."""
    flow: str
    """The flow that new requests take, "" where there is none."""
    flows: tuple[FlowOfServer, ...]
    """All of them, the newest first."""
    connects_to: str
    """Where sipx connects to it by itself, "" if it comes to us."""
    users: int
    """Users it has registered."""
    serves: tuple[str, ...] | None
    """The patterns of its users; None: everybody in the presence domains."""
    weight: int
    weight_now: float
    """Smaller than its weight while its share grows again."""
    share: float
    """Its part of the requests of the last minute, 0 to 1."""
    requests: int
    """Requests sent to it."""
    pings: int
    pongs: int
    """Pings that were answered."""
    failures: int
    """Pings and requests that were not answered, 503, and connections that failed."""
    round_trip: float | None
    """Seconds that its last answer to a ping took."""


class ServerCounts(BaseModel):
    """What is counted of a UC server, since the start of the process."""

    model_config = ConfigDict(frozen=True)

    requests: int
    pings: int
    pongs: int
    failures: int


class ServerRow(BaseModel):
    """One UC server in the status. ``counts`` are for programs; `sipx servers` shows them."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    address: str
    users: int
    weight: int
    share: str
    reason: str
    counts: ServerCounts


class ServerList(BaseModel):
    """All UC servers, by name."""

    model_config = ConfigDict(frozen=True)

    servers: tuple[ServerState, ...]


class ServersParams(BaseModel):
    """Which ones."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str = ""
    """Only this one."""


class ServerParams(BaseModel):
    """Which one."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """The name of its account."""


def place_of(server: Server) -> str:
    """Where a server is: the address of its newest flow, else where it is dialled."""
    if server.ways:
        return server.ways[0].flow.address
    return server.dial.host if server.dial is not None else ""


def shares(servers: list[Server]) -> dict[str, float]:
    """The part of each in the requests of the last minute."""
    total = sum(server.sent_lately() for server in servers)
    return {server.name: server.sent_lately() / total if total else 0.0 for server in servers}


def row_of(server: Server, bindings: Bindings, share: float) -> ServerRow:
    """A line of the status."""
    return ServerRow(
        name=server.name,
        state=server.state,
        address=place_of(server),
        users=bindings.owned_by(server.name),
        weight=server.account.weight,
        share=f"{share:.0%}",
        reason="" if server.state == "up" else server.why,
        counts=ServerCounts(
            requests=server.sent,
            pings=server.pings,
            pongs=server.pongs,
            failures=server.failures,
        ),
    )


def state_of(
    server: Server, bindings: Bindings, share: float, *, now: float, wall: float
) -> ServerState:
    """All that is known of a server."""
    users = server.account.users
    hop = server.account.hop
    return ServerState(
        name=server.name,
        state=server.state,
        health=server.health.value,
        since=server.since,
        lasting=max(wall - server.since, 0.0),
        reason=server.why,
        address=place_of(server),
        flow=server.ways[0].flow.name if server.ways else "",
        flows=tuple(
            FlowOfServer(
                flow=way.flow.name,
                id=way.flow.id,
                since=way.since,
                expires=None if way.until == float("inf") else way.until,
                logon=way.logon,
                outbound=way.flow.outbound,
            )
            for way in server.ways
        ),
        connects_to="" if hop is None else f"{hop.transport or ''}:{hop.host}:{hop.port or ''}",
        users=bindings.owned_by(server.name),
        serves=None if users is None else users.patterns,
        weight=server.account.weight,
        weight_now=round(server.weight_at(now), 3),
        share=round(share, 4),
        requests=server.sent,
        pings=server.pings,
        pongs=server.pongs,
        failures=server.failures,
        round_trip=server.round_trip,
    )
