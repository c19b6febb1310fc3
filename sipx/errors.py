"""Failures of the kernel that an operator can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipx.reasons import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.config.errors import Problem


class SipxError(Exception):
    """Something that ends a command with a sentence instead of a traceback."""


class PluginError(SipxError):
    """A plugin cannot be loaded or breaks the rules of docs/hooks.md; names it and the remedy."""


class ReloadError(SipxError):
    """Another configuration could not be taken up; the old one runs on.

    ``problems`` name the keys that it is about, where one knows.
    """

    def __init__(self, text: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


class StartError(SipxError):
    """The configuration is right, but the machine refuses: an address in use, a missing right."""


class Refused(Exception):  # noqa: N818  # an outcome: the response that refuses
    """A step of RFC 3261 §16 ends with a final response: ``status``, and ``why`` in words.

    ``reason`` is what counters call it, ``row`` the row of docs/trust.md that says so, 0 if none;
    ``asked`` is the hook of the plugin that refuses, None: the proxy itself does.
    """

    def __init__(
        self,
        status: int,
        why: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        reason: Refusal = Refusal.OTHER,
        row: int = 0,
        asked: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.headers = headers
        self.reason = reason
        self.row = row
        self.asked = asked
