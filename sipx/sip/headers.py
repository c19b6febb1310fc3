"""Typed views of header values: Via, From/To/Contact/Route, CSeq, Event, credentials.

A value is the text behind the colon of a header line, unfolded; white space around it does not
count. Views are made when somebody asks, and live no longer than the question.

Facts, before the classes (RFC 3261 §7.3.1, §20):

* Header parameters have case-insensitive names, and no name may stand twice in one value.
* A comma separates values only outside quoted strings and angle brackets.
* Without angle brackets, what follows the first semicolon belongs to the header and not to the
  URI, and the URI may hold neither comma nor question mark (§20.10, §20.20, §20.39).
* White space may stand around ``/``, ``:``, ``;`` and ``=`` but inside no token (§25.1).
"""

from __future__ import annotations

import re
from typing import Final

from sipx.sip import grammar
from sipx.sip.errors import RemoteError
from sipx.sip.uri import (
    MAX_PARAMS,
    Params,
    canonical_host,
    canonical_ipv6,
    find_param,
    hostport,
    parse_port,
    print_params,
)

MAX_CSEQ: Final = 2**31 - 1
"""RFC 3261 §8.1.1.5: the number "MUST be less than 2**31"."""
MAX_EXPIRES: Final = 2**32 - 1

_SWS: Final = grammar.sws
_SLASH: Final = _SWS + rb"/" + _SWS
_PARAMS: Final = rb"(" + grammar.generic_params + rb")" + _SWS
_VIA: Final = re.compile(
    _SWS + rb"(" + grammar.token + rb")" + _SLASH + rb"(" + grammar.token + rb")" + _SLASH
    + rb"(" + grammar.token + rb")" + grammar.lws + rb"(" + grammar.host_like + rb")"
    + rb"(?:" + _SWS + rb":" + _SWS + rb"(" + grammar.port + rb"))?+" + _PARAMS
)  # fmt: skip
# A URI of any scheme, as far as it must be known to find its end; `SipUri` knows the rest.
_ANY_URI: Final = grammar.scheme + rb":[^\x00-\x20\"<>\x7f-\xff]++"
_BARE_URI: Final = grammar.scheme + rb":[^\x00-\x20\"<>,;?\x7f-\xff]++"
_DISPLAY: Final = grammar.quoted_string + rb"|[" + grammar.token_chars + rb" \t\x80-\xff]*+"
_NAME_ADDR: Final = re.compile(
    _SWS + rb"(?:(" + _DISPLAY + rb")" + _SWS + rb"<(" + _ANY_URI + rb")>|(" + _BARE_URI + rb"))"
    + _PARAMS
)  # fmt: skip
_CSEQ: Final = re.compile(_SWS + rb"([0-9]++)[ \t]++(" + grammar.token + rb")" + _SWS)
_EVENT: Final = re.compile(_SWS + rb"(" + grammar.token + rb")" + _PARAMS)
_QVALUE: Final = re.compile(rb"0(?:\.([0-9]{0,3}))?+|1(?:\.0{0,3})?+")
_ELEMENT: Final = re.compile(
    rb"((?:[^\",<]++|" + grammar.quoted_string + rb"|<[^<>\"]*+>)++)(?:,|\Z)"
)
_AUTH_SCHEME: Final = re.compile(_SWS + rb"(" + grammar.token + rb")[ \t]++")
_AUTH_PARAM: Final = re.compile(
    _SWS + rb"(" + grammar.token + rb")" + _SWS + rb"=" + _SWS
    + rb"(" + grammar.token + rb"|" + grammar.quoted_string + rb")" + _SWS + rb"(,|\Z)"
)  # fmt: skip
_TOKEN68: Final = re.compile(rb"[A-Za-z0-9\-._~+/]++=*+[ \t]*+")
_QUOTED_PAIR: Final = re.compile(grammar.quoted_pair)


