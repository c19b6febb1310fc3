"""What the status says of UC servers, logons, partners and so on: the parts other plugins show.

They are read as they stand in the status, by their titles, and not from the plugins: whoever shows
the same can take their place. What is not shown, or looks otherwise, has no samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sipx import ProxyStatus

    Samples = Iterable[tuple[tuple[str, ...], float]]

STATES: Final = ("never seen", "up", "suspect", "down", "draining", "maintenance")
"""The states of a UC server; every one is a sample, 1 for the one that it is in."""


def _servers(status: ProxyStatus) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in _rows(status.sections.get("servers")):
        if isinstance(row.get("name"), str):
            yield str(row["name"]), row


def server_states(status: ProxyStatus) -> Samples:
    """By server and state."""
    for name, row in _servers(status):
        for state in STATES:
            yield (name, state), row.get("state") == state


def server_users(status: ProxyStatus) -> Samples:
    """Users that each server has registered."""
    for name, row in _servers(status):
        if isinstance(users := row.get("users"), int):
            yield (name,), users


def server_shares(status: ProxyStatus) -> Samples:
    """The share of each, 0 to 1; it is shown as ``25%``."""
    for name, row in _servers(status):
        share = str(row.get("share", "")).removesuffix("%")
        if share.isdecimal():
            yield (name,), int(share) / 100


def server_counts(key: str) -> Any:
    """A reader of one of the counts of each server."""

    def read(status: ProxyStatus) -> Samples:
        for name, row in _servers(status):
            counts = row.get("counts")
            if isinstance(counts, dict) and isinstance(counts.get(key), int):
                yield (name,), counts[key]

    return read


def number_of(section: str, key: str) -> Any:
    """A reader of one of the numbers of a section."""

    def read(status: ProxyStatus) -> Samples:
        shown = status.sections.get(section)
        if isinstance(shown, dict) and isinstance(number := shown.get(key), int):
            yield (), number

    return read


def banned(status: ProxyStatus) -> Samples:
    """Sources that get no answer now."""
    bans = status.sections.get("bans")
    if isinstance(bans, list):
        yield (), len(bans)


OUTCOMES: Final = {
    "accepted": "messages_in",
    "slowed": "slowed",
    "limited": "limited",
    "refused": "refused",
}
"""What became of a partner's request, and how the status calls its count."""


def federation_requests(status: ProxyStatus) -> Samples:
    """By outcome; "slowed" ones are among those accepted."""
    counts = status.sections.get("open-federation")
    for outcome, key in OUTCOMES.items():
        count = counts.get(key) if isinstance(counts, dict) else None
        if isinstance(count, int):
            yield (outcome,), count


# ---------------------------------------------------------------- the public address


def public_addresses(status: ProxyStatus) -> Samples:
    """What each interface is advertised as; one that shows its own address has none."""
    for one in status.interfaces:
        if one.advertised and one.state != "draining":
            yield (one.name, one.advertised), 1


def nat_kinds(status: ProxyStatus) -> Samples:
    """The kind of NAT that each source was found behind."""
    for row in _rows(_stun(status).get("sources")):
        words = [row.get(key) for key in ("bind", "family", "nat", "mapping", "filtering")]
        if all(isinstance(word, (str, int)) and word for word in words):
            yield tuple(map(str, words)), 1


def stun_counts(key: str, *results: str) -> Any:
    """A reader of the counts below ``key``, by result."""

    def read(status: ProxyStatus) -> Samples:
        counts = _stun(status).get(key)
        for result in results:
            number = counts.get(result) if isinstance(counts, dict) else None
            if isinstance(number, int):
                yield (result,), number

    return read


def _stun(status: ProxyStatus) -> Mapping[str, Any]:
    shown = status.sections.get("stun")
    return shown if isinstance(shown, dict) else {}


def _rows(shown: object) -> Iterator[Mapping[str, Any]]:
    for row in shown if isinstance(shown, list) else ():
        if isinstance(row, dict):
            yield row
