"""Digest authentication for both sides: RFC 7616 and, for SIP, RFC 8760 and RFC 3261 §22.

Pure functions: the time, the server's key and all random values are arguments.

* A server makes nonces that prove themselves (`sipx.sip.nonce`), challenges once per algorithm, the
  one it likes best first (RFC 8760 §2.3), and judges what comes back (`verify`).
* A client answers the topmost challenge whose algorithm it knows (RFC 8760 §2.4, `answer`).

The values hashed are the texts meant, without quotes and escapes, everywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum
from typing import TYPE_CHECKING, Final

from sipx.sip.errors import LocalError, RemoteError
from sipx.sip.headers import AuthParams, quote
from sipx.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sipx.sip.nonce import NonceCounts

SHA256: Final = b"SHA-256"
SHA512_256: Final = b"SHA-512-256"
MD5: Final = b"MD5"
AUTH: Final = b"auth"
AUTH_INT: Final = b"auth-int"

PREFERRED: Final = (SHA256, SHA512_256)
"""What a server offers, best first; MD5 is added only where it is asked for (SEC-12)."""
KNOWN: Final = (SHA256, SHA512_256, MD5)

_SESSION: Final = b"-SESS"
_HASHES: Final = {SHA256: "sha256", SHA512_256: "sha512_256", MD5: "md5"}
_RESPONSE: Final = re.compile(rb"[0-9a-f]{32}(?:[0-9a-f]{32})?")
_NONCE_COUNT: Final = re.compile(rb"[0-9a-fA-F]{8}")


class Result(Enum):
    """What `verify` found, with what it asks of the server."""

    VALID = "the sender knows the secret"
    STALE = "right, but with a used or old nonce: challenge again with stale=true"
    WRONG = "wrong user or password: challenge again, count it"
    MALFORMED = "not an answer to our challenge: 400"
    OTHER_REALM = "for somebody else: ignore it (RFC 3261 §22.3)"


def digest(algorithm: bytes, text: bytes) -> bytes:
    """H of RFC 7616 §3.3, in lower-case hexadecimal.

    Raises LocalError for an algorithm that is unknown or that this build of Python has not.
    """
    name = _HASHES.get(algorithm.upper().removesuffix(_SESSION))
    if name is None:
        raise LocalError(f"unknown digest algorithm {algorithm!r}")
    try:
        return hashlib.new(name, text, usedforsecurity=False).hexdigest().encode()
    except ValueError:
        raise LocalError(
            f"this build of Python has no {name} (its OpenSSL leaves it out): "
            f"take {algorithm.decode()} out of the digest algorithms"
        ) from None


def ha1(algorithm: bytes, username: bytes, realm: bytes, password: bytes) -> bytes:
    """H(username:realm:password): what a server may store in place of the password.

    It is the same with and without -sess, where `response` derives the session key from it.
    """
    return digest(algorithm, username + b":" + realm + b":" + password)


def response(
    algorithm: bytes,
    ha1: bytes,
    method: bytes,
    uri: bytes,
    nonce: bytes,
    *,
    qop: bytes | None,
    cnonce: bytes = b"",
    nc: bytes = b"",
    body: bytes = b"",
) -> bytes:
    """The value of ``response`` (RFC 7616 §3.4.1); a ``qop`` of None gives the RFC 2069 form."""
    if algorithm.upper().endswith(_SESSION):
        ha1 = digest(algorithm, b":".join((ha1, nonce, cnonce)))
    a2 = method + b":" + uri
    if qop == AUTH_INT:
        a2 += b":" + digest(algorithm, body)
    ha2 = digest(algorithm, a2)
    if qop is None:
        return digest(algorithm, b":".join((ha1, nonce, ha2)))
    return digest(algorithm, b":".join((ha1, nonce, nc, cnonce, qop, ha2)))


# --- challenges -----------------------------------------------------------------------------


class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate value of scheme Digest.

    ``algorithm`` is in upper case (MD5 where none is named); ``qop`` is what the server offers,
    empty for the form of RFC 2069.
    """

    __slots__ = ("algorithm", "algorithm_named", "nonce", "opaque", "qop", "realm", "stale")

    def __init__(
        self,
        realm: bytes,
        nonce: bytes,
        algorithm: bytes,
        *,
        qop: tuple[bytes, ...] = (AUTH,),
        opaque: bytes | None = None,
        stale: bool = False,
        algorithm_named: bool = True,
    ) -> None:
        self.realm = realm
        self.nonce = nonce
        self.algorithm = algorithm
        self.qop = qop
        self.opaque = opaque
        self.stale = stale
        self.algorithm_named = algorithm_named

    @classmethod
    def parse(cls, value: bytes) -> Challenge:
        """Raises RemoteError for another scheme, or without realm or nonce."""
        params = AuthParams.parse(value)
        realm, nonce = params.value(b"realm"), params.value(b"nonce")
        if params.scheme != b"digest" or realm is None or nonce is None:
            raise RemoteError("Malformed digest challenge")
        algorithm = params.value(b"algorithm")
        qop = params.value(b"qop")
        return cls(
            realm,
            nonce,
            (algorithm or MD5).upper(),
            qop=tuple(qop.lower().replace(b",", b" ").split()) if qop else (),
            opaque=params.value(b"opaque"),
            stale=(params.value(b"stale") or b"").lower() == b"true",
            algorithm_named=algorithm is not None,
        )

    def __bytes__(self) -> bytes:
        parts = [b"realm=" + quote(self.realm), b"nonce=" + quote(self.nonce)]
        if self.opaque is not None:
            parts.append(b"opaque=" + quote(self.opaque))
        if self.stale:
            parts.append(b"stale=true")
        if self.algorithm_named:
            parts.append(b"algorithm=" + _printed(self.algorithm))
        if self.qop:
            parts.append(b"qop=" + quote(b",".join(self.qop)))
        return b"Digest " + b", ".join(parts)


