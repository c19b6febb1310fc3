"""TLS of the console: a certificate of [certificate.NAME], and no questions to the client."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

if TYPE_CHECKING:
    from sipx import Tls

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsContext:
    """Its context, made anew when certificate files have changed."""

    def __init__(self, tls: Tls, name: str) -> None:
        self._store = tls.certificates
        self._name = name
        self._generation = -1
        self._context: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """The context of now. Raises CertificateError."""
        if self._context is None or self._generation != self._store.generation:
            self._context = self._made()
            self._generation = self._store.generation
        return self._context

    def _made(self) -> ssl.SSLContext:
        own = self._store.own(self._name)
        pem = own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for certificate in (own.certificate, *own.chain):
            pem += certificate.public_bytes(Encoding.PEM)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self._store.min_tls]
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        # The module ssl reads files only; this one is in memory, and nobody else can open it.
        handle = os.memfd_create("sipx-console", os.MFD_CLOEXEC)
        try:
            os.write(handle, pem)
            context.load_cert_chain(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
        return context
