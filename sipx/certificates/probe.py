"""What a live TLS server shows: its whole chain as it was sent, looked at and not believed."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from OpenSSL import SSL

if TYPE_CHECKING:
    from cryptography import x509

    from sipx.certificates.own import OwnCertificate


@dataclass(frozen=True, slots=True)
class Probed:
    """``chain`` is what the server sent, its own certificate first. ``wants_ours``: it refused us
    because we showed no certificate.
    """

    address: str
    chain: tuple[x509.Certificate, ...]
    version: str
    cipher: str
    wants_ours: bool


def probe(
    host: str,
    port: int,
    *,
    server_name: str = "",
    own: OwnCertificate | None = None,
    timeout: float = 8.0,
) -> Probed:
    """Connect, shake hands, look, leave. Blocks. Raises OSError, also when TLS fails."""
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
        connection.set_tlsext_host_name(server_name.encode("idna"))
    with socket.create_connection((host, port), timeout) as sock:
        wants = _shake_hands(connection, sock)
        address = str(sock.getpeername()[0])
    chain = tuple(connection.get_peer_cert_chain(as_cryptography=True) or ())
    return Probed(
        address,
        chain,
        connection.get_protocol_version_name(),
        connection.get_cipher_name() or "",
        wants,
    )


def _shake_hands(connection: SSL.Connection, sock: socket.socket) -> bool:
    """The handshake; True when the server then wants a certificate of ours."""
    done = False
    while True:
        try:
            if done:
                connection.recv(1)
            else:
                connection.do_handshake()
                done = True
                sock.settimeout(0.5)  # TLS 1.3: what the server thinks of us comes later
            _send(connection, sock)
            continue
        except SSL.WantReadError:
            _send(connection, sock)
        except SSL.ZeroReturnError:
            return False
        except SSL.Error as error:
            if connection.get_peer_cert_chain():
                return any("certificate required" in str(part) for part in error.args) or not done
            raise OSError(_said(error)) from None
        try:
            data = sock.recv(65536)
        except TimeoutError:
            if done:
                return False
            raise
        if not data:
            if done:
                return False
            raise OSError("it closed the connection in the middle of the handshake")
        connection.bio_write(data)


def _send(connection: SSL.Connection, sock: socket.socket) -> None:
    try:
        while True:
            sock.sendall(connection.bio_read(65536))
    except SSL.WantReadError:
        return


def _said(error: SSL.Error) -> str:
    reasons = [entry[-1] for entry in error.args[0]] if error.args else []
    return "TLS failed: " + (", ".join(reasons) or "no reason given")
