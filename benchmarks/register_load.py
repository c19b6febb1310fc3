"""REGISTERs over one TCP connection, with digest: what registrations.py sends."""

from __future__ import annotations

import hashlib
import re
import socket
import time
from collections import deque
from dataclasses import dataclass

DOMAIN = "a.example"
ACCOUNT = "bench"
PASSWORD = "secret"
SECONDS = 120.0
"""The longest that one run may take."""
_STATUS = re.compile(rb"SIP/2\.0 (\d\d\d)")
_USER = re.compile(rb"\r\nCall-ID: *r(\d+)@", re.IGNORECASE)
_CHALLENGE = re.compile(rb"\r\nWWW-Authenticate: *Digest ([^\r]*SHA-256[^\r]*)", re.IGNORECASE)
_NONCE = re.compile(rb'nonce="([^"]+)"')
_OPAQUE = re.compile(rb'opaque="([^"]+)"')
URI = f"sip:{DOMAIN}"


def _hashed(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@dataclass
class Run:
    """What a run came to."""

    registered: int
    seconds: float
    challenges: int
    """401s: the first, and those for a nonce that had become stale."""
    failed: list[str]

    @property
    def rate(self) -> float:
        """Registrations per second."""
        return self.registered / self.seconds


class Registrant:
    """A UC server that registers users ``u0``, ``u1`` ...; each user keeps its Call-ID.

    With ``credentials`` each REGISTER carries a digest of its own, with a count of its own;
    without, only what is challenged does (a registrar may take the connection for proof).
    """

    def __init__(self, place: tuple[str, int], *, credentials: bool = True) -> None:
        self.credentials = credentials
        self.socket = socket.create_connection(place)
        self.socket.settimeout(SECONDS)
        self.host, self.port = self.socket.getsockname()
        self.secret = _hashed(f"{ACCOUNT}:{DOMAIN}:{PASSWORD}".encode())
        self.what = _hashed(f"REGISTER:{URI}".encode())
        self.nonce = ""
        self.opaque = ""
        self.count = 0
        self.cseq = 0
        self._sent = 0

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def _credentials(self) -> str:
        self.count += 1
        count = f"{self.count:08x}"
        response = _hashed(f"{self.secret}:{self.nonce}:{count}:c:auth:{self.what}".encode())
        opaque = f', opaque="{self.opaque}"' if self.opaque else ""
        return (
            f'Authorization: Digest username="{ACCOUNT}", realm="{DOMAIN}", nonce="{self.nonce}", '
            f'uri="{URI}", response="{response}", algorithm=SHA-256, qop=auth, nc={count}, '
            f'cnonce="c"{opaque}\r\n'
        )

    def _request(self, user: int, *, prove: bool) -> bytes:
        self._sent += 1
        self.cseq += 1
        credentials = self._credentials() if prove and self.nonce else ""
        return (
            f"REGISTER {URI} SIP/2.0\r\n"
            f"Via: SIP/2.0/TCP {self.host}:{self.port}"
            f";branch=z9hG4bK{id(self):x}.{self._sent:x}\r\n"
            "Max-Forwards: 70\r\n"
            f"From: <sip:u{user}@{DOMAIN}>;tag=t{self._sent:x}\r\n"
            f"To: <sip:u{user}@{DOMAIN}>\r\n"
            f"Call-ID: r{user}@{self.host}\r\n"
            f"CSeq: {self.cseq} REGISTER\r\n"
            f"Contact: <sip:u{user}@{self.host}:{self.port};transport=tcp>\r\n"
            f"Expires: 36000\r\n{credentials}"
            "Content-Length: 0\r\n\r\n"
        ).encode()

    def run(self, users: range, count: int, *, window: int = 64) -> Run:
        """``count`` registrations of users in turn, with ``window`` under way."""
        waiting = deque(users[number % len(users)] for number in range(count))
        again: deque[int] = deque()
        result = Run(0, 0.0, 0, [])
        outstanding = 0
        rest = b""
        begin = time.perf_counter()
        while result.registered + len(result.failed) < count:
            # The first one alone: its challenge has the nonce for all.
            room = (window if self.nonce else 1) - outstanding
            out = []
            while room > 0 and (again or waiting):
                prove = bool(again) or self.credentials
                out.append(self._request((again or waiting).popleft(), prove=prove))
                room -= 1
            if out:
                outstanding += len(out)
                self.socket.sendall(b"".join(out))
            data = self.socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the registrar closed the connection")
            *answers, rest = (rest + data).split(b"\r\n\r\n")
            for answer in answers:
                outstanding -= 1
                self._answered(answer, again, result)
        result.seconds = time.perf_counter() - begin
        return result

    def _answered(self, answer: bytes, again: deque[int], result: Run) -> None:
        status = _STATUS.match(answer.lstrip())
        user = _USER.search(answer)
        if status is None or user is None:
            raise ValueError(f"this is no answer to a REGISTER: {answer[:200]!r}")
        if status[1] == b"200":
            result.registered += 1
        elif status[1] == b"401" and (challenge := _CHALLENGE.search(answer)):
            nonce = _NONCE.search(challenge[1])
            opaque = _OPAQUE.search(challenge[1])
            if nonce is None:
                raise ValueError("a challenge without a nonce")
            result.challenges += 1
            if nonce[1].decode() != self.nonce:
                self.nonce, self.count = nonce[1].decode(), 0
            self.opaque = opaque[1].decode() if opaque else ""
            again.append(int(user[1]))
        else:
            result.failed.append(answer.partition(b"\r\n")[0].decode(errors="replace"))
