"""Steps of a request in words and in JSON (sipx/decisions.py)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx.escaping import escaped
from sipx.interfaces import host_port
from sipx.logs import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from sipx.forking import AckBranch, Branch
    from sipx.plugin import Target
    from sipx.resolver import Hop
    from sipx.sip.message import Request, Response

LONGEST: Final = 1000
"""Characters of one text that a peer has written."""


class Origin(NamedTuple):
    """Where a final response has come from, as it was when it went back: branches move on."""

    own: bool
    """Whether the proxy made it."""
    branch: str
    flow: str
    target: str


def origin_of(response: Response, branch: Branch | None) -> Origin:
    """Of a response that goes back now; without a branch it is the proxy's."""
    if branch is None:
        return Origin(True, "", "", "")
    if branch.state < 0:
        return Origin(True, "", "", branch.target.name)
    flow: str = branch.flow.name  # type: ignore[attr-defined]  # a Flow
    return Origin(branch.response is not response, key_of(branch), flow, branch.target.name)


def answered(
    response: Response | None, origin: Origin | None
) -> tuple[str, Mapping[str, JsonValue]]:
    """What goes back, and where it came from."""
    if response is None or origin is None:
        none: dict[str, JsonValue] = {"status": 0, "why": "", "reason": "", "own": True}
        return "Nothing is answered (RFC 4320 §4.2)", none
    own, client = origin.own, origin.flow
    reason, why = text_of(response.reason), why_of(response) if own else ""
    data: dict[str, JsonValue] = {
        "status": response.status,
        "reason": reason,
        "why": why,
        "own": own,
        "branch": origin.branch,
        "flow": client,
        "target": origin.target,
    }
    of = f" of {client}" if client and not own else " of the proxy itself"
    return f"{response.status} {reason}{of} goes back" + (f": {why}" if why else ""), data


def by(plugin: str, row: int) -> str:
    """Who says so, and by which row of the trust tables."""
    said = f" (plugin {plugin}" if plugin else ""
    if row:
        said += f"{', ' if said else ' ('}row {row} of docs/trust.md"
    return f"{said})" if said else ""


def key_of(branch: Branch | AckBranch) -> str:
    """Our Via branch, "" for one that has not left."""
    if getattr(branch, "state", -1) < 0:
        return ""
    key: bytes = branch.key  # type: ignore[union-attr]  # only a client transaction has a state
    return key.decode("ascii", "replace")


def hop_data(hop: Hop) -> dict[str, JsonValue]:
    """A hop for programs."""
    return {
        "address": hop.address,
        "port": hop.port,
        "transport": hop.transport,
        "name": escaped(hop.name),
    }


def place(hop: Hop) -> str:
    """A hop for people."""
    where = f"{hop.transport}:{host_port(hop.address, hop.port).decode()}"
    return where if hop.name == hop.address else f"{escaped(hop.name)} ({where})"


def target_data(target: Target, request: Request) -> dict[str, JsonValue]:
    """A target for programs."""
    return {
        "name": target.name,
        "uri": text_of(target.uri or request.uri),
        "row": target.row,
        "trusted": target.trusted,
        "discovered": target.discovered,
        "account": "" if target.account is None else target.account.name,
        "partner": "" if target.partner is None else target.partner.name,
    }


@lru_cache(maxsize=2048)  # the same URIs come again and again, and to mask one takes its time
def text_of(value: bytes) -> str:
    """What a peer may have written, escaped, without credentials, and not endlessly long."""
    return escaped(masked(value[:LONGEST].decode("utf-8", "backslashreplace")))


def texts_of(values: list[bytes]) -> list[JsonValue]:
    """Several of them."""
    return [text_of(value) for value in values]


def why_of(response: Response) -> str:
    """What a response of our own says in its Warning."""
    said = [text_of(value).partition('"')[2].rstrip('"') for value in response.get_all(b"Warning")]
    return "; ".join(line for line in said if line)
