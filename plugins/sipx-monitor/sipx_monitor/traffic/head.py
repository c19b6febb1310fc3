"""The head of any message, readable or not: what a list, a filter and a ladder want to know of it.

The kernel's parser refuses what two parsers could read differently. A monitor must never hide a
message, so this one takes what it finds: it never raises, and says in ``fault`` what is wrong.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

VIA: Final = 1
FROM: Final = 2
TO: Final = 3
CALL_ID: Final = 4
CSEQ: Final = 5
CONTENT_TYPE: Final = 6
CONTENT_LENGTH: Final = 7
SUBSCRIPTION_STATE: Final = 8
SECRET: Final = 9
"""A header that carries credentials, or what they are made of."""
OTHER: Final = 0

_NAMES: Final[dict[bytes, int]] = {
    b"via": VIA,
    b"v": VIA,
    b"from": FROM,
    b"f": FROM,
    b"to": TO,
    b"t": TO,
    b"call-id": CALL_ID,
    b"i": CALL_ID,
    b"cseq": CSEQ,
    b"content-type": CONTENT_TYPE,
    b"c": CONTENT_TYPE,
    b"content-length": CONTENT_LENGTH,
    b"l": CONTENT_LENGTH,
    b"subscription-state": SUBSCRIPTION_STATE,
    b"authorization": SECRET,
    b"proxy-authorization": SECRET,
    b"www-authenticate": SECRET,
    b"proxy-authenticate": SECRET,
    b"authentication-info": SECRET,
    b"proxy-authentication-info": SECRET,
    b"cookie": SECRET,
    b"set-cookie": SECRET,
}
_SPELLINGS: dict[bytes, int] = {}
_MOST_SPELLINGS: Final = 1024

_REMEMBERED: Final = 512
_SHORT: Final = 256
"""Values remembered, and their bytes: the messages of a transaction say the same again and again,
and who writes long ones does not fill the memory.
"""

_ADDRESS: Final = re.compile(rb'(?:"(?:[^"\\]|\\.)*+"|[^<"])*+<([^>]*+)>?')
_BARE: Final = re.compile(rb"\s*([^;\s]*)")
_TAG: Final = re.compile(rb";[ \t]*tag[ \t]*=[ \t]*([^;,\s]+)", re.IGNORECASE)
_BRANCH: Final = re.compile(rb";[ \t]*branch[ \t]*=[ \t]*([^;,\s]+)", re.IGNORECASE)
_SENT_BY: Final = re.compile(rb"[^/]*+/[^/]*+/[ \t]*+\S++[ \t]++([^;,\s]++)")
_CSEQ: Final = re.compile(rb"[ \t]*([0-9]+)[ \t]+([^\s]+)[ \t]*\Z")
_HOST: Final = re.compile(rb"\A(?:sips?):(?:[^@]*@)?(\[[^\]]*\]|[^:;?>]*)", re.IGNORECASE)
_METHOD: Final = re.compile(rb"[-A-Za-z0-9.!%*_+`'~]+\Z")


class Hop(NamedTuple):
    """One Via: the branch, and who wrote it. Both empty where there is none."""

    branch: bytes
    sent_by: bytes


NO_HOP: Final = Hop(b"", b"")


class Head:
    """What the head of one message says. Texts are made to be shown: nothing in them controls a
    terminal. ``method`` is that of CSeq in a response; ``status`` is 0 in a request.
    """

    __slots__ = (
        "below",
        "body_type",
        "call_id",
        "content_length",
        "cseq",
        "domains",
        "fault",
        "from_tag",
        "from_uri",
        "lines",
        "method",
        "reason",
        "secret",
        "start",
        "status",
        "subscription",
        "to_tag",
        "to_uri",
        "top",
        "uri",
    )

    def __init__(self, start: bytes, lines: list[bytes]) -> None:
        self.start = start
        self.lines = lines
        self.fault = ""
        self.status = 0
        self.method = self.reason = self.uri = self.cseq = self.body_type = ""
        self.subscription = ""
        self.content_length: int | None = None
        self.secret = False
        vias: list[bytes] = []
        from_ = to = call_id = cseq = b""
        for line in lines:
            name, _, value = line.partition(b":")
            known = _SPELLINGS.get(name)
            if known is None:
                known = _learn(name)
            if known == OTHER:
                continue
            if known == VIA:
                vias.append(value)
            elif known == FROM:
                from_ = from_ or value
            elif known == TO:
                to = to or value
            elif known == CALL_ID:
                call_id = call_id or value.strip()
            elif known == CSEQ:
                cseq = cseq or value
            elif known == CONTENT_TYPE:
                self.body_type = shown(value.partition(b";")[0].strip().lower())
            elif known == CONTENT_LENGTH:
                length = value.strip()
                if length.isdigit() and len(length) < 12:
                    self.content_length = int(length)
            elif known == SUBSCRIPTION_STATE:
                self.subscription = shown(value.partition(b";")[0].strip().lower())
            else:
                self.secret = True
        self.top, self.below = _hops(vias)
        self.call_id = shown(call_id)
        self.from_uri, self.from_tag, caller = party(from_)
        self.to_uri, self.to_tag, called = party(to)
        hosts = [caller, called]
        found = _CSEQ.match(cseq)
        if found is not None:
            self.method = shown(found[2])
            self.cseq = f"{found[1].decode()} {self.method}"
        self._read_start(start)
        if not self.status:
            hosts.append(host_of(self.uri.encode()))
        self.domains = tuple(dict.fromkeys(host for host in hosts if host))
        missing = [
            name
            for name, value in (
                ("Via", vias), ("From", from_), ("To", to), ("Call-ID", call_id), ("CSeq", found)
            )
            if not value
        ]  # fmt: skip
        if missing and not self.fault:
            self.fault = f"without a usable {' and '.join(missing)}"

    def _read_start(self, start: bytes) -> None:
        if start[:8].upper() == b"SIP/2.0 ":
            code, _, reason = start[8:].partition(b" ")
            self.reason = shown(reason)
            if code.isdigit() and len(code) == 3 and code[:1] in b"123456":
                self.status = int(code)
                return
            self.fault = "the status line has no status from 100 to 699"
            return
        method, _, rest = start.partition(b" ")
        uri, _, version = rest.rpartition(b" ")
        if version.upper() != b"SIP/2.0" or not _METHOD.match(method):
            self.fault = "the first line is neither a request line nor a status line"
            if not uri:
                uri = rest
        if _METHOD.match(method):
            self.method = shown(method)
        self.uri = shown(uri.strip())


def split_message(data: bytes) -> tuple[bytes, list[bytes], bytes, str]:
    """Start line, unfolded header lines and body of any bytes; and what is wrong with their lines.

    Blank lines before the start line are skipped (RFC 3261 §7.5).
    """
    at = len(data) - len(data.lstrip(b"\r\n"))
    end, length = data.find(b"\r\n\r\n", at), 4
    bare = data.find(b"\n\n", at, end + 4 if end >= 0 else len(data))
    fault = ""
    if bare >= 0 and (end < 0 or bare < end):
        end, length = bare, 2
    if end < 0:
        fault = "no empty line after the head"
        head, body = data[at:], b""
    else:
        head, body = data[at:end], data[end + length :]
    if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        fault = fault or "lines end in a bare line break"
        found = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    else:
        found = head.split(b"\r\n")
    lines: list[bytes] = []
    for line in found[1:]:
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b" " + line.strip(b" \t")
        elif line:
            lines.append(line)
            if b":" not in line:
                fault = fault or "a header line without a colon"
    return found[0], lines, body, fault


def address(value: bytes) -> tuple[bytes, bytes]:
    """The URI and the tag of a From or To."""
    found = _ADDRESS.match(value)
    if found is None:
        found = _BARE.match(value)
        assert found is not None
    tag = _TAG.search(value, found.end(1))
    return found[1], b"" if tag is None else tag[1]


def party(value: bytes) -> tuple[str, str, str]:
    """The URI, the tag and the host of a From or To, as they are shown."""
    return _known_party(value) if len(value) <= _SHORT else _party(value)


def _party(value: bytes) -> tuple[str, str, str]:
    uri, tag = address(value)
    return shown(uri), shown(tag), host_of(uri)


_known_party = lru_cache(_REMEMBERED)(_party)


def host_of(uri: bytes) -> str:
    """The host of a SIP URI in small letters, "" where it is another or has none."""
    found = _HOST.match(uri)
    return "" if found is None else shown(found[1].lower().rstrip(b"."))


def shown(data: bytes) -> str:
    """Text of what a peer wrote: bytes that are none, and controls, stand escaped."""
    text = data.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _learn(name: bytes) -> int:
    known = _NAMES.get(name.strip(b" \t").lower(), OTHER)
    if len(_SPELLINGS) >= _MOST_SPELLINGS:
        _SPELLINGS.clear()
    if len(name) < 64:
        _SPELLINGS[name] = known
    return known


def _hops(vias: list[bytes]) -> tuple[Hop, Hop]:
    """The topmost two. A comma within a Via is in no Via that anybody writes."""
    if vias and b"," in vias[0]:
        first, _, rest = vias[0].partition(b",")
        return hop_of(first), hop_of(rest)
    return (
        hop_of(vias[0]) if vias else NO_HOP,
        hop_of(vias[1]) if len(vias) > 1 else NO_HOP,
    )


def hop_of(value: bytes) -> Hop:
    """A Via value; of a list the first."""
    return _known_hop(value) if len(value) <= _SHORT else _hop_of(value)


def _hop_of(value: bytes) -> Hop:
    at = _SENT_BY.match(value)
    if at is None:
        return NO_HOP
    first = value.partition(b",")[0]
    branch = _BRANCH.search(first)
    return Hop(b"" if branch is None else branch[1], at[1].lower())


_known_hop = lru_cache(_REMEMBERED)(_hop_of)
