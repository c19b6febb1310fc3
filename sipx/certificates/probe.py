"""What a live TLS server shows: its whole chain as it was sent, looked at and not believed."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL

if TYPE_CHECKING:
    from cryptography import x509

    from sipx.certificates.own import OwnCertificate

_AFTER: Final = 0.5
"""Seconds in which a server of TLS 1.3 says what it thinks of us."""
_MOST: Final = 1 << 20
"""Bytes of the longest handshake that is read."""


@dataclass(frozen=True, slots=True)
class Probed:
    """``chain`` is what the server sent, its own certificate first. ``wants_ours``: it refused us
    because we showed no certificate. ``refused``: OpenSSL's reasons, where it did not want us
    after it had shown its own.
    """

    address: str
    chain: tuple[x509.Certificate, ...]
    version: str
    cipher: str
    wants_ours: bool
    refused: tuple[str, ...] = ()


class HandshakeError(OSError):
    """TLS failed before the server had shown a certificate. ``reasons`` are those of OpenSSL."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("TLS failed: " + (", ".join(reasons) or "no reason given"))
        self.reasons = reasons


def probe(
    host: str,
    port: int,
    *,
    server_name: str = "",
    own: OwnCertificate | None = None,
    timeout: float = 8.0,
) -> Probed:
    """Connect, shake hands, look, leave, all in ``timeout`` seconds. Blocks.

    Raises OSError: TimeoutError, socket.gaierror, HandshakeError and those of the system.
    """
    deadline = time.monotonic() + timeout
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(SSL.VERIFY_NONE)
    if own is not None:
        context.use_certificate(own.certificate)
        for certificate in own.chain:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(own.key)  # type: ignore[arg-type]  # a key that signs certificates
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    if server_name:
        connection.set_tlsext_host_name(server_name.encode("ascii"))
    with _connected(host, port, deadline) as sock:
        address = str(sock.getpeername()[0])
        reasons = _shake_hands(connection, sock, deadline)
    chain = tuple(connection.get_peer_cert_chain(as_cryptography=True) or ())
    if reasons and not chain:
        raise HandshakeError(reasons)
    wants = own is None and any(
        "certificate required" in reason or "handshake failure" in reason for reason in reasons
    )
    return Probed(
        address,
        chain,
        connection.get_protocol_version_name(),
        connection.get_cipher_name() or "",
        wants,
        reasons,
    )


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _connected(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first address that answers."""
    failure: OSError | None = None
    for family, kind, protocol, _, address in _addresses(host, port, deadline):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = failure or error
        else:
            return sock
    raise failure or OSError("the name has no address")


def _addresses(host: str, port: int, deadline: float) -> list[tuple[int, int, int, str, Any]]:
    """What the system's resolver says, which knows no timeout of ours: so it has a thread."""
    found: list[tuple[int, int, int, str, Any]] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failed.append(error)
        except UnicodeError as error:
            failed.append(OSError(f"{host} is no host name: {error}"))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if failed:
        raise failed[0]
    _left(deadline)
    return found


def _shake_hands(
    connection: SSL.Connection, sock: socket.socket, deadline: float
) -> tuple[str, ...]:
    """The handshake, and why it failed; with TLS 1.3 also what the server says after it."""
    done = False
    read = 0
    while True:
        try:
            if done:
                connection.recv(1)
            else:
                connection.do_handshake()
                done = True
                deadline = min(deadline, time.monotonic() + _AFTER)
            _send(connection, sock, deadline)
            continue
        except SSL.WantReadError:
            _send(connection, sock, deadline)
        except SSL.ZeroReturnError:
            return ()
        except SSL.Error as error:
            return _reasons(error)
        try:
            sock.settimeout(_left(deadline))
            data = sock.recv(65536)
        except OSError:
            if done:
                return ()
            raise
        read += len(data)
        if not data or read > _MOST:
            return () if done else ("unexpected eof while reading",)
        connection.bio_write(data)


def _send(connection: SSL.Connection, sock: socket.socket, deadline: float) -> None:
    try:
        while True:
            data = connection.bio_read(65536)
            sock.settimeout(_left(deadline))
            sock.sendall(data)
    except SSL.WantReadError:
        return


def _reasons(error: SSL.Error) -> tuple[str, ...]:
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return tuple(str(entry[-1]) for entry in entries) or ("no reason given",)