class Via:
    """One Via value (RFC 3261 §20.42, RFC 3581).

    ``protocol`` is b"SIP/2.0" and ``transport`` b"UDP", upper case and without white space;
    ``host`` is canonical (see `SipUri`), ``port`` None when absent. ``branch`` is None when
    absent. ``received`` is a canonical IP address, None when absent or unusable. ``rport`` is
    None when absent, 0 without a value. ``maddr`` is a canonical host.
    """

    __slots__ = (
        "branch", "host", "maddr", "params", "port", "protocol", "received", "rport",
        "transport", "ttl",
    )  # fmt: skip

    def __init__(
        self, protocol: bytes, transport: bytes, host: bytes, port: int | None, params: Params
    ) -> None:
        self.protocol = protocol
        self.transport = transport
        self.host = host
        self.port = port
        self.params = params
        self.branch: bytes | None = None
        self.received: bytes | None = None
        self.rport: int | None = None
        self.maddr: bytes | None = None
        self.ttl: int | None = None
        for name, value in params:
            if name == b"branch":
                self.branch = _branch(value)
            elif name == b"rport":
                self.rport = 0 if value is None else parse_port(value)
            elif name == b"received":
                self.received = _received(value)
            elif name == b"maddr":
                self.maddr = canonical_host(value or b"")
            elif name == b"ttl":
                self.ttl = digits(value or b"", 255)

    @classmethod
    def parse(cls, value: bytes) -> Via:
        """The one Via in ``value``; a list must be split first. Raises RemoteError."""
        match = _VIA.fullmatch(value)
        if match is None:
            raise RemoteError("Malformed Via header field")
        name, version, transport, host, port, params = match.groups()
        return cls(
            name.upper() + b"/" + version,
            transport.upper(),
            canonical_host(host),
            None if port is None else parse_port(port),
            _params(params, MAX_PARAMS) if params else (),
        )

    def param(self, name: bytes) -> bytes | None:
        """The raw value of a parameter (name in lower case): b"" without a value, else None."""
        return find_param(self.params, name)

    @property
    def sent_by(self) -> bytes:
        """``host`` with its port when there is one, IPv6 in brackets."""
        return hostport(self.host, self.port)

    def __bytes__(self) -> bytes:
        start = self.protocol + b"/" + self.transport + b" "
        return start + hostport(self.host, self.port) + print_params(self.params)


class NameAddr:
    """An address with or without brackets: From, To, Contact, Route, Record-Route, Path, ...

    ``display`` is the display name as received, its quotes and escapes included (b"" when
    absent); ``uri`` is raw; ``params`` are those of the header. ``bracketed`` tells the two
    forms apart: Route and Record-Route know only the one with brackets (RFC 3261 §20.30, §20.34).
    The star of ``Contact: *`` has the uri b"*".
    """

    __slots__ = ("bracketed", "display", "params", "uri")

    def __init__(
        self, display: bytes, uri: bytes, params: Params = (), *, bracketed: bool = True
    ) -> None:
        self.display = display
        self.uri = uri
        self.params = params
        self.bracketed = bracketed

    @classmethod
    def parse(cls, value: bytes) -> NameAddr:
        """The one address in ``value``; a list must be split first. Raises RemoteError."""
        match = _NAME_ADDR.fullmatch(value)
        if match is None:
            if value.strip(b" \t") == b"*":
                return cls(b"", b"*", bracketed=False)
            raise RemoteError("Malformed address in a header field")
        display, uri, bare, raw = match.groups()
        params = _params(raw, MAX_PARAMS) if raw else ()
        if uri is None:
            return cls(b"", bare, params, bracketed=False)
        return cls(display.rstrip(b" \t"), uri, params)

    def param(self, name: bytes) -> bytes | None:
        """The raw value of a parameter (name in lower case): b"" without a value, else None."""
        return find_param(self.params, name)

    @property
    def is_star(self) -> bool:
        """Whether this is the ``*`` of ``Contact: *`` (RFC 3261 §10.2.2)."""
        return self.uri == b"*"

    @property
    def tag(self) -> bytes | None:
        """The tag of From and To (RFC 3261 §19.3), None when absent."""
        return self.param(b"tag") or None

    @property
    def q(self) -> int | None:
        """The preference of a contact in thousandths, 0 to 1000 (RFC 3261 §20.10); else None.

        Raises RemoteError for what is no qvalue.
        """
        value = self.param(b"q")
        if value is None:
            return None
        match = _QVALUE.fullmatch(value)
        if match is None:
            raise RemoteError("Malformed q parameter")
        return 1000 if value[:1] == b"1" else int((match[1] or b"").ljust(3, b"0"))

    @property
    def expires(self) -> int | None:
        """The expires parameter in seconds, None when absent. Raises RemoteError."""
        value = self.param(b"expires")
        return None if value is None else digits(value, MAX_EXPIRES)

    def __bytes__(self) -> bytes:
        if self.is_star:
            return b"*"
        start = self.display + b" <" if self.display else b"<"
        return start + self.uri + b">" + print_params(self.params)


