"""Where a request outside dialogs goes (RFC 3261 §16.5), for the users of our domains. In order:

1. the bindings of its address-of-record, by q (RFC 3261 §10.2.1.2);
2. the servers whose users it is one of; between several of them rendezvous hashing decides;
3. the servers that may serve everybody, by rendezvous hashing and their weights;
4. nobody: then 404.

What is behind is tried when what stands before cannot be reached, or does not know the user. A
server that is suspect or being drained comes after all others that may serve the user, one that is
down or in maintenance not at all. A request never goes back to the server that it came from,
unless with another Request-URI: that would be a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sipx import (
    NextHop,
    Refuse,
    SenderKind,
    Target,
    Targets,
    address_of_record,
)
from sipx.sip import RemoteError, cached_uri
from sipx_registrar.hashing import ranked
from sipx_registrar.states import Health, Order
from sipx_registrar.ways import bulk_uri, hop_of, is_number, same_uri, verifiable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipx import Account, Binding, Flow, Sender
    from sipx.sip import Request
    from sipx_registrar.server import Server
    from sipx_registrar.servers import Servers

MOST: Final = 3
"""Servers that one request is tried at, besides those that its user is registered by."""
KEPT: Final = 16_384
"""Entries of each cache; a full one is emptied."""
REACHED: Final = 4096
"""Ways to bindings that are kept: a binding that is refreshed is another one, and the old stays
here until the cache is emptied.
"""

FINE: Final = 0
SUSPECT: Final = 1
DRAINING: Final = 2
OUT: Final = 9
"""How much a server is wanted: the lowest first, OUT never."""

_FORKED: Final = (b"INVITE", b"MESSAGE")
_INSIDE: Final = (SenderKind.UC_SERVER, SenderKind.USER)

LOOP: Final = Refuse(482, "the request came from the only server that serves this user")
FLOW_GONE: Final = Refuse(430, "the flow to this user has gone")
NOBODY: Final[tuple[Server, ...]] = ()
NO_OWNERS: Final[frozenset[str]] = frozenset()


class Reached(NamedTuple):
    """The way to a binding as it was found last, and what that depended on."""

    flow: Flow | None
    account: Account
    target: Target | None


class Candidate(NamedTuple):
    """A binding that a request may go to."""

    preference: int
    q: int
    target: Target
    instance: bytes


def preference_of(server: Server) -> int:
    """How much a server is wanted for requests outside dialogs."""
    if not server.serves:
        return OUT
    if server.order is Order.DRAINING:
        return DRAINING
    return SUSPECT if server.health is Health.SUSPECT else FINE


class Chooser:
    """Chooses targets. What it found is kept as long as no server has changed."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self._bindings = servers.bindings
        self._domains = servers.proxy.domains
        self._parallel = servers.config.fork == "parallel"
        self._unreachable = servers.unreachable
        self._aors: dict[bytes, bytes] = {}
        self._reached: dict[Binding, Reached] = {}
        self._rankings: dict[tuple[bytes, bytes], tuple[Server, ...]] = {}
        self._version = -1

    # ------------------------------------------------------------ the choice

    def determine(self, request: Request, sender: Sender) -> Targets | Refuse | None:
        """The target set, or why there is none, or None: no user of ours."""
        uri = cached_uri(request.uri)
        if uri.user is None or uri.host not in self._domains:
            return None
        aor = self.aor_of(request.uri)
        bound = self._bindings.of(aor)
        if bound:
            return self._bound(request, sender, aor, bound)
        candidates = self.candidates(aor, self.key_of(request, sender, aor))
        groups: list[tuple[Target, ...]] = []
        looped = False
        for server in candidates:
            if server.name == sender.name:
                looped = True
                continue
            target = server.way()
            if target is not None:
                groups.append((self._bulk(server, target, aor) or target,))
                if len(groups) == MOST:
                    break
        if groups:
            return Targets(tuple(groups), True, self._unreachable)
        if looped:
            return LOOP
        return self._unreachable if self.has_servers(aor) else None

    def _bound(
        self, request: Request, sender: Sender, aor: bytes, bound: Sequence[Binding]
    ) -> Targets | Refuse | None:
        """With bindings: these, and then whoever else may serve the user."""
        looped = flow_gone = False
        found: list[Candidate] = []
        owners: list[str] = []
        name = sender.name
        present = self._present(bound) if len(bound) > 1 else NO_OWNERS
        for binding in bound:
            owner = binding.owner
            owners.append(owner)
            preference = self.preference(binding)
            if preference == OUT or (owner in present and not _is_open(binding)):
                continue
            if owner == name and same_uri(binding.contact, request.uri):
                looped = True
                continue
            target = self.reach(binding)
            if target is None:
                flow_gone = flow_gone or binding.reg_id > 0
                continue
            found.append(Candidate(preference, -binding.q, target, binding.instance))
        groups = self._groups(found, request.method)
        behind = self.candidates(aor, self.key_of(request, sender, aor))
        more = 0
        for server in behind:
            if server.name in owners:
                continue
            if server.name == name:
                looped = True
                continue
            target = server.way()
            if target is not None:
                groups.append((preference_of(server), (target,)))
                more += 1
                if more == MOST:
                    break
        if more and len(groups) > more:
            groups.sort(key=_by_preference)
        if groups:
            return Targets(tuple([group for _, group in groups]), True, self._unreachable)
        if looped:
            return LOOP
        if not self.has_owner(bound) and not self.has_servers(aor):
            return None
        return FLOW_GONE if flow_gone else self._unreachable

    def _groups(
        self, found: list[Candidate], method: bytes
    ) -> list[tuple[int, tuple[Target, ...]]]:
        """Bindings in the order to be tried: those of one q at once where that is wanted."""
        if len(found) > 1:
            # Of equal ones the newest first: it is the one most probably still there.
            found.reverse()
            found.sort(key=_by_q)
        if not self._parallel or method not in _FORKED:
            return [(each.preference, (each.target,)) for each in found]
        groups: list[tuple[int, tuple[Target, ...]]] = []
        while found:
            preference, q = found[0].preference, found[0].q
            group: list[Target] = []
            seen: set[bytes] = set()
            later: list[Candidate] = []
            for each in found:
                # RFC 5626 §7: the target set MUST NOT hold more than one contact of one
                # instance at a time; its other flows are for when the first has failed.
                if (each.preference, each.q) != (preference, q) or each.instance in seen:
                    later.append(each)
                    continue
                group.append(each.target)
                if each.instance:
                    seen.add(each.instance)
            groups.append((preference, tuple(group)))
            found = later
        return groups

    # ------------------------------------------------------------ bindings

    def preference(self, binding: Binding) -> int:
        """How much a binding is wanted, for its owner's sake."""
        known = self.servers.known
        server = known.servers.get(binding.owner)
        if server is None:
            return FINE if binding.owner in known.accounts else OUT
        if server.health is Health.NEVER and server.order is not Order.MAINTENANCE:
            # sipx was started anew: the server may be there, and has only not come back yet.
            return SUSPECT
        return preference_of(server)

    def reach(self, binding: Binding) -> Target | None:
        """The way to a binding now, None where there is none. Its owner is an account of ours."""
        known = self.servers.known
        flow = binding.flow
        if flow is not None and flow.closed:
            flow = None
        server = known.servers.get(binding.owner)
        if flow is None and server is not None:
            # The server is back and has not registered this user again: its newest flow will do.
            way = server.ways[0].flow if server.ways else None
            flow = None if way is None or way.closed else way
        account = known.accounts[binding.owner]
        found = self._reached.get(binding)
        if found is not None and found.flow is flow and found.account is account:
            return found.target
        if len(self._reached) >= REACHED:
            self._reached.clear()
        hops: tuple[NextHop, ...] = ()
        if flow is None:
            hop = hop_of(binding)
            hops = () if hop is None or not verifiable(hop, account) else (hop,)
        target: Target | None = None
        if flow is not None or hops:
            target = Target(
                uri=binding.contact,
                hops=hops,
                trusted=account.kind is SenderKind.UC_SERVER,
                name=account.name,
                partner=account.partner,
                flow=flow,
                account=account,
                route=binding.path,
                row=1,
            )
        self._reached[binding] = Reached(flow, account, target)
        return target

    def _present(self, bound: Sequence[Binding]) -> frozenset[str]:
        """The servers that some of these bindings have a connection of. What such a server has
        registered before, over one that has gone, is no second place: its newest connection would
        bring it the same request twice.
        """
        servers = self.servers.known.servers
        return frozenset([one.owner for one in bound if one.owner in servers and _is_open(one)])

    def has_owner(self, bound: Sequence[Binding]) -> bool:
        """Whether one of these bindings belongs to an account that is still there."""
        accounts = self.servers.known.accounts
        return any(binding.owner in accounts for binding in bound)

    def _bulk(self, server: Server, target: Target, aor: bytes) -> Target | None:
        """RFC 6140 §5.2: a bulk contact stands for each number of its server. "The SIP service
        provider [...] replaces the Request-URI with the contact, with the number as its user".
        """
        if not is_number(aor):
            return None
        for binding in self._bindings.logon_of(server.name):
            if binding.bulk:
                return Target(
                    uri=bulk_uri(binding.contact, aor),
                    hops=target.hops,
                    trusted=target.trusted,
                    name=target.name,
                    partner=target.partner,
                    flow=target.flow,
                    account=target.account,
                    route=binding.path,
                    row=1,
                )
        return None

    # ------------------------------------------------------------ servers

    def candidates(self, aor: bytes, key: bytes) -> tuple[Server, ...]:
        """The servers that may serve a user, the first choice first, without those that are out.

        ``key`` is the address-of-record by which those that share users are told apart.
        """
        version = self.servers.known.version
        if version != self._version:
            self._rankings.clear()
            self._version = version
        try:
            return self._rankings[aor, key]
        except KeyError:
            if len(self._rankings) >= KEPT:
                self._rankings.clear()
            found = self._rankings[aor, key] = self._ranked(aor, key)
            return found

    def _ranked(self, aor: bytes, key: bytes) -> tuple[Server, ...]:
        servers = self.servers.known.servers
        if not servers:
            return NOBODY
        owners, everybody = self.who_serves(aor)
        if not owners and not everybody:
            return NOBODY
        order: list[Server] = []
        if owners:
            order += self.rank(owners, key)
            # Of its own users a server without a weight is a stand-by; of all others it has none.
            order += [server for server in owners if not server.account.weight]
        if everybody:
            order += self.rank(everybody, key)
        fit = [server for server in order if preference_of(server) != OUT]
        fit.sort(key=preference_of)
        return tuple(fit)

    def who_serves(self, aor: bytes) -> tuple[list[Server], list[Server]]:
        """The servers that a user is one of the users of, and those that may serve everybody."""
        owners: list[Server] = []
        everybody: list[Server] = []
        for server in self.servers.known.servers.values():
            users = server.account.users
            if users is None:
                everybody.append(server)
            elif aor in users:
                owners.append(server)
        return owners, everybody

    def rank(self, servers: list[Server], key: bytes) -> list[Server]:
        """By rendezvous hashing, those without a weight left out."""
        now = self.servers.proxy.now()
        return ranked(key, [(one, one.seed, one.weight_at(now)) for one in servers])

    def has_servers(self, aor: bytes) -> bool:
        """Whether there is a server at all, however it is, that serves this user."""
        owners, everybody = self.who_serves(aor)
        return bool(owners) or any(server.account.weight for server in everybody)

    # ------------------------------------------------------------ addresses-of-record

    def aor_of(self, uri: bytes) -> bytes:
        """The address-of-record in a URI. Raises RemoteError."""
        try:
            return self._aors[uri]
        except KeyError:
            if len(self._aors) >= KEPT:
                self._aors.clear()
            found = self._aors[uri] = address_of_record(cached_uri(uri))
            return found

    def key_of(self, request: Request, sender: Sender, aor: bytes) -> bytes:
        """Whose server it is to be: that of our user, or, between two of ours, that of whoever
        speaks, so that one conversation stays on one server.
        """
        if sender.kind not in _INSIDE:
            return aor
        line = request.lines[request.layout.from_]
        begin = line.find(b"<") + 1
        try:
            if begin and b'"' not in line:
                return self.aor_of(line[begin : line.find(b">", begin)])
            return self.aor_of(request.from_.uri)
        except RemoteError:
            return aor  # a tel: URI: nobody's server


def _is_open(binding: Binding) -> bool:
    """Whether the flow that it was registered over is there."""
    return binding.flow is not None and not binding.flow.closed


def _by_q(candidate: Candidate) -> tuple[int, int]:
    return candidate.preference, candidate.q


def _by_preference(group: tuple[int, tuple[Target, ...]]) -> int:
    return group[0]
