"""Signed Record-Route cookies: how sipx knows its own dialogs again without keeping them.

The user part of each Record-Route URI we write is a cookie: which two addresses the dialog runs
between, until when it is valid, and a keyed hash over all that and the Call-ID. A request comes
"within a dialog of ours" when it brings such a cookie back, not because it has a To tag (SEC-03):
anybody can write a To tag.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import struct
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX: Final = b"sipx-"
"""Every user part of ours starts so; a URI with it and our address but a bad hash is an attack."""

LIFETIME: Final = 30 * 24 * 3600
"""Seconds a cookie is valid: longer than dialogs live, short enough that keys can be retired."""

FLOW_PREFIX: Final = PREFIX + b"flow."
"""Starts the user part of a flow token (RFC 5626 §5.2): no cookie has a dot."""

_MAC: Final = 10
_PEER: Final = 8
"""Bytes of a name's hash: strangers choose their domains, and must not find one that has the hash
of another's name.
"""
_FLOWS: Final = struct.Struct("!4sIIHH")
"""Which process wrote it, and its numbers of the flows of both ends; 0: wherever that end is. Then
the ports at which both ends said they are, 0 where they said none.
"""
_TOKEN: Final = struct.Struct("!4sII")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_HEAD: Final = struct.Struct("!BBI")
AUTHENTICATED: Final = 1
"""Flag: the request that formed the dialog had been authorised by credentials (row 27)."""
TRUSTED: Final = 2
"""Flag: both ends are trusted, so that identity headers pass between them (RFC 3325)."""
NEAR_BY_FLOW: Final = 4
"""Flag: the end that asked logged on, and is reached over its flow."""
FAR_BY_FLOW: Final = 8
"""Flag: so is the end that was asked."""
NEAR_DISCOVERED: Final = 16
"""Flag: the end that asked was found by the DNS, and is reached by nothing but TLS."""
FAR_DISCOVERED: Final = 32
"""Flag: so was the end that was asked."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """What a valid cookie says. ``addresses`` are the two ends: who asked, and who was asked;
    ``peers`` their names as ``peer_id`` writes them, and ``flows`` the numbers of their flows, in
    that order; 0 where the flow is of no importance, or of a process before this one. ``ports`` are
    those at which they are reached, 0 where that is not known.
    """

    addresses: frozenset[str]
    flags: int
    expires: int
    peers: tuple[bytes, bytes] = (b"", b"")
    flows: tuple[int, int] = (0, 0)
    ports: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class FlowToken:
    """What a valid flow token says: the flow (0: of a process before this one), and whose
    requests it takes, as ``peer_id`` writes it.
    """

    flow: int
    peer: bytes


class Cookies:
    """Makes and checks cookies. ``wall`` gives seconds since 1970; keys are 16 bytes or more.

    The first key signs; the others are still accepted, so that keys can be changed. ``process``
    are four bytes that are others in each process: flows are numbered anew in each.
    """

    def __init__(
        self, keys: list[bytes], wall: Callable[[], float], process: bytes = bytes(4)
    ) -> None:
        if not keys or any(len(key) < 16 for key in keys):
            raise ValueError("a cookie key needs at least 16 bytes")
        self._keys = {self._key_id(key): key for key in reversed(keys)}
        self._current = self._key_id(keys[0])
        self._wall = wall
        self._process = process
        self._payloads: dict[
            tuple[str, str, int, tuple[str, str], tuple[int, int], tuple[int, int], int], bytes
        ] = {}

    @staticmethod
    def _key_id(key: bytes) -> int:
        return blake2b(key, digest_size=1, person=b"sipx-key-id").digest()[0]

    def make(
        self,
        call_id: bytes,
        near: str,
        far: str,
        flags: int = 0,
        peers: tuple[str, str] = ("", ""),
        flows: tuple[int, int] = (0, 0),
        ports: tuple[int, int] = (0, 0),
    ) -> bytes:
        """The user part for the Record-Route of a dialog between two addresses.

        ``peers`` are the names of the two ends, a route's or an account's; ``flows`` the numbers
        of their flows where they are reached by no other way, ``ports`` where they are reached.
        """
        hour = int(self._wall()) // 3600
        key = (near, far, flags, peers, flows, ports, hour)
        payload = self._payloads.get(key)
        if payload is None:
            payload = b"".join(
                (
                    _HEAD.pack(self._current, flags, hour * 3600 + LIFETIME),
                    peer_id(peers[0]),
                    peer_id(peers[1]),
                    _FLOWS.pack(
                        self._process, flows[0] & 0xFFFFFFFF, flows[1] & 0xFFFFFFFF, *ports
                    ),
                    _pack(near),
                    _pack(far),
                )
            )
            if len(self._payloads) >= 4096:
                self._payloads.clear()
            self._payloads[key] = payload
        raw = payload + self._mac(self._current, payload, call_id)
        text = binascii.b2a_base64(raw, newline=False)
        return PREFIX + text.translate(_URL_SAFE, b"=")

    def check(self, user: bytes | None, call_id: bytes) -> Cookie | None:
        """What the cookie says, or None: forged, altered, expired, or of another dialog."""
        if user is None or not user.startswith(PREFIX) or len(user) > 160:
            return None
        raw = _decoded(user[len(PREFIX) :])
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        names = _HEAD.size + 2 * _PEER
        body = names + _FLOWS.size
        if len(payload) < body + 2:
            return None
        key_id, flags, expires = _HEAD.unpack_from(payload)
        if key_id not in self._keys:
            return None
        if not hmac.compare_digest(mac, self._mac(key_id, payload, call_id)):
            return None
        if expires < self._wall():
            return None
        addresses = _unpack(payload[body:])
        if addresses is None:
            return None
        peers = (payload[_HEAD.size : _HEAD.size + _PEER], payload[_HEAD.size + _PEER : names])
        process, near, far, *ports = _FLOWS.unpack_from(payload, names)
        flows = (near, far) if process == self._process else (0, 0)
        return Cookie(addresses, flags, expires, peers, flows, (ports[0], ports[1]))

    def flow_token(self, flow: int, peer: str) -> bytes:
        """The user part of a Path that leads back to a flow (RFC 5626 §5.2, RFC 3327 §5.2).

        ``peer`` is the name of whom the REGISTER went to: it alone sends requests this way.
        """
        payload = b"".join(
            (
                bytes((self._current,)),
                _TOKEN.pack(self._process, flow & 0xFFFFFFFF, 0),
                peer_id(peer),
            )
        )
        text = binascii.b2a_base64(payload + self._token_mac(self._current, payload), newline=False)
        return FLOW_PREFIX + text.translate(_URL_SAFE, b"=")

    def check_flow_token(self, user: bytes) -> FlowToken | None:
        """What the token says, or None: it is not one of ours."""
        raw = _decoded(user[len(FLOW_PREFIX) :]) if len(user) <= 160 else b""
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        if len(payload) != 1 + _TOKEN.size + _PEER or payload[0] not in self._keys:
            return None
        if not hmac.compare_digest(mac, self._token_mac(payload[0], payload)):
            return None
        process, flow, _ = _TOKEN.unpack_from(payload, 1)
        return FlowToken(flow if process == self._process else 0, payload[-_PEER:])

    def _token_mac(self, key_id: int, payload: bytes) -> bytes:
        return blake2b(
            payload, digest_size=_MAC, key=self._keys[key_id], person=b"sipx-flow"
        ).digest()

    def _mac(self, key_id: int, payload: bytes, call_id: bytes) -> bytes:
        # Behind parts of fixed size the payload is two addresses with their lengths and nothing
        # else (_unpack sees to it), so no byte can move between it and the Call-ID.
        return blake2b(
            payload + call_id, digest_size=_MAC, key=self._keys[key_id], person=b"sipx-dialog"
        ).digest()


@lru_cache(maxsize=1024)
def peer_id(name: str) -> bytes:
    """A name of a route or account, short enough for a cookie; the keyed hash guards it."""
    return blake2b(name.encode(), digest_size=_PEER, person=b"sipx-peer").digest()


def _decoded(text: bytes) -> bytes:
    """What URL-safe base64 without its padding says; b"" for anything else."""
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _pack(address: str) -> bytes:
    raw = ipaddress.ip_address(address).packed
    return bytes((len(raw),)) + raw


def _unpack(raw: bytes) -> frozenset[str] | None:
    """The two addresses of a payload; None when it is not exactly that."""
    near, far = raw[1 : 1 + raw[0]], raw[1 + raw[0] :]
    if len(near) not in (4, 16) or len(far) not in (5, 17) or far[0] != len(far) - 1:
        return None
    return frozenset((str(ipaddress.ip_address(near)), str(ipaddress.ip_address(far[1:]))))
