"""What a REGISTER asks for: read, and checked as far as it can be by itself (RFC 3261 §10.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx import Refuse
from sipx.sip import NameAddr, RemoteError, SipUri, cached_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipx import Account, Flow
    from sipx.sip import Request

UNDERSTOOD: Final = frozenset((b"path", b"outbound", b"gin"))
"""Option tags that may stand in Require: RFC 3327, RFC 5626, RFC 6140."""
MALFORMED_EXPIRES: Final = 3600
"""RFC 3261 §20.10: malformed values "SHOULD be treated as equivalent to 3600"."""
MOST_CONTACTS: Final = 100
"""Contact values in one request that are looked at."""
LONGEST: Final = 1024
"""Bytes of a contact, of an instance, of a Call-ID, of all Path values: all are kept."""
MAX_REG_ID: Final = 2**31 - 1


class Refused(Exception):  # noqa: N818  # an answer, not a mistake
    """The REGISTER is answered with this."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(why)
        self.answer = Refuse(status, why, headers)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One Contact value. ``expires`` are the seconds that are asked for; None: nothing is said.

    ``q`` is 0 to 1000. ``instance``, with its quotes, and ``reg_id`` are b"" and 0 unless both
    count (RFC 5626 §6).
    """

    contact: bytes
    uri: SipUri
    expires: int | None
    q: int = 1000
    instance: bytes = b""
    reg_id: int = 0
    bulk: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """A REGISTER, read. ``contacts`` is empty for a question; ``star`` is ``Contact: *``.

    ``place`` is the address-of-record, or where the logon of a server itself is bound.
    """

    request: Request
    flow: Flow
    account: Account
    place: bytes
    logon: bool
    contacts: tuple[Wanted, ...]
    star: bool
    path: tuple[bytes, ...]
    call_id: bytes
    cseq: int

    @property
    def changes(self) -> bool:
        """Whether it asks for more than the list of bindings."""
        return self.star or bool(self.contacts)

    @property
    def outbound(self) -> bool:
        """Whether a flow of RFC 5626 is registered."""
        return any(each.reg_id for each in self.contacts)


def read_required(request: Request) -> frozenset[bytes]:
    """§10.3 item 2: "the registrar MUST process the Require header field values" as §8.2.2 says.

    Raises Refused.
    """
    required = tags_of(request, b"Require")
    foreign = sorted(required - UNDERSTOOD)
    if foreign:
        raise Refused(420, "", (b"Unsupported", b", ".join(foreign)))
    return required


def read_path(request: Request, supported: frozenset[bytes]) -> tuple[bytes, ...]:
    """The values of Path, topmost first (RFC 3327 §5.3). Raises Refused and RemoteError."""
    values = tuple(request.get_list(b"Path"))
    if not values:
        return ()
    if b"path" not in supported:
        # "The recommended policy is for the registrar to reject the request with a 420 (Bad
        # Extension)": who does not know of the Path could not tell that it is another's.
        raise Refused(420, "Path without support for it", (b"Unsupported", b"path"))
    if sum(map(len, values)) > LONGEST:
        raise Refused(400, "Path is too long to be kept")
    for value in values:
        address = NameAddr.parse(value)
        if not address.bracketed:
            raise Refused(400, "Path without angle brackets")
        SipUri.parse(address.uri)
    return values


def read_contacts(
    request: Request,
    path: Sequence[bytes],
    supported: frozenset[bytes],
    required: frozenset[bytes],
) -> tuple[tuple[Wanted, ...], bool]:
    """The Contact values, and whether they are the star. Raises Refused and RemoteError."""
    values = request.get_list(b"Contact")
    if not values:
        return (), False
    if len(values) > MOST_CONTACTS:
        raise Refused(400, f"more than {MOST_CONTACTS} contacts in one request")
    given = [NameAddr.parse(value) for value in values]
    default = _expires_header(request)
    if any(each.is_star for each in given):
        # §10.3 item 6: "If the request has additional Contact fields or an expiration time other
        # than zero, the request is invalid, and the server MUST return a 400 (Invalid Request)".
        if len(given) > 1 or default != 0 or given[0].params:
            raise Refused(400, "Contact: * stands alone and with Expires: 0")
        return (), True
    bulk = b"gin" in required
    flows = b"outbound" in supported
    wanted = tuple(_wanted(each, default, flows=flows, bulk=bulk) for each in given)
    lasting = [each for each in wanted if each.expires != 0]
    if any(each.reg_id for each in lasting):
        if len(lasting) > 1:
            # RFC 5626 §6: "more than one Contact header field value with a non-zero expiration"
            raise Refused(400, "a request with reg-id registers one contact")
        if not _first_hop_knows_outbound(request, path):
            raise Refused(439, "the first proxy of this request does not support outbound")
    return wanted, False


def tags_of(request: Request, name: bytes) -> frozenset[bytes]:
    """The option tags of Require or Supported, which may be empty (RFC 3261 §20.37)."""
    return frozenset(
        [
            tag.strip(b" \t").lower()
            for value in request.get_all(name)
            for tag in value.split(b",")
            if tag.strip(b" \t")
        ]
    )


def _expires_header(request: Request) -> int | None:
    value = request.get(b"Expires")
    return None if value is None else _seconds(value)


def _seconds(value: bytes) -> int:
    text = value.strip(b" \t")
    if not text.isdigit():
        return MALFORMED_EXPIRES
    # RFC 3261 §20.19: "between 0 and (2**32)-1"; what is larger is as long as can be.
    return int(text) if len(text) <= 10 else 2**32 - 1


def _wanted(address: NameAddr, default: int | None, *, flows: bool, bulk: bool) -> Wanted:
    """One Contact value. Raises Refused and RemoteError."""
    try:
        uri = cached_uri(address.uri)
    except RemoteError as error:
        if error.status != 416:
            raise
        raise Refused(400, "a contact that is no SIP URI") from None
    if len(address.uri) > LONGEST:
        raise Refused(400, "a contact is too long to be kept")
    if uri.headers is not None or uri.param(b"method") is not None:
        # §19.1.1: neither may stand in a Request-URI, which is what the contact becomes.
        raise Refused(400, "a contact with header fields or a method")
    stands_for_all = uri.param(b"bnc") is not None
    if stands_for_all is not bulk or (bulk and uri.user is not None):
        # RFC 6140 §5.2: a contact with bnc "MUST NOT include a user portion".
        raise Refused(400, "a bulk contact has bnc, no user, and Require: gin")
    said = address.param(b"expires")
    expires = default if said is None else _seconds(said)
    q = address.q
    instance, reg_id = _flow_of(address) if flows else (b"", 0)
    return Wanted(
        contact=address.uri,
        uri=uri,
        expires=expires,
        q=1000 if q is None else q,
        instance=instance,
        reg_id=reg_id,
        bulk=bulk,
    )


def _flow_of(address: NameAddr) -> tuple[bytes, int]:
    """+sip.instance and reg-id, if both are there (RFC 5626 §6). Raises Refused."""
    instance, reg_id = address.param(b"+sip.instance"), address.param(b"reg-id")
    if not instance or not reg_id:
        return b"", 0
    if instance[:2] != b'"<' or instance[-2:] != b'>"' or len(instance) > LONGEST:
        raise Refused(400, "malformed +sip.instance")
    if not reg_id.isdigit() or len(reg_id) > 10 or not 0 < int(reg_id) <= MAX_REG_ID:
        raise Refused(400, "malformed reg-id")
    return instance, int(reg_id)


def _first_hop_knows_outbound(request: Request, path: Sequence[bytes]) -> bool:
    """RFC 5626 §6: the client is connected to us, or its edge proxy said ``ob`` in its Path."""
    if len(request.vias) == 1:
        return True
    return any(SipUri.parse(NameAddr.parse(value).uri).param(b"ob") is not None for value in path)
