"""Why a request goes where it goes: what ``determine_targets`` tried, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import Refuse
from sipx.sip import cached_uri
from sipx_registrar.hashing import point_of, score
from sipx_registrar.states import Health, Order
from sipx_registrar.targets import DRAINING, OUT, SUSPECT, preference_of
from sipx_registrar.ways import hop_of, same_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx import Binding, Sender, Targets
    from sipx.sip import Request
    from sipx_registrar.server import Server
    from sipx_registrar.targets import Chooser


def explanation(chooser: Chooser, request: Request, sender: Sender) -> list[str]:
    """A line for each step; empty where the request is none for a user of ours."""
    uri = cached_uri(request.uri)
    if uri.user is None or uri.host not in chooser.servers.proxy.domains:
        return []
    return list(_steps(chooser, request, sender))


def _steps(chooser: Chooser, request: Request, sender: Sender) -> Iterator[str]:
    aor = chooser.aor_of(request.uri)
    key = chooser.key_of(request, sender, aor)
    yield f"user {_text(aor)}"
    bound = chooser.servers.bindings.of(aor)
    if not bound:
        yield "1. registrations: none"
    for binding in sorted(bound, key=lambda one: -one.q):
        yield f"1. registration by {binding.owner}, q {binding.q / 1000:g}: " + _bound(
            chooser, binding, request, sender
        )
    owners, everybody = chooser.who_serves(aor)
    if not owners:
        yield "2. servers whose users these are: none"
    yield from _ranked(chooser, "2. its user", owners, key, aor, sender)
    if not everybody:
        yield "3. servers that may serve everybody: none"
    yield from _ranked(chooser, "3. serves everybody", everybody, key, aor, sender)
    yield _result(chooser.determine(request, sender))


def _bound(chooser: Chooser, binding: Binding, request: Request, sender: Sender) -> str:
    known = chooser.servers.known
    server = known.servers.get(binding.owner)
    contact = _text(binding.contact)
    if chooser.preference(binding) == OUT:
        if server is None:
            return f"{contact}, left out: that account is not there any more"
        return f"{contact}, left out: the server is {server.state} ({server.why})"
    if binding.owner == sender.name and same_uri(binding.contact, request.uri):
        return f"{contact}, left out: the request comes from there"
    target = chooser.reach(binding)
    if target is None:
        return f"{contact}, left out: its flow is gone, and it cannot be called back{_why(binding)}"
    way = f"over {target.flow.name}" if target.flow is not None else "by a new connection"
    return f"{contact}, {way}{_behind(server)}"


def _why(binding: Binding) -> str:
    if binding.reg_id:
        return ": a place with a reg-id comes by itself (RFC 5626)"
    if hop_of(binding) is None:
        return ": its Contact is not where it came from, so it is behind a NAT"
    return ": over TLS nothing says what it has to prove (`certificate` of its account)"


def _ranked(
    chooser: Chooser, what: str, servers: list[Server], key: bytes, aor: bytes, sender: Sender
) -> Iterator[str]:
    now = chooser.servers.proxy.now()
    point = point_of(key)
    order = chooser.rank(servers, key)
    order += [server for server in servers if server not in order]
    for server in order:
        weight = server.weight_at(now)
        drawn = f"score {score(server.seed, point, weight):.3f}" if weight else "no score"
        by = f" for {_text(key)}" if len(servers) > 1 and key != aor else ""
        pattern = "" if server.account.users is None else server.account.users.pattern_of(aor)
        covered = f" ({pattern})" if pattern else ""
        yield (
            f"{what}{covered}: {server.name}, weight {weight:g}, {drawn}{by}"
            f"{_standing(server, sender)}"
        )


def _standing(server: Server, sender: Sender) -> str:
    if preference_of(server) == OUT:
        return f", left out: {server.state} ({server.why})"
    if server.name == sender.name:
        return ", left out: the request comes from there"
    if server.account.users is None and not server.account.weight:
        return ", left out: its weight is 0"
    if server.way() is None:
        return f", left out: there is no connection to it ({server.reason})"
    return _behind(server)


def _behind(server: Server | None) -> str:
    if server is None:
        return ""
    if server.health is Health.NEVER and server.order is not Order.MAINTENANCE:
        return ", after others: the server has not been seen since the start"
    preference = preference_of(server)
    if preference == SUSPECT:
        return f", after others: suspect ({server.reason})"
    return ", after others: it is being drained" if preference == DRAINING else ""


def _result(found: Targets | Refuse | None) -> str:
    if found is None:
        return "4. nobody serves this user: 404"
    if isinstance(found, Refuse):
        return f"so: {found.status}, {found.why}"
    tried = [" and ".join(_unique(target.name for target in group)) for group in found.groups]
    return "so: " + ", then ".join(tried)


def _unique(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
