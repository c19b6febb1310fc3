"""What the DNS says, as plain values: addresses, SRV and NAPTR records, and the lack of them."""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

import dns.name
import dns.rdata

from sipx.addresses import parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.rdtypes.IN.NAPTR import NAPTR
    from dns.rdtypes.IN.SRV import SRV

Kind = Literal["nxdomain", "nodata", "refused", "servfail", "timeout", "filtered"]
RecordType = Literal["A", "AAAA", "SRV", "NAPTR"]

MAX_RECORDS: Final = 32
"""Records of one answer that are looked at; the first ones count."""
_MAX_SHOWN: Final = 255
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


class SrvRecord(NamedTuple):
    """RFC 2782; ``target`` in lower case without the final dot, "." if there is no service."""

    priority: int
    weight: int
    port: int
    target: str


class NaptrRecord(NamedTuple):
    """RFC 3403 §4.1; ``flags``, ``services``, ``replacement`` in lower case."""

    order: int
    preference: int
    flags: str
    services: str
    replacement: str


class Answer(NamedTuple):
    """What the DNS said to one question; of the record fields only that of ``type`` is filled.

    ``failure`` is None when there are records; ``text`` says in words what was asked, of whom,
    and what came. ``expires`` is a time of the cache's clock. ``authentic`` is the AD bit: the
    server says that it has validated the answer (RFC 4035 §3.2.3). ``alias`` is the name that a
    CNAME put in the place of the asked one, "" without.
    """

    name: str
    type: RecordType
    text: str
    expires: float
    failure: Kind | None = None
    addresses: tuple[str, ...] = ()
    srv: tuple[SrvRecord, ...] = ()
    naptr: tuple[NaptrRecord, ...] = ()
    authentic: bool = False
    alias: str = ""

    @property
    def is_temporary(self) -> bool:
        """Whether the name servers failed, so that nothing is known about the name."""
        return self.failure in ("servfail", "timeout")


def special_answer(name: str, kind: RecordType) -> Answer | None:
    """Names that no name server is asked for (RFC 6761 §6.3 and §6.4, and what is no name)."""
    asked = f"{kind} {name[:_MAX_SHOWN]}"
    if not _HOST_NAME.fullmatch(name):
        # RFC 3261 §25.1: the last label of a host name begins with a letter, so ``127.1`` or
        # ``0x7f000001``, which the C library reads as addresses, are neither names nor addresses.
        return Answer(name, kind, f"{asked}: this is not a host name", inf, "nxdomain")
    label = name.rpartition(".")[2]
    if label == "localhost" and kind in ("A", "AAAA"):
        address = "127.0.0.1" if kind == "A" else "::1"
        return Answer(name, kind, f"{asked}: {address}, by RFC 6761", inf, addresses=(address,))
    if label == "localhost":
        return Answer(name, kind, f"{asked}: no such record, by RFC 6761", inf, "nodata")
    if label == "invalid":
        return Answer(name, kind, f"{asked}: cannot exist, by RFC 6761", inf, "nxdomain")
    return None


def addresses_of(rdatas: Sequence[dns.rdata.Rdata]) -> tuple[str, ...]:
    """The addresses of A or AAAA records, each once, in the order of the answer."""
    parsed = (parse_address(rdata.to_text()) for rdata in rdatas)
    return tuple(dict.fromkeys(str(address) for address in parsed if address is not None))


def srv_of(rdata: dns.rdata.Rdata) -> SrvRecord:
    """An SRV record as a plain value."""
    srv = cast("SRV", rdata)
    return SrvRecord(srv.priority, srv.weight, srv.port, _name_text(srv.target))


def naptr_of(rdata: dns.rdata.Rdata) -> NaptrRecord:
    """A NAPTR record as a plain value; its regular expression has no use in RFC 3263."""
    naptr = cast("NAPTR", rdata)
    return NaptrRecord(
        naptr.order,
        naptr.preference,
        naptr.flags.decode("latin-1").lower(),
        naptr.service.decode("latin-1").lower(),
        _name_text(naptr.replacement),
    )


def _name_text(name: dns.name.Name) -> str:
    return "." if name == dns.name.root else str(name.to_text(omit_final_dot=True)).lower()
