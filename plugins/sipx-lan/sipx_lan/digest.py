"""The server's side of digest authentication in SIP: RFC 7616, RFC 8760 and RFC 3261 §22."""

from __future__ import annotations

import secrets
from enum import Enum
from typing import TYPE_CHECKING, Final

from sipx import Challenge
from sipx.sip import RemoteError, digest, nonce

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Flow
    from sipx.sip import Request
    from sipx_lan.entries import Entry

LOOKED_AT: Final = 4
"""Credentials of one request that are looked at: more is not what a client sends."""
LONGEST_USER: Final = 256
"""Bytes of a user name that are told apart and shown."""
_PLACE: Final = b"\0nonce\0"
"""Stands for the nonce in a challenge that is not made yet; no realm can hold it."""
_HEADERS: Final = (b"authorization", b"proxy-authorization")


class Answer(Enum):
    """What the credentials of a request are worth."""

    NONE = "there are none for this realm"
    VALID = "they are right"
    STALE = "what they answer is too old, used, or not for this source"
    MALFORMED = "they do not answer what was asked"
    WRONG = "wrong user or password"


class Nonces:
    """The key that challenges are signed with and the counts that were used: what has to outlive
    a reload, and dies with the process: clients are then challenged anew.
    """

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.counts = nonce.NonceCounts()


class DigestServer:
    """Challenges, and judges what comes back. ``lifetime`` of a challenge is in seconds.

    What a challenge was made for it is good for: one source address on one interface.
    """

    def __init__(self, realm: str, lifetime: float) -> None:
        self.realm = realm.encode()
        self.lifetime = int(lifetime)
        self.nonces = Nonces()
        # A challenge is the same for everybody, but for its nonce.
        self._texts: dict[tuple[bool, tuple[bytes, ...]], list[list[bytes]]] = {}

    def challenge(
        self,
        request: Request,
        flow: Flow,
        now: float,
        *,
        stale: bool,
        algorithms: tuple[bytes, ...],
    ) -> Challenge:
        """RFC 3261 §22.2 and §22.3: 401 of a registrar, 407 of a proxy.

        RFC 8760 §2.3: one header field for each algorithm, the one that is liked best on top.
        """
        registers = request.method == b"REGISTER"
        name = b"WWW-Authenticate" if registers else b"Proxy-Authenticate"
        fresh = nonce.make_nonce(
            int(now), self.nonces.key, self.realm, _source(flow), secrets.randbits(64)
        )
        texts = self._texts.get((stale, algorithms))
        if texts is None:
            values = digest.challenges(self.realm, _PLACE, algorithms=algorithms, stale=stale)
            texts = self._texts[stale, algorithms] = [value.split(_PLACE) for value in values]
        headers = tuple((name, fresh.join(parts)) for parts in texts)
        return Challenge(401 if registers else 407, headers)

    def credentials(self, request: Request) -> digest.Credentials | None:
        """The first digest credentials for our realm; those of other realms are not ours to judge.

        What cannot be read is no credentials: its sender is asked as if it had given none.
        """
        for value in _values(request):
            try:
                found = digest.Credentials.parse(value)
            except RemoteError:
                continue
            if found.realm == self.realm:
                return found
        return None

    def asked(self, credentials: digest.Credentials, flow: Flow, now: float) -> bool:
        """Whether they answer a question that this source has received lately."""
        key, source = self.nonces.key, _source(flow)
        return nonce.check_nonce(
            credentials.nonce, int(now), self.lifetime, key, self.realm, source
        )

    def verify(
        self,
        credentials: digest.Credentials,
        request: Request,
        flow: Flow,
        usable: Callable[[], Entry | None],
        now: float,
        *,
        algorithms: tuple[bytes, ...],
    ) -> tuple[Answer, Entry | None]:
        """Judge credentials, of the account that ``usable`` gives. ``algorithms`` are those that
        are offered to this source.

        None is an unknown user: the same work, the same answer.

        The nonce is looked at first. Who shows one of ours for this source has received it there;
        who does not is asked anew, whatever the password: a forged source address neither finds
        out anything nor counts against whoever has that address. And as it is not counted, nothing
        is done before that takes another time where there is such an account.
        """
        if not self.asked(credentials, flow, now):
            return Answer.STALE, None
        entry = usable()
        known = entry is not None and credentials.algorithm in entry.algorithms
        result = digest.verify(
            credentials,
            request.method,
            request.uri,
            entry.secret if entry is not None and known else None,
            lambda _: True,
            realm=self.realm,
            counts=self.nonces.counts,
            algorithms=algorithms,
        )
        return _ANSWERS[result], entry

    def consume(self, request: Request) -> None:
        """RFC 3261 §22.3: credentials for our realm end here; those of others go on untouched."""
        if not request.layout.credentials:
            return
        for i in range(len(request.lines) - 1, -1, -1):
            name, _, value = request.lines[i].partition(b":")
            if name.strip().lower() in _HEADERS and self._is_ours(value.strip()):
                request.drop_line(i)

    def _is_ours(self, value: bytes) -> bool:
        try:
            return digest.Credentials.parse(value).realm == self.realm
        except RemoteError:
            return False


_ANSWERS: Final = {
    digest.Result.VALID: Answer.VALID,
    digest.Result.STALE: Answer.STALE,
    digest.Result.WRONG: Answer.WRONG,
    digest.Result.MALFORMED: Answer.MALFORMED,
    digest.Result.OTHER_REALM: Answer.NONE,
}


def _source(flow: Flow) -> bytes:
    """What a nonce is bound to."""
    return f"{flow.interface.name} {flow.address}".encode()


def _values(request: Request) -> list[bytes]:
    """Credentials of either kind: clients are not agreed on which header a registrar gets."""
    if not request.layout.credentials:
        return []
    proxy = request.get_all(b"Proxy-Authorization")
    own = request.get_all(b"Authorization")
    first, second = (own, proxy) if request.method == b"REGISTER" else (proxy, own)
    return first[:LOOKED_AT] + second[:LOOKED_AT]
