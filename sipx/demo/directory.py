"""Which server has to get a request, if the proxy does what it should.

It follows the story and not the proxy: who is registered where, who stands in for whom, and which
servers have begun and ended which dialogs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx.sip import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.demo.people import Person
    from sipx.sip import NameAddr, Request

FORMS_DIALOGS: Final = (b"INVITE", b"SUBSCRIBE")
KEPT: Final = 10_000
"""Dialogs that are remembered."""


class Ends(NamedTuple):
    """The two servers of a dialog, "" for nobody; ``tag`` is that of the one that began it."""

    tag: bytes
    caller: str
    callee: str


class Directory:
    """Where everybody is now. A server that is started again has another ``life``."""

    def __init__(self, people: Iterable[Person], stand_ins: dict[Person, str]) -> None:
        self._at: dict[bytes, str] = {address_of(person): person.server for person in people}
        self._stand_ins = {address_of(person): name for person, name in stand_ins.items()}
        self._lives: dict[str, str] = {}
        self._dialogs: OrderedDict[bytes, Ends] = OrderedDict()

    # ------------------------------------------------------------ servers

    def started(self, server: str, life: str) -> None:
        """A server has logged on and registered its people."""
        self._lives[server] = life

    def stopped(self, server: str) -> None:
        """A server has gone, and its dialogs with it."""
        self._lives.pop(server, None)

    def serves(self, person: Person) -> str:
        """The server that speaks for somebody now; "" while there is none."""
        return self._serving(address_of(person))

    def _serving(self, address: bytes) -> str:
        for server in (self._at.get(address, ""), self._stand_ins.get(address, "")):
            if server in self._lives:
                return server
        return ""

    # ------------------------------------------------------------ requests

    def expected(self, request: Request) -> str:
        """The life of the server that has to get a request; "" where 480 is due."""
        if request.to.tag is None:
            server = self._serving(_address(request.to))
            life = self._lives.get(server, "")
            if request.method in FORMS_DIALOGS:
                sender = self._lives.get(self._serving(_address(request.from_)), "")
                self._dialogs[request.call_id] = Ends(request.from_.tag or b"", sender, life)
                if len(self._dialogs) > KEPT:
                    self._dialogs.popitem(last=False)
            return life
        ends = self._dialogs.get(request.call_id)
        if ends is None:
            return ""
        life = ends.callee if request.from_.tag == ends.tag else ends.caller
        return life if life in self._lives.values() else ""


def address_of(person: Person) -> bytes:
    """``user@host``."""
    return str(person).encode()


def _address(address: NameAddr) -> bytes:
    uri = SipUri.parse(address.uri)
    return b"%b@%b" % (uri.user or b"", uri.host)
