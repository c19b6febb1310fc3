"""The words of the trust tables: who, which side, what was established, what is decided.

Facts left out of `Incoming` are those of a stranger's request outside a dialog.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class SenderKind(Enum):
    """What a peer is to us once its request is accepted."""

    UC_SERVER = "UC server"
    PARTNER = "partner"
    DISCOVERED = "discovered partner"
    USER = "user"


class Role(StrEnum):
    """Which side an interface is on."""

    LAN = "lan"
    WAN = "wan"


class Certificate(Enum):
    """What the peer's certificate is worth."""

    NONE = "none"
    BAD = "bad"
    OK = "ok"


class CertificateFault(Enum):
    """Why a certificate is bad: the TLS alert that says so (RFC 8446 §6.2), and words."""

    UNKNOWN_CA = ("unknown_ca", "no authority that is trusted here issued it")
    EXPIRED = ("certificate_expired", "it has expired")
    NOT_YET_VALID = ("certificate_expired", "it is not valid yet")
    REVOKED = ("certificate_revoked", "it was revoked")
    WRONG_PURPOSE = ("unsupported_certificate", "its extended key usage forbids this use")
    NO_NAME = ("bad_certificate", "it names no domain or server")

    @property
    def alert(self) -> str:
        """The name of the TLS alert."""
        return self.value[0]


class RegistrarAuth(Enum):
    """What the registrar says: VALID is a right digest, or a live registration on this flow."""

    NONE = "none"
    VALID = "valid"
    STALE = "stale"
    WRONG = "wrong"


class Identity(Enum):
    """By which profile a certificate was found good for the From domain, or why it was not."""

    NONE = "not good for the domain"
    RFC5922 = "rfc5922"
    SUFFIX = "ms-suffix"
    HOSTING = "hosting"
    DNS_FAILED = "DNS failed"
    NO_SRV = "no SRV record"


class Dialog(Enum):
    """What a request's claim to be inside a dialog is worth (RFC 3261 §12.2)."""

    NONE = "outside"
    AUTHENTICATED = "our cookie, same peer, authenticated on this very flow"
    KNOWN = "our cookie, same peer"
    UNPROVEN = "claimed only"


def dialog_standing(
    *, claimed: bool, cookie_valid: bool, same_peer: bool, authenticated_here: bool
) -> Dialog:
    """From four plain facts: a To tag is a claim, a cookie that somebody else shows is none."""
    if not claimed:
        return Dialog.NONE
    if not (cookie_valid and same_peer):
        return Dialog.UNPROVEN
    return Dialog.AUTHENTICATED if authenticated_here else Dialog.KNOWN


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """A static route whose protocol and certificate or address the peer matches.

    ``covers``: the From domain is its own or one of its further ones. ``local``: its domain is one
    of ours, so its peer is a UC server. ``insecure_trust``: the operator gave a reason for trusting
    addresses outside private networks.
    """

    name: str
    covers: bool
    active: bool = True
    trusted: bool = False
    local: bool = False
    insecure_trust: bool = False


@dataclass(frozen=True, slots=True)
class PasswordlessAccount:
    """A LAN account without a password: does the request name it, is its source listed there?"""

    user_matches: bool
    source_listed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Everything that the decision on a request from outside or from the LAN needs."""

    protocol: str
    """udp, tcp, tls, mtls, ws (judged as tcp) or wss (judged as tls)."""
    role: Role = Role.WAN
    method: bytes = b"MESSAGE"
    banned: bool = False
    scanner: bool = False
    """The source asked for so much that does not exist that it gets no answer over UDP."""
    certificate: Certificate = Certificate.NONE
    fault: CertificateFault = CertificateFault.NO_NAME
    routes: tuple[RouteFacts, ...] = ()
    """All routes the peer matches, active or not, the most specific domain first."""
    static_routes_on: bool = True
    server_entry: bool = False
    """The certificate names a UC server of the LAN settings."""
    lan_user_set: bool = True
    passwordless: PasswordlessAccount | None = None
    roaming: bool = False
    """The registrar lets accounts log on at this interface although it is on the WAN side."""
    auth: RegistrarAuth = RegistrarAuth.NONE
    failures: int = 0
    """Wrong passwords in a row from this source, this one included."""
    user_account: bool = False
    """The account that logs on, or that authenticated the dialog, is a user's, no UC server's."""
    from_is_account: bool = False
    """From is the address-of-record of that user's account."""
    open_federation_on: bool = False
    welcome: bool = True
    """The operator's lists let the From domain federate with us."""
    identity: Identity = Identity.NONE
    from_ours: bool
    """The From domain is one of the presence domains served here."""
    from_blocked: bool = False
    asserted_covered: bool = False
    """What P-Asserted-Identity names is of a domain that this peer may use in From."""
    target_ours: bool = True
    """The Request-URI is of our domain; who does not know yet asks `relay_refusal` later."""
    over_limit: bool = False
    peer_private: bool = False
    """The source is an address of a private network."""
    bind_private: bool = False
    """The request came in on an address of a private network."""
    dialog: Dialog = Dialog.NONE
    matches_invite: bool = False
    """A CANCEL of an INVITE from the same hop, or the ACK for an INVITE that was accepted."""


class Action(Enum):
    """What to do with a request.

    CLOSE ends the handshake or connection, DROP says nothing, THROTTLE stops reading from the
    peer and answers what cannot wait.
    """

    ACCEPT = "accept"
    CHALLENGE = "challenge"
    REFUSE = "refuse"
    CLOSE = "close"
    DROP = "drop"
    THROTTLE = "throttle"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, by which row, and why.

    ``row`` decided (0: the rules before the table), ``through`` are the rows on the way to it
    (24, 26, 28). ``limited``: a discovered partner's limits apply; of a refusal or a challenge:
    it must be small and rate-limited. ``keep_identity``: P-Asserted-Identity survives.
    ``source_type`` is Microsoft's word for UC servers that ask for it. ``status`` is None where
    nothing is answered. ``ban``: count this towards a ban of the source. ``alert``: of TLS.
    """

    row: int
    action: Action
    reason: str
    status: int | None = None
    kind: SenderKind | None = None
    trusted: bool = False
    limited: bool = False
    keep_identity: bool = False
    source_type: str | None = None
    warn: str | None = None
    through: tuple[int, ...] = ()
    stale: bool = False
    ban: bool = False
    alert: str | None = None
