"""A partner that sends messages over one TCP connection at a steady rate, and counts every answer.

Over TCP nothing is repeated: each final response that comes twice is one too many.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sipx.sip import RemoteError, Response, StreamParser, Via

from .programs import wait_until
from .site import DOMAIN, PARTNER, PARTNER_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class Sent:
    """One MESSAGE and what became of it. Times are of time.monotonic()."""

    user: str
    at: float
    statuses: list[int] = field(default_factory=list)
    """All final responses: one, if all is well."""
    answered_at: float = 0.0
    served_by: str = ""
    retry_after: str = ""

    @property
    def status(self) -> int:
        """The final response, 0 while there is none."""
        return self.statuses[0] if self.statuses else 0


class PartnerLoad:
    """Messages to each of ``users`` in turn, ``rate`` a second, until ``stop``."""

    def __init__(self, proxy: tuple[str, int], users: Sequence[str], rate: int) -> None:
        self.users = users
        self.rate = rate
        self.sent: list[Sent] = []
        self.broken = ""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind((PARTNER_ADDRESS, 0))
        self._socket.connect(proxy)
        self._port = self._socket.getsockname()[1]
        self._by_branch: dict[bytes, Sent] = {}
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._send, self._read)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        begin = time.monotonic()
        for number, user in enumerate(itertools.cycle(self.users)):
            wait = begin + number / self.rate - time.monotonic()
            if self._ending.wait(max(wait, 0)):
                return
            branch = f"z9hG4bKload{number}"
            text = (
                f"MESSAGE sip:{user}@{DOMAIN} SIP/2.0\r\n"
                f"Via: SIP/2.0/TCP {PARTNER_ADDRESS}:{self._port};branch={branch}\r\n"
                "Max-Forwards: 70\r\n"
                f"From: <sip:eve@{PARTNER}>;tag=l{number}\r\n"
                f"To: <sip:{user}@{DOMAIN}>\r\n"
                f"Call-ID: load-{number}@{PARTNER_ADDRESS}\r\n"
                "CSeq: 1 MESSAGE\r\n"
                "Content-Type: text/plain\r\n"
                "Content-Length: 5\r\n\r\nhello"
            )
            one = Sent(user, time.monotonic())
            self._by_branch[branch.encode()] = one
            self.sent.append(one)
            try:
                self._socket.sendall(text.encode())
            except OSError as error:
                self.broken = str(error)
                return

    def _read(self) -> None:
        parser = StreamParser()
        while True:
            try:
                data = self._socket.recv(65535)
            except OSError:
                return
            if not data:
                self.broken = "sipx closed the connection"
                return
            for item in parser.feed(data):
                if isinstance(item, RemoteError):
                    self.broken = str(item)
                elif isinstance(item, Response) and item.status >= 200:
                    self._answered(item)

    def _answered(self, response: Response) -> None:
        via = Via.parse(response.get_list(b"Via")[0])
        one = self._by_branch[via.branch or b""]
        one.statuses.append(response.status)
        one.answered_at = time.monotonic()
        one.served_by = (response.get(b"Served-By") or b"").decode()
        one.retry_after = (response.get(b"Retry-After") or b"").decode()

    def wait(self, true: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Until something is so, while messages flow."""
        wait_until(lambda: bool(self.broken) or true(), what, seconds)
        assert not self.broken, self.broken

    def wait_more(self, count: int) -> None:
        """Until so many further messages have been answered."""
        target = len(self.sent) + count
        self.wait(
            lambda: len(self.sent) >= target and all(one.statuses for one in self.sent[:target]),
            f"{count} further messages and their answers",
        )

    def stop(self) -> None:
        """Send no more, and wait for what is outstanding; a message without an answer is shown."""
        self._ending.set()
        self._threads[0].join(10)
        try:
            wait_until(lambda: all(one.statuses for one in self.sent), "the last answers", 40)
        finally:
            self._socket.close()

    def since(self, moment: float, until: float = float("inf")) -> list[Sent]:
        """What was sent in a span of time."""
        return [one for one in self.sent if moment <= one.at < until]
