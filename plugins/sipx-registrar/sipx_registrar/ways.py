"""Ways to whoever registered: flows, and what can be dialled once they are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx import NextHop, parse_address
from sipx.sip import RemoteError, cached_uri

if TYPE_CHECKING:
    from sipx import Account, Binding, Flow, Target

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061, "mtls": 5061}
"""RFC 3261 §19.1.2."""
SECURED: Final = ("tls", "mtls", "wss")


@dataclass(slots=True, eq=False)
class Way:
    """A flow to a server. ``since`` and ``until`` are seconds since 1970; a connection to a
    configured place has no end. ``logon``: the server itself logged on there, not only its users.
    """

    flow: Flow
    target: Target
    since: float
    until: float
    contact: bytes = b""
    logon: bool = False


def dialable(contact: bytes, flow: Flow) -> NextHop | None:
    """Where the Contact of a server can be dialled that registered over ``flow``."""
    return dialable_uri(contact, flow.address, flow.transport, flow.interface.name)


def dialable_uri(contact: bytes, address: str, transport: str, interface: str) -> NextHop | None:
    """Where a Contact can be dialled: only if it names the address that it was registered from.

    Anything else is behind a NAT, or points at somebody else. It is dialled from the interface
    that it was registered on: only there the requests within its dialogs are known as its own.
    """
    try:
        uri = cached_uri(contact)
    except RemoteError:
        return None
    host = parse_address(uri.host.decode("ascii", "replace"))
    if host is None or host != parse_address(address):
        return None
    wanted = (uri.transport or (b"tls" if uri.scheme == b"sips" else b"udp")).decode()
    if wanted != transport and not (wanted == "tls" and transport == "mtls"):
        return None
    port = uri.port or DEFAULT_PORTS.get(transport, 5060)
    return NextHop(str(host), port, transport, interface or None)


def hop_of(binding: Binding) -> NextHop | None:
    """Where a binding whose flow is gone can be reached; None: not before it registers again.

    By UDP the address it came from is as good as the flow was. A connection is opened only to
    where it came from as well: what its Contact says otherwise is behind a NAT or elsewhere. One
    with a reg-id is only ever reached over its flows (RFC 5626 §5.3).
    """
    if binding.reg_id or not binding.address:
        return None
    if binding.transport == "udp":
        return NextHop(binding.address, binding.port, "udp", binding.interface or None)
    return dialable_uri(binding.contact, binding.address, binding.transport, binding.interface)


def verifiable(hop: NextHop, account: Account) -> bool:
    """Whether it can be proven who is at a hop. A Contact that is dialled is an address, and over
    TLS an address is nobody's identity (RFC 5922 §7.1): the account has to say what is.
    """
    return hop.transport not in SECURED or account.partner is not None


def same_uri(one: bytes, other: bytes) -> bool:
    """RFC 3261 §19.1.4; what cannot be compared is not the same."""
    if one == other:
        return True
    try:
        return cached_uri(one).equivalent(cached_uri(other))
    except RemoteError:
        return False


def is_number(aor: bytes) -> bool:
    """Whether the user is a global telephone number (RFC 3966 §5.1.4)."""
    user = aor.rpartition(b"@")[0]
    return user[:1] == b"+" and user[1:].isdigit()


def bulk_uri(contact: bytes, aor: bytes) -> bytes:
    """A bulk contact with a number as its user, and without ``bnc``."""
    uri = cached_uri(contact)
    head = uri.scheme + b":" + aor.rpartition(b"@")[0] + b"@" + uri.hostport_bytes
    rest = [
        b";" + name if value is None else b";" + name + b"=" + value
        for name, value in uri.params
        if name != b"bnc"
    ]
    return head + b"".join(rest)
