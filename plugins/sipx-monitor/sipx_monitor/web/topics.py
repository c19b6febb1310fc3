"""What can be subscribed to: which method of the control API stands behind each topic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx_monitor.web.encoding import encoded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel


async def _without_text(result: BaseModel) -> bytes:
    """Which file it is, and which state of it: who wants its text asks for that."""
    return result.model_dump_json(exclude={"text"}).encode()


async def _routes(result: BaseModel) -> bytes:
    """The static routes with their states, which their plugin shows in the status."""
    sections = result.model_dump(mode="json", include={"sections"})["sections"]
    return json.dumps({"routes": sections.get("routes", [])}).encode()


@dataclass(frozen=True, slots=True)
class StateTopic:
    """A state: the result of a method, sent whole whenever it is another one.

    ``every`` is how many seconds pass between two looks when nothing happens, ``plugin`` who
    brings the method, "" for sipx itself. ``show`` makes JSON of the result.
    """

    name: str
    method: str
    every: float = 1.0
    plugin: str = ""
    show: Callable[[BaseModel], Awaitable[bytes]] = encoded
    watches: str = ""
    """What has to be looked at while somebody has it: "traffic", "times", or "" for nothing."""


@dataclass(frozen=True, slots=True)
class StreamTopic:
    """Events of a method that is a stream. ``backlog``: who comes gets what is kept."""

    name: str
    method: str
    plugin: str = ""
    backlog: bool = False
    watches: str = ""


STATES: Final = (
    StateTopic("status", "status"),
    StateTopic("transactions", "transactions.list"),
    StateTopic("dialogs", "monitor.dialogs", plugin="monitor", watches="traffic"),
    StateTopic("interfaces", "interfaces.list"),
    StateTopic("connections", "flows.list"),
    StateTopic("partners", "federation.partners", 2.0, "open-federation"),
    StateTopic("servers", "registrar.servers", 2.0, "registrar"),
    StateTopic("registrations", "registrar.registrations", 2.0, "registrar"),
    StateTopic("accounts", "lan.accounts", 2.0, "lan"),
    StateTopic("certs", "certificates.list", 5.0),
    StateTopic("stun", "stun.status", 2.0, "stun"),
    StateTopic("dns", "dns.cache", 2.0),
    StateTopic("metrics", "console.metrics", plugin="monitor", watches="times"),
    StateTopic("config", "config.text", show=_without_text),
    StateTopic("routes", "status", 2.0, "static-routes", _routes),
    StateTopic("plugins", "plugins.list", 2.0),
    StateTopic("service", "service.status", 2.0),
    StateTopic("monitor", "monitor.state", 1.0, "monitor"),
)
STREAMS: Final = (
    StreamTopic("log", "log.follow", backlog=True),
    StreamTopic("events", "events"),
)
MESSAGES: Final = StreamTopic("messages", "monitor.follow", "monitor")
"""It keeps and resumes by itself: its seq is the number of a message."""
TOPICS: Final[dict[str, StateTopic | StreamTopic]] = {
    topic.name: topic for topic in (*STATES, *STREAMS, MESSAGES)
}
