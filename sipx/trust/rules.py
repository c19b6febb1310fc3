"""The rules around the trust tables: methods, relaying, identity headers, configuration.

Each refusal is a sentence for people, or None: nothing speaks against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx.addresses import is_private, parse_address
from sipx.trust.terms import Role, SenderKind

if TYPE_CHECKING:
    from collections.abc import Iterable

FEDERATION_METHODS: Final = (
    b"INVITE",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"OPTIONS",
    b"MESSAGE",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"INFO",
    b"UPDATE",
    b"PRACK",
)
"""What peers on the WAN side may send without any option."""

_FEDERATION: Final = frozenset(FEDERATION_METHODS)
_INSIDE: Final = (SenderKind.UC_SERVER, SenderKind.USER)
_BY_ADDRESS: Final = ("udp", "tcp", "ws")


def method_refusal(
    method: bytes,
    role: str,
    *,
    registrar: bool = False,
    publish: bool = False,
    refer: bool = False,
    benotify: bool = False,
) -> str | None:
    """Why this method is answered 405 on an interface of ``role`` ("lan" or "wan"), or None.

    On the LAN side every method passes that is not REGISTER without a registrar, or NEGOTIATE:
    compression (MS-SIPCOMP) is never begun. On the WAN side only the listed ones do.
    """
    if method in _FEDERATION:
        return None
    if method == b"NEGOTIATE":
        return "NEGOTIATE is not allowed: messages are never compressed"
    if method == b"REGISTER":
        return None if registrar else "REGISTER is not allowed: there is no registrar here"
    if (
        role == Role.LAN
        or (method == b"PUBLISH" and publish)
        or (method == b"REFER" and refer)
        or (method == b"BENOTIFY" and benotify)
    ):
        return None
    return f"{method.decode('ascii', 'replace')} is not allowed on the WAN side"


def allowed_methods(
    *, registrar: bool = False, publish: bool = False, refer: bool = False, benotify: bool = False
) -> bytes:
    """The value of the Allow header that goes with a 405 (RFC 3261 §21.4.6)."""
    options = (
        (b"PUBLISH", publish),
        (b"REFER", refer),
        (b"BENOTIFY", benotify),
        (b"REGISTER", registrar),
    )
    return b", ".join((*FEDERATION_METHODS, *(method for method, on in options if on)))


def relay_refusal(
    kind: SenderKind | None, target_ours: bool, *, in_dialog: bool = False
) -> str | None:
    """Why a sender may not reach the target (403), or None (SEC-01).

    UC servers and local users reach everything, others our domains. Inside a dialog that our own
    cookie proves, the target is the Contact that was exchanged, whatever its host.
    """
    if kind in _INSIDE or target_ours or in_dialog:
        return None
    return "relaying denied: peers from outside reach only the domains served here"


def identity_headers_kept(source_trusted: bool, target_trusted: bool, privacy_id: bool) -> bool:
    """Whether P-Asserted-Identity goes from a source to a target (RFC 3325 §5, §7).

    It lives inside the trust domain: both sides have to be trusted. There ``Privacy: id`` does
    not remove it; it binds whoever hands the request on to the outside, which sipx never does
    with an asserted identity, asked for privacy or not.
    """
    if not source_trusted:
        # "it MUST ... remove all P-Asserted-Identity header fields" of a node it does not trust.
        return False
    if privacy_id:
        # §7: "id" means removal "prior to forwarding to elements that are not trusted".
        return target_trusted
    # §7 leaves the rest to the trust domain's policy. Ours: nothing leaves it.
    return target_trusted


def insecure_trust_reason(value: str) -> str | None:
    """The reason in ``yes, <reason>``; None where the value is not of this form."""
    yes, comma, reason = value.partition(",")
    return reason.strip() or None if comma and yes.strip().lower() == "yes" else None


def config_refusals(
    *,
    protocol: str,
    trusted: bool,
    bind: str,
    servers: Iterable[str],
    insecure_trust: str | None = None,
) -> tuple[str, ...]:
    """What speaks against a static route when the configuration is read; empty when nothing does.

    Rows 18 and 21: trust by address alone wants private networks on both sides. ``bind`` is the
    address of the interface that the route's requests come in on; "*" is an interface at every
    address, so it counts as public. ``servers`` are addresses or names; what a name leads to is
    judged when it is used.
    """
    if insecure_trust is not None and insecure_trust_reason(insecure_trust) is None:
        return ('insecure_trust has to be "yes, " and the reason',)
    if not trusted or protocol not in _BY_ADDRESS or insecure_trust is not None:
        return ()
    by = f"a trusted route over {protocol} is trusted by its address alone"
    found = [] if is_private(bind) else [f"{by}, and {_interface_at(bind)}"]
    found += [
        f"{by}, and the server {server} is not in a private network"
        for server in servers
        if parse_address(server) is not None and not is_private(server)
    ]
    return tuple(found)


def account_refusal(*, has_password: bool, bind: str) -> str | None:
    """Row 29: why a LAN account may not be used at an interface bound to ``bind``, or None."""
    if has_password or is_private(bind):
        return None
    return f"an account without a password proves nothing, and {_interface_at(bind)}"


def _interface_at(bind: str) -> str:
    where = "every address" if bind == "*" else bind
    return f"the interface is bound to {where}, not to a private address"
