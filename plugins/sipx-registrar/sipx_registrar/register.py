"""REGISTER, clause by clause (RFC 3261 §10.3): what it changes, and how it is answered.

``read`` takes a request as far as it can be judged by itself; ``decide`` says what it makes of the
bindings. Nothing here waits, and nothing changes a binding: who calls commits what was decided,
all or nothing (§10.3 item 8), and then sends the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from math import ceil
from typing import TYPE_CHECKING, Final

from sipx import Binding
from sipx.sip import RemoteError, cached_uri
from sipx_registrar.ownership import Ownership, has_numbers, place_of
from sipx_registrar.reading import (
    LONGEST,
    Refused,
    Registration,
    Wanted,
    read_contacts,
    read_path,
    read_required,
    tags_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipx import Account, Flow, Proxy, Refuse
    from sipx.sip import Request, Response
    from sipx_registrar.config import RegistrarConfig
    from sipx_registrar.drafts import Draft

HOUR: Final = 3600
MOST_AGENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Decided:
    """What a REGISTER does: the bindings of its place before and after it."""

    registration: Registration
    before: tuple[Binding, ...]
    after: tuple[Binding, ...]


class Register:
    """The rules. ``is_down`` says of an account that its server is not there."""

    def __init__(
        self, config: RegistrarConfig, proxy: Proxy, is_down: Callable[[str], bool]
    ) -> None:
        self._config = config
        self._proxy = proxy
        self._ownership = Ownership(config, is_down)
        self._dated = (-1, b"")
        self._agents: dict[bytes, bytes] = {}
        """Each User-Agent once, however many clients have it."""

    # ------------------------------------------------------------ what it asks for

    def read(self, request: Request, account: Account, flow: Flow) -> Registration:
        """§10.3 items 2 to 6. Raises Refused."""
        try:
            return self._read(request, account, flow)
        except RemoteError as error:
            raise Refused(400, error.reason) from None

    def _read(self, request: Request, account: Account, flow: Flow) -> Registration:
        required = read_required(request)
        place, logon = place_of(request, account, self._proxy.domains)
        if len(request.call_id) > LONGEST:
            raise Refused(400, "Call-ID is too long to be kept")
        supported = tags_of(request, b"Supported")
        path = read_path(request, supported)
        contacts, star = read_contacts(request, path, supported, required)
        if any(each.bulk for each in contacts) and not has_numbers(account):
            raise Refused(403, f"no telephone number is among the users of {account.name}")
        return Registration(
            request=request,
            flow=flow,
            account=account,
            place=place,
            logon=logon,
            contacts=contacts,
            star=star,
            path=path,
            call_id=request.call_id,
            cseq=request.cseq.number,
        )

    # ------------------------------------------------------------ what it does

    def decide(self, asked: Registration, table: Draft) -> Decided:
        """§10.3 items 6 and 7: what the bindings of its place become. Raises Refused."""
        before = table.of(asked.place)
        if not asked.changes:
            return Decided(asked, before, before)
        now = self._proxy.wall()
        free, kept = self._ownership.divided(before, asked.account)
        if asked.star:
            for binding in free:
                _check_order(asked, binding)
            return Decided(asked, before, kept)
        bound = list(free)
        if any(each.expires != 0 for each in asked.contacts):
            self._check_lifetimes(asked.contacts)
            bound = [each for each in free if each.owner == asked.account.name]
            kept = self._ownership.kept(kept, only_theirs=not bound)
            if not bound and not asked.logon:
                self._ownership.may_have_more(asked.account, table)
        made: list[Binding] = []
        for wanted in asked.contacts:
            at = _index_of(wanted, bound)
            # Of two values for one binding in one request the later counts.
            known = None if at is None or bound[at] in made else bound[at]
            if known is not None:
                _check_order(asked, known)
            if at is not None:
                del bound[at]
            if wanted.expires != 0:
                binding = self._binding(asked, wanted, known, now)
                made.append(binding)
                bound.append(binding)
        room = max(self._config.max_bindings, len(before)) - len(kept)
        _make_room(bound, asked.account, len(bound) - room)
        if len(bound) > room:
            raise Refused(
                403, f"a user can be registered at {self._config.max_bindings} places at most"
            )
        return Decided(asked, before, (*kept, *bound))

    def _check_lifetimes(self, contacts: Sequence[Wanted]) -> None:
        """§10.3 item 7: "If and only if the requested expiration interval is greater than zero
        AND smaller than one hour AND less than a registrar-configured minimum, the registrar MAY
        reject the registration with a response of 423 (Interval Too Brief)".
        """
        least = ceil(self._config.min_expires)
        if any(each.expires and each.expires < min(least, HOUR) for each in contacts):
            # "This response MUST contain a Min-Expires header field".
            raise Refused(423, "", (b"Min-Expires", b"%d" % least))

    def _binding(
        self, asked: Registration, wanted: Wanted, known: Binding | None, now: float
    ) -> Binding:
        """The new binding; what is the same as before is not kept twice."""
        config, flow = self._config, asked.flow
        # "If the field value has an "expires" parameter, that value MUST be taken ...; if there is
        # no such parameter, but the request has an Expires header field, that value MUST be taken
        # ...; if there is neither, a locally-configured default value MUST be taken".
        seconds = config.default_expires if wanted.expires is None else float(wanted.expires)
        contact, call_id, place = wanted.contact, asked.call_id, asked.place
        since = now
        if known is not None:
            place = known.aor
            contact = known.contact if known.contact == contact else contact
            call_id = known.call_id if known.call_id == call_id else call_id
            since = known.since
        return Binding(
            aor=place,
            contact=contact,
            owner=asked.account.name,
            call_id=call_id,
            cseq=asked.cseq,
            expires=now + min(seconds, config.max_expires),
            since=since,
            q=wanted.q,
            path=asked.path,
            instance=wanted.instance,
            reg_id=wanted.reg_id,
            interface=flow.interface.name,
            transport=flow.transport,
            address=flow.address,
            port=flow.port,
            bulk=wanted.bulk,
            user_agent=self._agent(asked.request),
            flow=flow,
        )

    def _date(self, second: int) -> bytes:
        """Made once a second."""
        if self._dated[0] != second:
            self._dated = (second, formatdate(second, usegmt=True).encode())
        return self._dated[1]

    def _agent(self, request: Request) -> bytes:
        agent = (request.get(b"User-Agent") or b"")[:LONGEST]
        if len(self._agents) >= MOST_AGENTS:
            self._agents.clear()
        return self._agents.setdefault(agent, agent)

    # ------------------------------------------------------------ how it is answered

    def answer(self, decided: Decided) -> Response:
        """§10.3 item 9: a 200 with all current bindings."""
        asked = decided.registration
        now = self._proxy.wall()
        # "The response MUST contain Contact header field values enumerating all current bindings.
        # Each Contact value MUST feature an "expires" parameter".
        # §10.2.4: the client looks for its own contact there, which another account may have, too.
        bound = sorted(decided.after, key=lambda each: each.owner != asked.account.name)
        headers = [(b"Contact", _contact(each, now)) for each in bound]
        # "The response SHOULD include a Date header field".
        headers.append((b"Date", self._date(int(now))))
        headers += [(b"Path", value) for value in asked.path]
        if decided.after:
            route = b"<%b>" % asked.flow.interface.uri(b"")
            headers.append((b"Service-Route", route))
        if asked.outbound:
            # RFC 5626 §6: "the registrar MUST include the outbound option-tag in a Require header
            # field value in its response".
            headers.append((b"Require", b"outbound"))
            headers.append((b"Flow-Timer", b"%d" % ceil(self._config.flow_timer)))
        return asked.request.reply(200, headers=headers)


def refusal(request: Request, refuse: Refuse) -> Response:
    """The answer to a REGISTER that is refused, with the reason in words (RFC 3261 §20.43)."""
    headers = list(refuse.headers)
    if refuse.why:
        safe = refuse.why.replace("\\", "/").replace('"', "'").encode("ascii", "replace")
        headers.append((b"Warning", b'399 sipx "%b"' % safe))
    return request.reply(refuse.status, headers=headers)


def _index_of(wanted: Wanted, bound: Sequence[Binding]) -> int | None:
    """Which binding a Contact value is about: RFC 5626 §6 by instance and reg-id, else by the
    comparison of URIs (RFC 3261 §10.3 item 7).
    """
    if wanted.reg_id:
        for at, binding in enumerate(bound):
            if binding.reg_id == wanted.reg_id and binding.instance == wanted.instance:
                return at
        return None
    for at, binding in enumerate(bound):
        if binding.contact == wanted.contact and not binding.reg_id:
            return at  # what a refresh looks like: nothing has to be parsed
    for at, binding in enumerate(bound):
        if not binding.reg_id and cached_uri(binding.contact).equivalent(wanted.uri):
            return at
    return None


def _make_room(bound: list[Binding], account: Account, places: int) -> None:
    """Bindings of the account whose connection has gone make room, the oldest first: who comes
    back from another port each time would shut itself out until they expire.
    """
    own = [each for each in bound if each.owner == account.name]
    gone = [each for each in own if each.flow is None or each.flow.closed]
    for binding in gone[: max(0, places)]:
        bound.remove(binding)


def _check_order(asked: Registration, binding: Binding) -> None:
    """Item 7: with the Call-ID of the binding, CSeq must be "higher than the value stored";
    "Otherwise, the update MUST be aborted and the request fails". Raises Refused.
    """
    if binding.call_id == asked.call_id and asked.cseq <= binding.cseq:
        raise Refused(500, "a later REGISTER of this Call-ID was here before")


def _contact(binding: Binding, now: float) -> bytes:
    left = max(0, ceil(binding.expires - now))
    value = b"<%b>;expires=%d" % (binding.contact, left)
    if binding.q != 1000:
        value += b";q=0.%03d" % binding.q
    if binding.reg_id:
        value += b";+sip.instance=%b;reg-id=%d" % (binding.instance, binding.reg_id)
    return value