def _printed(algorithm: bytes) -> bytes:
    return algorithm.replace(_SESSION, b"-sess")


def challenges(
    realm: bytes,
    nonce: bytes,
    *,
    algorithms: Iterable[bytes] = PREFERRED,
    allow_md5: bool = False,
    qop: tuple[bytes, ...] = (AUTH,),
    stale: bool = False,
) -> list[bytes]:
    """Header values to send, one per header field, in this order (RFC 8760 §2.3).

    Raises LocalError for an algorithm that this server could not verify.
    """
    wanted = [*algorithms, MD5] if allow_md5 else list(algorithms)
    for algorithm in wanted:
        digest(algorithm, b"")
    return [bytes(Challenge(realm, nonce, a, qop=qop, stale=stale)) for a in wanted]


# --- credentials ----------------------------------------------------------------------------


class Credentials:
    """One Authorization or Proxy-Authorization value of scheme Digest (RFC 7616 §3.4).

    Texts are without quotes; ``algorithm`` is in upper case, MD5 where none is named; ``nc`` is
    eight hexadecimal digits as received and ``count`` its number; both and ``cnonce`` are empty
    (0) where ``qop`` is None.
    """

    __slots__ = (
        "algorithm", "cnonce", "count", "nc", "nonce", "opaque", "qop", "realm", "response",
        "uri", "userhash", "username",
    )  # fmt: skip

    def __init__(self, params: AuthParams) -> None:
        if params.scheme != b"digest":
            raise RemoteError("Not digest credentials")
        self.username = _required(params, b"username")
        self.realm = _required(params, b"realm")
        self.nonce = _required(params, b"nonce")
        self.uri = _required(params, b"uri")
        self.response = _required(params, b"response")
        self.algorithm = (params.value(b"algorithm") or MD5).upper()
        self.opaque = params.value(b"opaque")
        self.userhash = (params.value(b"userhash") or b"").lower() == b"true"
        self.qop = params.value(b"qop")
        self.nc = self.cnonce = b""
        self.count = 0
        if not _RESPONSE.fullmatch(self.response):
            raise RemoteError("Malformed digest response")
        if self.qop is not None:
            self.qop = self.qop.lower()
            self.cnonce = _required(params, b"cnonce")
            self.nc = _required(params, b"nc")
            if not _NONCE_COUNT.fullmatch(self.nc):
                raise RemoteError("Malformed nonce count")
            self.count = int(self.nc, 16)
        elif self.algorithm.endswith(_SESSION):
            self.cnonce = _required(params, b"cnonce")

    @classmethod
    def parse(cls, value: bytes) -> Credentials:
        """Raises RemoteError for another scheme, a missing or malformed parameter."""
        return cls(AuthParams.parse(value))


def _required(params: AuthParams, name: bytes) -> bytes:
    found = params.value(name)
    if not found:
        raise RemoteError("Missing digest parameter")
    return found


class Secret:
    """What the server knows of an account: the password, or HA1 per algorithm (no -SESS)."""

    __slots__ = ("_ha1s", "_password")

    def __init__(
        self, password: bytes | None = None, ha1s: dict[bytes, bytes] | None = None
    ) -> None:
        self._password = password
        self._ha1s = ha1s or {}

    def ha1(self, credentials: Credentials) -> bytes | None:
        """HA1 for these credentials; None where only other algorithms are stored."""
        if self._password is None:
            return self._ha1s.get(credentials.algorithm.removesuffix(_SESSION))
        return ha1(credentials.algorithm, credentials.username, credentials.realm, self._password)


_NOBODY: Final = Secret(password=b"")


