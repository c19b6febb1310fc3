"""Bindings and where they live (RFC 3261 §10): what the registrar and a location store share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sipx.flows import Flow


@dataclass(slots=True, eq=False)
class Binding:
    """One binding of an address-of-record to a contact, as REGISTER made it.

    ``owner`` is the name of the account that registered it. ``expires`` and ``since`` are seconds
    since 1970. ``q`` is 0 to 1000. ``path`` are the values of Path (RFC 3327), topmost first.
    ``instance`` and ``reg_id`` are those of RFC 5626 (b"" and 0 without). ``interface``,
    ``transport``, ``address`` and ``port`` say over which flow it was registered; ``bulk`` that
    it stands for all telephone numbers of its account (RFC 6140).
    """

    aor: bytes
    contact: bytes
    owner: str
    call_id: bytes
    cseq: int
    expires: float
    since: float
    q: int = 1000
    path: tuple[bytes, ...] = ()
    instance: bytes = b""
    reg_id: int = 0
    interface: str = ""
    transport: str = ""
    address: str = ""
    port: int = 0
    bulk: bool = False
    user_agent: bytes = b""
    flow: Flow | None = field(default=None, repr=False)
    """The flow it was registered over, while that is open; never stored."""

    @property
    def key(self) -> bytes:
        """What tells the bindings of one address-of-record apart.

        The account, so that nobody replaces what is another's, and behind a line break, which is
        in no name of an account: by RFC 5626 §6 instance and reg-id where both are given; else the
        contact.
        """
        owner = self.owner.encode()
        if self.instance and self.reg_id:
            return b"%b\n%b;%d" % (owner, self.instance, self.reg_id)
        return b"%b\n%b" % (owner, self.contact)


@dataclass(frozen=True, slots=True)
class BindingChange:
    """One step of a store: a binding is written in the place ``aor``, ``key``; None removes it."""

    aor: bytes
    key: bytes
    binding: Binding | None


class LocationStore(Protocol):
    """Where bindings outlive the process (RFC 3261 §10).

    The registrar keeps all bindings in memory and answers from there. A store is asked once at
    the start for what it holds, and told of every change before the REGISTER that made it is
    answered. ``name`` is what the status shows. `sipx.testing` has its contract test.
    """

    name: str

    async def open(self) -> None:
        """Before all else. Raises OSError with words for people."""
        ...

    def load(self) -> AsyncIterator[Sequence[Binding]]:
        """All bindings, in pieces; those that have expired may be among them."""
        ...

    async def write(self, changes: Sequence[BindingChange]) -> None:
        """Make the changes, all or none; return when ending the process cannot undo them.

        Raises OSError; then the REGISTER is refused.
        """
        ...

    async def close(self) -> None:
        """The proxy ends."""
        ...
