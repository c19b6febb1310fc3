"""A SIP client over a plain socket, for what no well-behaved program would send.

It makes its digests by hashlib alone, so that what the proxy computes is judged by another hand.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import socket
import uuid
from typing import TYPE_CHECKING

from sipx.sip import Response, StreamParser, parse_datagram

from .site import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

SECONDS = 15.0
"""The longest that an answer may take."""
_PARAMETER = re.compile(r'(\w[\w-]*)="?([^",]*)"?')


class NothingHeardError(Exception):
    """No answer came: silence, or the connection was closed."""


class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate header."""

    def __init__(self, text: str) -> None:
        self.parameters = dict(_PARAMETER.findall(text.partition(" ")[2]))
        self.algorithm = self.parameters.get("algorithm", "MD5").upper()

    def answer(
        self, user: str, password: str, method: str, uri: str, *, count: int = 1, cnonce: str = "c1"
    ) -> str:
        """The value of an Authorization header (RFC 7616, qop=auth)."""
        realm, nonce = self.parameters["realm"], self.parameters["nonce"]

        def hashed(text: str) -> str:
            name = {"MD5": "md5", "SHA-256": "sha256"}[self.algorithm]
            return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

        secret = hashed(f"{user}:{realm}:{password}")
        what = hashed(f"{method}:{uri}")
        response = hashed(f"{secret}:{nonce}:{count:08x}:{cnonce}:auth:{what}")
        opaque = self.parameters.get("opaque")
        return (
            f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm={self.algorithm}, qop=auth, nc={count:08x}, '
            f'cnonce="{cnonce}"' + (f', opaque="{opaque}"' if opaque is not None else "")
        )


class RawClient:
    """One socket. ``address`` is where it sends from, so that bans and rates have somebody."""

    def __init__(
        self, place: tuple[str, int], *, protocol: str = "tcp", address: str = "127.0.0.1"
    ) -> None:
        self.protocol = protocol
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.settimeout(SECONDS)
        self.socket.bind((address, 0))
        self.socket.connect(place)
        self.host, self.port = self.socket.getsockname()[:2]
        self._parser = StreamParser()
        self._waiting: list[Response] = []
        self._cseq = itertools.count(1)
        self.call_id = uuid.uuid4().hex

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    # ------------------------------------------------------------ requests

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str,
        sender: str | None = None,
        headers: Iterable[str] = (),
        body: str = "",
        call_id: str = "",
        cseq: int = 0,
    ) -> str:
        """The text of a request; ``to`` and ``sender`` are URIs."""
        return "\r\n".join(
            [
                f"{method} {uri} SIP/2.0",
                f"Via: SIP/2.0/{self.protocol.upper()} {self.host}:{self.port}"
                f";branch=z9hG4bK{uuid.uuid4().hex};rport",
                "Max-Forwards: 70",
                f"From: <{sender or to}>;tag={uuid.uuid4().hex[:8]}",
                f"To: <{to}>",
                f"Call-ID: {call_id or self.call_id}",
                f"CSeq: {cseq or next(self._cseq)} {method}",
                *headers,
                f"Content-Length: {len(body.encode())}",
                "",
                body,
            ]
        )

    def register(self, user: str, *headers: str, expires: int = 600, sender: str = "") -> str:
        """A REGISTER that binds a user of the domain to this socket."""
        transport = self.protocol
        contact = f"Contact: <sip:{user}@{self.host}:{self.port};transport={transport}>"
        return self.request(
            "REGISTER",
            f"sip:{DOMAIN}",
            to=f"sip:{user}@{DOMAIN}",
            sender=sender or None,
            headers=[contact, f"Expires: {expires}", *headers],
        )

    def message(self, to: str, sender: str, *headers: str) -> str:
        """A MESSAGE to a user from a user of the domain."""
        return self.request(
            "MESSAGE",
            f"sip:{to}@{DOMAIN}",
            to=f"sip:{to}@{DOMAIN}",
            sender=f"sip:{sender}@{DOMAIN}",
            headers=["Content-Type: text/plain", *headers],
            body="hello",
            call_id=uuid.uuid4().hex,
        )

    # ------------------------------------------------------------ the socket

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def hear(self, seconds: float = SECONDS) -> Response:
        """The next final response. Raises NothingHeardError."""
        self.socket.settimeout(seconds)
        while True:
            while self._waiting:
                response = self._waiting.pop(0)
                if response.status >= 200:
                    return response
            try:
                data = self.socket.recv(65535)
            except (TimeoutError, ConnectionError) as error:
                raise NothingHeardError(str(error)) from error
            if not data:
                raise NothingHeardError("the connection was closed")
            udp = self.protocol == "udp"
            items = (parse_datagram(data),) if udp else self._parser.feed(data)
            self._waiting += [item for item in items if isinstance(item, Response)]

    def ask(self, text: str, seconds: float = SECONDS) -> Response:
        """Send a request and wait for its final response. Raises NothingHeardError."""
        self.send(text)
        return self.hear(seconds)

    def challenges(self, response: Response) -> list[Challenge]:
        """All challenges of a 401 or 407, in their order."""
        name = b"WWW-Authenticate" if response.status == 401 else b"Proxy-Authenticate"
        return [Challenge(value.decode()) for value in response.get_all(name)]

    def prove(self, build: Callable[..., str], account: str, password: str) -> Response:
        """Send what ``build(*headers)`` makes, and once more with credentials if challenged."""
        text = build()
        response = self.ask(text)
        if response.status not in (401, 407):
            return response
        name = "Authorization" if response.status == 401 else "Proxy-Authorization"
        method, uri = text.split(" ")[:2]
        value = self.challenges(response)[0].answer(account, password, method, uri)
        return self.ask(build(f"{name}: {value}"))

    def register_with(self, user: str, account: str, password: str, expires: int = 600) -> Response:
        """REGISTER, and once more with the credentials if it is challenged."""
        return self.prove(
            lambda *headers: self.register(user, *headers, expires=expires), account, password
        )