def verify(
    credentials: Credentials,
    method: bytes,
    uri: bytes | None,
    secret: Secret | None,
    nonce_is_good: Callable[[bytes], bool],
    *,
    realm: bytes,
    counts: NonceCounts | None = None,
    algorithms: Sequence[bytes] = PREFERRED,
    qop: Sequence[bytes] = (AUTH,),
    allow_rfc2069: bool = False,
    body: bytes = b"",
) -> Result:
    """Judge credentials for one request.

    ``secret`` is None for an unknown user: the answer, and the work done for it, are those for a
    wrong password (SEC-12). ``algorithms`` and ``qop`` are what was offered; anything else is an
    attempt to lower the guard. ``uri`` is the Request-URI, which the credentials' own must equal
    (RFC 7616 §3.4.6), or None where proxies may have changed it on the way (RFC 3261 §22.4).
    ``nonce_is_good`` is `nonce.check_nonce` with its other arguments filled in. ``counts`` refuses
    replays; it is asked last, so that nobody but the owner can use up a count.
    """
    if credentials.realm != realm:
        return Result.OTHER_REALM
    if credentials.algorithm not in algorithms or credentials.userhash:
        return Result.MALFORMED
    if credentials.qop is None:
        if not allow_rfc2069:
            return Result.MALFORMED
    elif credentials.qop not in qop:
        return Result.MALFORMED
    if uri is not None and not _same_uri(credentials.uri, uri):
        return Result.MALFORMED
    known = (secret or _NOBODY).ha1(credentials) or b""
    expected = response(
        credentials.algorithm,
        known,
        method,
        credentials.uri,
        credentials.nonce,
        qop=credentials.qop,
        cnonce=credentials.cnonce,
        nc=credentials.nc,
        body=body,
    )
    right = hmac.compare_digest(expected, credentials.response)
    if not right or not known or secret is None:
        return Result.WRONG
    if not nonce_is_good(credentials.nonce):
        return Result.STALE
    # The RFC 2069 form counts nothing, so its nonce is good for one request.
    count = credentials.count if credentials.qop is not None else 1
    if counts is not None and not counts.accept(credentials.nonce, count):
        return Result.STALE
    return Result.VALID


def _same_uri(ours: bytes, theirs: bytes) -> bool:
    if ours == theirs:
        return True
    try:
        return SipUri.parse(ours).equivalent(SipUri.parse(theirs))
    except RemoteError:
        return False


# --- the client's side ----------------------------------------------------------------------


def answer(
    offered: Iterable[bytes],
    user: bytes,
    password: bytes,
    method: bytes,
    uri: bytes,
    cnonce: bytes,
    nc: int,
    *,
    realm: bytes | None = None,
    algorithms: Sequence[bytes] = KNOWN,
    allow_rfc2069: bool = False,
    body: bytes = b"",
) -> bytes | None:
    """The credentials for the topmost challenge that can be answered; None when there is none.

    ``offered`` are header values in the order received; other schemes, unknown algorithms and
    values of ``qop``, malformed ones, and other realms than ``realm`` (None: any) are ignored, as
    RFC 8760 §2.4 demands. ``nc`` counts from 1 for each nonce.
    """
    if not 0 < nc < 1 << 32:
        raise LocalError("a nonce count is 1 to 2**32 - 1")
    chosen = _choose(offered, realm, algorithms, allow_rfc2069)
    if chosen is None:
        return None
    challenge, qop = chosen
    algorithm, count = challenge.algorithm, b"%08x" % nc
    proof = response(
        algorithm,
        ha1(algorithm, user, challenge.realm, password),
        method,
        uri,
        challenge.nonce,
        qop=qop,
        cnonce=cnonce,
        nc=count,
        body=body,
    )
    parts = [
        b"username=" + quote(user),
        b"realm=" + quote(challenge.realm),
        b"nonce=" + quote(challenge.nonce),
        b"uri=" + quote(uri),
        b"response=" + quote(proof),
    ]
    if challenge.algorithm_named:
        parts.append(b"algorithm=" + _printed(algorithm))
    if qop is not None or algorithm.endswith(_SESSION):
        parts.append(b"cnonce=" + quote(cnonce))
    if challenge.opaque is not None:
        parts.append(b"opaque=" + quote(challenge.opaque))
    if qop is not None:
        parts += [b"qop=" + qop, b"nc=" + count]
    return b"Digest " + b", ".join(parts)


def _choose(
    offered: Iterable[bytes], realm: bytes | None, algorithms: Sequence[bytes], allow_rfc2069: bool
) -> tuple[Challenge, bytes | None] | None:
    """The topmost challenge that can be answered, and the qop to answer it with."""
    for value in offered:
        try:
            challenge = Challenge.parse(value)
        except RemoteError:
            continue
        if challenge.algorithm.removesuffix(_SESSION) not in algorithms:
            continue
        if realm is not None and challenge.realm != realm:
            continue
        for qop in (AUTH, AUTH_INT):
            if qop in challenge.qop:
                return challenge, qop
        if allow_rfc2069 and not challenge.qop:
            return challenge, None
    return None