class CSeq:
    """``number`` 0 to 2**31 - 1 and ``method``, case-sensitive (RFC 3261 §20.16)."""

    __slots__ = ("method", "number")

    def __init__(self, number: int, method: bytes) -> None:
        self.number = number
        self.method = method

    @classmethod
    def parse(cls, value: bytes) -> CSeq:
        """The CSeq in ``value``. Raises RemoteError."""
        match = _CSEQ.fullmatch(value)
        if match is None:
            raise RemoteError("Malformed CSeq header field")
        return cls(digits(match[1], MAX_CSEQ), match[2])

    def __bytes__(self) -> bytes:
        return b"%d " % self.number + self.method


class EventValue:
    """``package`` as received and ``params`` of an Event header (RFC 6665 §8.2.1)."""

    __slots__ = ("package", "params")

    def __init__(self, package: bytes, params: Params = ()) -> None:
        self.package = package
        self.params = params

    @classmethod
    def parse(cls, value: bytes) -> EventValue:
        """The Event in ``value``. Raises RemoteError (489 is for packages nobody knows)."""
        match = _EVENT.fullmatch(value)
        if match is None:
            raise RemoteError("Malformed Event header field")
        return cls(match[1], _params(match[2], MAX_PARAMS) if match[2] else ())

    @property
    def id(self) -> bytes | None:
        """What tells two subscriptions of one dialog apart (RFC 6665 §4.5.2), None when absent."""
        return find_param(self.params, b"id")

    def __bytes__(self) -> bytes:
        return self.package + print_params(self.params)


class AuthParams:
    """A challenge or credentials of any scheme (RFC 3261 §20.7, §20.44; RFC 8898 for Bearer).

    ``scheme`` is in lower case; ``params`` are ordered, with names in lower case and values as
    received, quotes included; ``token68`` is what some schemes have in their place, else None.
    """

    __slots__ = ("params", "scheme", "token68")

    def __init__(
        self, scheme: bytes, params: tuple[tuple[bytes, bytes], ...], token68: bytes | None = None
    ) -> None:
        self.scheme = scheme
        self.params = params
        self.token68 = token68

    @classmethod
    def parse(cls, value: bytes) -> AuthParams:
        """Strict: no empty name, no lone comma, no name twice. Raises RemoteError."""
        start = _AUTH_SCHEME.match(value)
        if start is None:
            raise RemoteError("Malformed authentication scheme")
        scheme = start[1].lower()
        at = start.end()
        if scheme != b"digest" and _TOKEN68.fullmatch(value, at):
            return cls(scheme, (), value[at:].rstrip(b" \t"))
        params: list[tuple[bytes, bytes]] = []
        more = True
        while more:
            match = _AUTH_PARAM.match(value, at)
            if match is None or len(params) == MAX_PARAMS:
                raise RemoteError("Malformed authentication parameter")
            params.append((match[1].lower(), match[2]))
            at = match.end()
            more = match[3] == b","
        if len({name for name, _ in params}) != len(params):
            raise RemoteError("Duplicate authentication parameter")
        return cls(scheme, tuple(params))

    def value(self, name: bytes) -> bytes | None:
        """The value of a parameter without quotes and escapes; None when absent."""
        for known, value in self.params:
            if known == name:
                return unquote(value)
        return None

    def __bytes__(self) -> bytes:
        rest = self.token68 or b", ".join(name + b"=" + value for name, value in self.params)
        return self.scheme.capitalize() + b" " + rest


