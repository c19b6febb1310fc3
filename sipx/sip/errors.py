"""Two kinds of failure, told apart by whose fault it is."""

from __future__ import annotations


class RemoteError(Exception):
    """The other side sent something that the rules do not allow.

    ``reason`` is a phrase of our own (it never repeats what came in), ``status`` the code to
    answer with, ``fatal`` says that the stream it came on cannot be trusted any more: answer,
    then close (RFC 3261 §18.3). ``reply`` is the whole answer where enough of the request was
    usable to make one (RFC 3261 §8.2.6), else None: drop.
    """

    def __init__(self, reason: str, status: int = 400, *, fatal: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.fatal = fatal
        self.reply: bytes | None = None


class LocalError(Exception):
    """Our own caller asked for something that the rules do not allow."""
