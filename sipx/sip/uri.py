"""SIP and SIPS URIs: parsing, canonical printing, comparison (RFC 3261 §19.1).

Facts, before the class:

* The raw characters ``;``, ``?`` and ``/`` may stand in a user part, ``@`` may not; so the one
  ``@`` of a URI ends its userinfo, and what looks like a parameter before it is none (§25.1).
* Host names are case-insensitive and may end in a dot; IPv6 addresses have many spellings
  (RFC 5954). One canonical form is made before anything compares (SEC-21).
* ``;transport=udp`` and no transport are different URIs, as are ``:5060`` and no port (§19.1.4).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from sipx.sip import grammar
from sipx.sip.errors import RemoteError

MAX_PARAMS: Final = 64
"""Parameters that one URI or one header value may carry (SEC-06)."""

Params = tuple[tuple[bytes, bytes | None], ...]
"""Names in lower case with their values as received, None for a name without one, in order."""

_SIP_URI: Final = re.compile(
    rb"(?i:(sips?)):"
    rb"(?:(" + grammar.user + rb")(?::(" + grammar.password + rb"))?+@)?"
    rb"(" + grammar.host_like + rb")(?::(" + grammar.port + rb"))?+"
    rb"((?:" + grammar.uri_parameter + rb")*+)(?:\?(" + grammar.uri_headers + rb"))?+"
)
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"
)
_MUST_MATCH: Final = frozenset((b"user", b"ttl", b"method", b"maddr", b"transport"))


class SipUri:
    """A SIP or SIPS URI; immutable by convention, for they are shared (`cached_uri`).

    ``scheme`` is b"sip" or b"sips"; ``user`` and ``password`` are raw, escapes untouched, None
    when absent; ``host`` is canonical: lower case, without trailing dot, IPv6 without brackets;
    ``port`` is None when absent; ``params`` have lower-case names and raw values; ``headers`` is
    what stood behind the ``?``.
    """

    __slots__ = ("headers", "host", "params", "password", "port", "scheme", "user")

    def __init__(
        self,
        scheme: bytes,
        user: bytes | None,
        host: bytes,
        port: int | None = None,
        params: Params = (),
        headers: bytes | None = None,
        password: bytes | None = None,
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params
        self.headers = headers

    @classmethod
    def parse(cls, raw: bytes) -> SipUri:
        """The URI in ``raw``, which has no brackets and no white space around it.

        Raises RemoteError: 416 for a scheme other than sip and sips, else 400.
        """
        match = _SIP_URI.fullmatch(raw)
        if match is None:
            if scheme_of(raw) not in (b"sip", b"sips"):
                raise RemoteError("Unsupported URI scheme", 416)
            raise RemoteError("Malformed SIP URI")
        scheme, user, password, host, port, params, headers = match.groups()
        return cls(
            scheme.lower(),
            user,
            canonical_host(host),
            None if port is None else parse_port(port),
            _uri_params(params) if params else (),
            headers,
            password,
        )

    def param(self, name: bytes) -> bytes | None:
        """The raw value of a parameter (name in lower case): b"" without a value, else None."""
        return find_param(self.params, name)

    @property
    def transport(self) -> bytes | None:
        """The transport parameter in lower case, escapes decoded; None when absent."""
        value = self.param(b"transport")
        return None if value is None else unescape(value).lower()

    @property
    def lr(self) -> bool:
        """Whether the URI is one of a loose router (RFC 3261 §16.12): ``lr``, with any value."""
        return self.param(b"lr") is not None

    @property
    def maddr(self) -> bytes | None:
        """The maddr parameter as a canonical host, like ``host``; None when absent."""
        value = self.param(b"maddr")
        return None if value is None else canonical_host(unescape(value))

    @property
    def is_numeric_host(self) -> bool:
        """Whether ``host`` is an IP address (RFC 3263 §4: a "numeric IP address")."""
        return is_ip_address(self.host)

    @property
    def hostport_bytes(self) -> bytes:
        """``host`` with its port when there is one, IPv6 in brackets."""
        return hostport(self.host, self.port)

    def __bytes__(self) -> bytes:
        out = self.scheme + b":"
        if self.user is not None:
            out += self.user
            if self.password is not None:
                out += b":" + self.password
            out += b"@"
        out += hostport(self.host, self.port) + print_params(self.params)
        return out if self.headers is None else out + b"?" + self.headers

    def __repr__(self) -> str:
        return f"SipUri.parse({bytes(self)!r})"

    def equivalent(self, other: SipUri) -> bool:
        """Whether both are the same URI by the rules of RFC 3261 §19.1.4."""
        return (
            self.scheme == other.scheme
            and self.host == other.host
            and self.port == other.port
            and _same_escaped(self.user, other.user)
            and _same_escaped(self.password, other.password)
            and _same_params(self.params, other.params)
            and _header_set(self.headers) == _header_set(other.headers)
        )


def find_param(params: Params, name: bytes) -> bytes | None:
    """The raw value of a parameter (name in lower case): b"" without a value, else None."""
    for known, value in params:
        if known == name:
            return b"" if value is None else value
    return None


def print_params(params: Params) -> bytes:
    """``;name=value;name`` for the pairs."""
    return b"".join([b";" + n if v is None else b";" + n + b"=" + v for n, v in params])


def scheme_of(raw: bytes) -> bytes:
    """The scheme of a URI of any kind, in lower case. Raises RemoteError when there is none."""
    scheme = raw[: max(raw.find(b":"), 0)]
    if not grammar.SCHEME.fullmatch(scheme):
        raise RemoteError("Malformed URI")
    return scheme.lower()


def canonical_host(raw: bytes) -> bytes:
    """The one spelling of a host by which hosts are compared (RFC 3261 §25.1 ``host``).

    Names in lower case without the trailing dot, IPv4 in strict dotted decimal, IPv6 without
    brackets in the form of RFC 5952. Raises RemoteError for anything else.
    """
    if grammar.HOSTNAME.fullmatch(raw):
        return raw.lower().removesuffix(b".")
    if grammar.IPV4ADDRESS.fullmatch(raw):
        return raw
    if grammar.IPV6REFERENCE.fullmatch(raw):
        return canonical_ipv6(raw[1:-1])
    raise RemoteError("Malformed host")


def canonical_ipv6(raw: bytes) -> bytes:
    """RFC 5952 form of an IPv6 address without brackets. Raises RemoteError."""
    text = raw.decode("ascii", "replace")
    start, colons, last = text.rpartition(":::")
    if colons and "." in last and ":" not in last:
        # RFC 5118 §4.10: the grammar of RFC 3261 puts one colon too many before an embedded
        # IPv4 address; both constructs are to be tolerated.
        text = f"{start}::{last}"
    if "%" in text or len(text) > 45:
        raise RemoteError("Malformed IPv6 address")
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise RemoteError("Malformed IPv6 address") from None
    mapped = address.ipv4_mapped
    # Python versions differ in how they print these; RFC 5952 §5 wants the mixed notation.
    return f"{address if mapped is None else f'::ffff:{mapped}'}".encode()


def is_ip_address(host: bytes) -> bool:
    """Whether a canonical host is an address: only those have a colon or end in a digit label."""
    return b":" in host or grammar.IPV4ADDRESS.fullmatch(host) is not None


def hostport(host: bytes, port: int | None) -> bytes:
    """A canonical host as it is written: IPv6 in brackets, the port behind it if there is one."""
    if b":" in host:
        host = b"[" + host + b"]"
    return host if port is None else host + b":%d" % port


def parse_port(raw: bytes) -> int:
    """A port number, 1 to 65535. Raises RemoteError."""
    if not raw.isdigit() or len(raw) > 10 or not 0 < int(raw) < 65536:
        raise RemoteError("Port out of range")
    return int(raw)


def unescape(raw: bytes) -> bytes:
    """Decode the ``%`` escapes, once (RFC 2396 §2.4.2)."""
    if b"%" not in raw:
        return raw
    return grammar.ESCAPED.sub(_octet, raw)


def _octet(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[0][1:], 16),))


def _uri_params(raw: bytes) -> Params:
    """``raw`` begins with a semicolon and has passed the grammar. Raises RemoteError."""
    parts = raw[1:].split(b";")
    if len(parts) > MAX_PARAMS:
        raise RemoteError("Too many URI parameters")
    params: list[tuple[bytes, bytes | None]] = []
    seen: set[bytes] = set()
    for part in parts:
        name, equals, value = part.partition(b"=")
        # Escapes are decoded first: "%6c%72" must neither hide an "lr" nor be a second one.
        name = _normal(name).lower()
        seen.add(name)
        if name == b"maddr":
            canonical_host(unescape(value))
        elif name == b"transport" and not grammar.TOKEN.fullmatch(unescape(value)):
            raise RemoteError("Malformed transport parameter")
        params.append((name, value if equals else None))
    # §19.1.1: "any given parameter-name MUST NOT appear more than once".
    if len(seen) != len(params):
        raise RemoteError("Duplicate URI parameter")
    return tuple(params)


def _normal(raw: bytes) -> bytes:
    """§19.1.4: characters not in the reserved set "are equivalent to their encoding"."""
    if b"%" not in raw:
        return raw
    return grammar.ESCAPED.sub(_decode_unreserved, raw)


def _decode_unreserved(match: re.Match[bytes]) -> bytes:
    code = int(match[0][1:], 16)
    return bytes((code,)) if code in _UNRESERVED else match[0].upper()


def _same_escaped(ours: bytes | None, theirs: bytes | None) -> bool:
    """Userinfo is compared case-sensitively; absent equals only absent."""
    if ours is None or theirs is None:
        return ours is theirs
    return ours == theirs or _normal(ours) == _normal(theirs)


def _comparable(params: Params) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in params:
        if name == b"maddr":
            found[name] = canonical_host(unescape(value or b""))
        else:
            # "case-insensitive unless explicitly defined otherwise", as methods are (§7.1)
            text = _normal(value or b"")
            found[name] = text if name == b"method" else text.lower()
    return found


def _same_params(ours: Params, theirs: Params) -> bool:
    if ours == theirs:
        return True
    mine, other = _comparable(ours), _comparable(theirs)
    for name in mine.keys() | other.keys():
        if name in mine and name in other:
            # "Any uri-parameter appearing in both URIs must match."
            if mine[name] != other[name]:
                return False
        elif name in _MUST_MATCH:
            # "appearing in only one URI never matches, even if it contains the default value"
            return False
    return True


def _header_set(raw: bytes | None) -> list[tuple[bytes, bytes]]:
    """§19.1.4: header components "are never ignored"; their order does not count."""
    found: list[tuple[bytes, bytes]] = []
    for part in raw.split(b"&") if raw else ():
        name, _, value = part.partition(b"=")
        name = _normal(name).lower()
        value = _normal(value)
        found.append((name, value if name == b"body" else value.lower()))
    return sorted(found)


_CACHE: Final[dict[bytes, SipUri]] = {}
_CACHED_URIS: Final = 8192
_CACHED_LENGTH: Final = 512
"""Longer URIs are not kept, so that the memo cannot grow beyond a few megabytes."""


def cached_uri(raw: bytes) -> SipUri:
    """What `SipUri.parse` gives, from a bounded memo: one look-up for a URI seen before."""
    uri = _CACHE.get(raw)
    if uri is None:
        uri = SipUri.parse(raw)
        if len(_CACHE) >= _CACHED_URIS:
            _CACHE.clear()
        if len(raw) <= _CACHED_LENGTH:
            _CACHE[raw] = uri
    return uri