def split_list(value: bytes) -> list[bytes]:
    """The elements of a comma list (RFC 3261 §7.3.1), without white space around them.

    Not for challenges and credentials, which have commas inside. Raises RemoteError for empty
    elements and for what is opened and never closed.
    """
    elements: list[bytes] = []
    at = 0
    if b"," not in value:
        elements.append(value.strip(b" \t"))
        at = len(value)
    while at < len(value):
        match = _ELEMENT.match(value, at)
        if match is None:
            raise RemoteError("Malformed list in a header field")
        elements.append(match[1].strip(b" \t"))
        at = match.end()
    if b"" in elements or value[-1:] == b",":
        raise RemoteError("Empty element in a header field")
    return elements


def parse_params(raw: bytes, limit: int = MAX_PARAMS) -> Params:
    """``;name=value;name`` as pairs: names in lower case, values as received (see `unquote`).

    Raises RemoteError for more than ``limit`` of them, a name that stands twice, or bad syntax.
    """
    raw = raw.rstrip(b" \t")
    if not grammar.GENERIC_PARAMS.fullmatch(raw):
        raise RemoteError("Malformed header parameter")
    return _params(raw, limit)


def _params(raw: bytes, limit: int) -> Params:
    """The pairs of a text that GENERIC_PARAMS has matched."""
    # A value has at least one character, so an empty one here is one that was not there.
    params = tuple([(n.lower(), v or None) for n, v in grammar.GENERIC_PARAM.findall(raw)])
    if len(params) > 1:
        if len(params) > limit:
            raise RemoteError("Too many header parameters")
        # RFC 3261 §7.3.1: "any given parameter-name MUST NOT appear more than once".
        if len({name for name, _ in params}) != len(params):
            raise RemoteError("Duplicate header parameter")
    return params


def unquote(value: bytes) -> bytes:
    """The text of a quoted string, its escapes decoded; anything else as it is."""
    if len(value) < 2 or value[:1] != b'"' or value[-1:] != b'"':
        return value
    if b"\\" not in value:
        return value[1:-1]
    return _QUOTED_PAIR.sub(_second_octet, value[1:-1])


def _second_octet(match: re.Match[bytes]) -> bytes:
    return match[0][1:]


def quote(text: bytes) -> bytes:
    """The quoted string for a text that holds neither CR, LF nor NUL."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def digits(value: bytes, maximum: int) -> int:
    """A number of at most ten decimal digits and at most ``maximum``; white space around it.

    Raises RemoteError for everything else: a sign, a point, 0x, an empty value (SEC-05).
    """
    text = value.strip(b" \t")
    if not text.isdigit() or len(text) > 10:
        raise RemoteError("Malformed number in a header field")
    number = int(text)
    if number > maximum:
        raise RemoteError("Number out of range in a header field")
    return number


def _branch(value: bytes | None) -> bytes | None:
    if value is not None and value[:1] == b'"':
        raise RemoteError("Malformed branch parameter")
    return value


def _received(value: bytes | None) -> bytes | None:
    """RFC 5118 §4.5: with or without brackets. What is no address says nothing: None."""
    raw = value or b""
    if grammar.IPV4ADDRESS.fullmatch(raw):
        return raw
    try:
        return canonical_ipv6(raw[1:-1] if raw[:1] == b"[" and raw[-1:] == b"]" else raw)
    except RemoteError:
        return None
