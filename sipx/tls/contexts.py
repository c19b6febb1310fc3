"""OpenSSL's contexts: made once for each use, made again when certificate files have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from OpenSSL import SSL, crypto

from sipx.certificates import CertificateError
from sipx.tls.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.certificates import CertificateStore, OwnCertificate, TrustSet
    from sipx.identity import Partner
    from sipx.interfaces import Interface

ROTATION: Final = 12 * 3600.0
"""Seconds until a context is made anew, and with it the key of its session tickets (SEC-14)."""

_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption; those of 1.3 all have both."""
_NO_AUTO_CHAIN: Final = 0x8
"""SSL_MODE_NO_AUTO_CHAIN, which pyOpenSSL does not name."""
_VERSIONS: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


class Contexts:
    """All contexts in use. ``wall`` is seconds since 1970."""

    def __init__(self, store: CertificateStore, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall
        self._generation = -1
        self._made: dict[tuple[object, ...], tuple[float, SSL.Context]] = {}

    def accepting(self, interface: Interface) -> SSL.Context:
        """For connections that come in. Raises CertificateError."""
        key = ("accepting", interface.certificates, interface.protocol)
        return self._get(key, lambda: self._for_server(interface))

    def connecting(self, own: OwnCertificate | None, partner: Partner) -> SSL.Context:
        """For connections that we open. Raises CertificateError."""
        trust = partner.name if partner.ca else ""
        name = None if own is None else own.name
        key = ("connecting", name, trust, partner.verify, bool(partner.pins))
        return self._get(key, lambda: self._for_client(own, trust, partner))

    def _get(self, key: tuple[object, ...], make: Callable[[], SSL.Context]) -> SSL.Context:
        if self._generation != self._store.generation:
            self._made.clear()
            self._generation = self._store.generation
        known = self._made.get(key)
        now = self._wall()
        if known is None or known[0] < now:
            known = self._made[key] = (now + ROTATION, make())
        return known[1]

    def _for_server(self, interface: Interface) -> SSL.Context:
        own = self._store.usable(interface.certificates)
        trust = [self._store.trust()]
        for partner in self._store.partners:
            if partner.ca:
                try:
                    trust.append(self._store.trust(partner.name))
                except CertificateError:
                    continue  # told by the store; the others have theirs
        mode = SSL.VERIFY_PEER
        if interface.protocol == "mtls":
            mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        contexts = [self._context(one, trust, mode) for one in own]
        first = contexts[0]
        if len(contexts) > 1:
            others = list(zip(own, contexts, strict=True))

            def choose(connection: SSL.Connection) -> None:
                """RFC 6066 §3: the certificate for the name that the client asks for."""
                name = connection.get_servername()
                fit = None if name is None else _for_name(name.lower(), others)
                if fit is not None:
                    connection.set_context(fit)

            first.set_tlsext_servername_callback(choose)
        return first

    def _for_client(self, own: OwnCertificate | None, trust: str, partner: Partner) -> SSL.Context:
        mode = SSL.VERIFY_PEER if partner.verify else SSL.VERIFY_NONE
        return self._context(own, [self._store.trust(trust)], mode)

    def _context(
        self, own: OwnCertificate | None, trust: Iterable[TrustSet], mode: int
    ) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(_VERSIONS[self._store.min_tls])
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
        context.set_cipher_list(_CIPHERS)
        # What is configured is what is sent; OpenSSL would add what it finds among the trusted.
        context.set_mode(_NO_AUTO_CHAIN)
        # Tickets are stateless; sessions are not kept here beside them.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"sipx")
        if own is not None:
            context.use_certificate(own.certificate)
            for certificate in own.chain:
                context.add_extra_chain_cert(certificate)
            context.use_privatekey(own.key)  # type: ignore[arg-type]  # a key that signs certificates
        store = context.get_cert_store()
        assert store is not None
        flags = crypto.X509StoreFlags.PARTIAL_CHAIN
        for one in trust:
            for anchor in one.anchors:
                store.add_cert(crypto.X509.from_cryptography(anchor))
            for crl in one.crls:
                store.add_crl(crl)
                flags |= crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL
        store.set_flags(flags)
        context.set_verify(mode, verify)
        return context


def _for_name(
    name: bytes, others: Iterable[tuple[OwnCertificate, SSL.Context]]
) -> SSL.Context | None:
    star = b"*." + name.partition(b".")[2]
    for asked in (name, star):
        for own, context in others:
            if asked in own.facts.hosts or asked in own.facts.ids:
                return context
    return None
