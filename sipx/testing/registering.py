"""Logging on: a testing user agent that answers digest challenges, and registers its users.

    berlin = UserAgent("sip:berlin@home.example", TcpCarrier(), proxy=("127.0.0.1", 5060))
    async with running(berlin):
        berlin.logon = Logon("berlin", "correct horse")
        alice = await register(berlin, "sip:alice@home.example")
        ...
        await alice.unregister()

With a ``logon`` every request that is challenged, REGISTER or not, is sent once more with
credentials; without one the challenge is the final response, as for any user agent.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import trio

from sipx.sip import NameAddr, Request, SipUri
from sipx.sip.digest import KNOWN, Challenge, answer
from sipx.sip.errors import RemoteError
from sipx.sip.headers import digits
from sipx.testing.dialog import Headers, new_request
from sipx.testing.sessions import RefusedError, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipx.sip import Response
    from sipx.testing.peer import UserAgent

CHALLENGES: Final = {
    401: (b"WWW-Authenticate", b"Authorization"),
    407: (b"Proxy-Authenticate", b"Proxy-Authorization"),
}
"""By status: where the challenge stands, and where the credentials go (RFC 3261 §22)."""
TRIES: Final = 3
"""Times that one request is sent at most: a nonce may have become stale under way."""


class Logon:
    """A user name and a password, with what a user agent has to remember of them.

    ``algorithms`` are those it knows; ``challenges`` counts the challenges it has answered.
    """

    def __init__(
        self,
        user: str,
        password: str,
        *,
        algorithms: Sequence[bytes] = KNOWN,
        seed: int | None = None,
    ) -> None:
        self.user = user
        self.password = password
        self.challenges = 0
        self._algorithms = algorithms
        self._counts: dict[bytes, int] = {}
        self._random = random.Random(seed)

    def answered(self, request: Request, response: Response) -> Request | None:
        """The same request with credentials; None where ``response`` is no challenge for us.

        RFC 3261 §22.2: the CSeq is one higher, Call-ID and From are the same.
        """
        names = CHALLENGES.get(response.status)
        if names is None:
            return None
        offered = response.get_all(names[0])
        nonce = _nonce(offered)
        count = self._counts.get(nonce, 0) + 1
        credentials = answer(
            offered,
            self.user.encode(),
            self.password.encode(),
            request.method,
            request.uri,
            b"%016x" % self._random.getrandbits(64),
            count,
            algorithms=self._algorithms,
            body=request.body,
        )
        if credentials is None:
            return None
        self._counts = {nonce: count}
        self.challenges += 1
        return with_credentials(request, names[1], credentials)

    async def repeat(self, agent: UserAgent, request: Request, response: Response) -> Response:
        """Answer challenges until there is another response. Raises NoAnswerError.

        A second challenge for a nonce that is not stale says that the password is wrong: it is
        the final response (RFC 3261 §22.1).
        """
        for attempt in range(1, TRIES):
            if attempt > 1 and not _is_stale(response):
                return response
            again = self.answered(request, response)
            if again is None:
                return response
            moved_on(agent, again)
            request = again
            response = await (await agent.ask(again)).answer()
        return response


def with_credentials(request: Request, name: bytes, credentials: bytes) -> Request:
    """A copy of a request with the next CSeq and these credentials in the place of older ones."""
    copy = request.copy()
    copy.cseq_number = b"%d" % (request.cseq.number + 1)
    copy.replace(b"CSeq", copy.cseq_number + b" " + request.method)
    copy.replace(name, credentials)
    return copy


def moved_on(agent: UserAgent, request: Request) -> None:
    """A request was repeated with the next CSeq: its dialog goes on from there."""
    session = agent.dialogs.get((request.call_id, request.from_.tag or b""))
    if isinstance(session, Subscription) and session.dialog is None:
        session.request = request
    elif session is not None and session.dialog is not None:
        session.dialog.local_cseq = max(session.dialog.local_cseq, request.cseq.number)


def _nonce(offered: Sequence[bytes]) -> bytes:
    """The nonce of the first challenge that can be read."""
    for value in offered:
        try:
            return Challenge.parse(value).nonce
        except RemoteError:
            continue
    return b""


def _is_stale(response: Response) -> bool:
    names = CHALLENGES.get(response.status)
    for value in response.get_all(names[0]) if names is not None else ():
        try:
            if Challenge.parse(value).stale:
                return True
        except RemoteError:
            continue
    return False


class Registration:
    """One address-of-record of a user agent (RFC 3261 §10.2), bound by ``register``.

    ``aor`` and ``contact`` are URIs; ``granted`` is for how many seconds the registrar binds the
    contact, ``response`` its last answer. All REGISTERs have one Call-ID and counting CSeqs.
    """

    def __init__(
        self,
        agent: UserAgent,
        aor: str,
        *,
        expires: int,
        sender: str,
        contact: str,
        params: str,
        headers: Headers,
    ) -> None:
        self.agent = agent
        self.aor = aor
        self.expires = expires
        self.contact = contact.encode() or contact_for(agent, aor)
        self.granted = 0
        self.response: Response | None = None
        self._params = params.encode()
        self._headers = headers
        self._sender = sender or aor
        self._call_id = b"%x" % random.getrandbits(96)
        self._tag = b"%x" % random.getrandbits(48)
        self._cseq = 0

    @property
    def service_route(self) -> list[bytes]:
        """Service-Route of the last answer (RFC 3608): through what requests may be sent."""
        return self.response.get_list(b"Service-Route") if self.response is not None else []

    async def register(self, expires: int | None = None) -> Response:
        """Send one REGISTER, ``expires`` seconds or as long as before; the final response.

        Raises NoAnswerError.
        """
        wanted = self.expires if expires is None else expires
        return await self._send(b"<%b>%b" % (self.contact, self._params), wanted)

    async def refresh(self) -> Response:
        """Bind it for as long again. Raises RefusedError, NoAnswerError."""
        return _accepted(await self.register())

    async def unregister(self) -> Response:
        """RFC 3261 §10.2.2: an expiry of zero. Raises RefusedError, NoAnswerError."""
        return _accepted(await self.register(0))

    async def query(self) -> list[bytes]:
        """RFC 3261 §10.2.3: the bindings there are, as Contact values.

        Raises RefusedError, NoAnswerError.
        """
        return _accepted(await self._send(None, None)).get_list(b"Contact")

    async def keep(self) -> None:
        """Refresh it when half of its time has passed, until cancelled.

        Raises RefusedError, NoAnswerError.
        """
        while True:
            await trio.sleep(max(1, self.granted) / 2)
            await self.refresh()

    async def _send(self, contact: bytes | None, expires: int | None) -> Response:
        self._cseq += 1
        domain = SipUri.parse(self.aor.encode()).host
        headers: list[tuple[bytes, bytes]] = [*self._headers]
        if contact is not None:
            headers.append((b"Contact", contact))
        if expires is not None:
            headers.append((b"Expires", b"%d" % expires))
        request = new_request(
            b"REGISTER",
            # RFC 3261 §10.2: "The 'userinfo' and '@' components of the SIP URI MUST NOT be
            # present".
            b"sip:" + domain,
            from_=b"<%b>;tag=%b" % (self._sender.encode(), self._tag),
            to=b"<%b>" % self.aor.encode(),
            call_id=self._call_id,
            cseq=self._cseq,
            headers=headers,
        )
        response = await (await self.agent.ask(request)).answer()
        if self.agent.logon is not None:
            before = self.agent.logon.challenges
            response = await self.agent.logon.repeat(self.agent, request, response)
            self._cseq += self.agent.logon.challenges - before
        if response.status < 300:
            self.response = response
            if expires is not None:
                self.granted = self._granted(response, expires)
        return response

    def _granted(self, response: Response, wanted: int) -> int:
        """RFC 3261 §10.2.4: the expiry that stands at our Contact in the response."""
        for value in response.get_list(b"Contact"):
            address = NameAddr.parse(value)
            if address.uri == self.contact:
                return digits(address.param(b"expires") or b"%d" % wanted, 2**32 - 1)
        return 0


async def register(
    agent: UserAgent,
    aor: str,
    *,
    expires: int = 3600,
    sender: str = "",
    contact: str = "",
    params: str = "",
    headers: Headers = (),
) -> Registration:
    """Register an address-of-record at the proxy of ``agent``, and wait for the 200.

    ``sender`` is the URI in From where somebody registers another (a UC server its users; ""
    is the user itself), ``contact`` the URI to bind ("": the agent's own, with the user's name),
    ``params`` the header parameters of the Contact (``;q=0.5;reg-id=1``).
    Raises RefusedError for another final response, NoAnswerError for none.
    """
    registration = Registration(
        agent,
        aor,
        expires=expires,
        sender=sender,
        contact=contact,
        params=params,
        headers=headers,
    )
    _accepted(await registration.register())
    return registration


def contact_for(agent: UserAgent, aor: str) -> bytes:
    """The Contact of a user agent that speaks for several users: its place, the user's name."""
    user = SipUri.parse(aor.encode()).user
    return b"sip:%b@%b" % (user, agent.contact.partition(b"@")[2]) if user else agent.contact


def _accepted(response: Response) -> Response:
    if response.status >= 300:
        raise RefusedError(response)
    return response
