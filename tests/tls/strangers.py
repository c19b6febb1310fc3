"""Two ends of a TLS connection in memory: sipx at one, OpenSSL without any rules at the other."""

from __future__ import annotations

import time
from types import SimpleNamespace

from OpenSSL import SSL

from sipx.certificates import CertificateStore
from sipx.config.model import KernelConfig
from sipx.interfaces import Interface
from sipx.testing.certificates import Authority
from sipx.tls import Tls, TlsError


class Stranger:
    """A peer that verifies nothing: what comes of a handshake is our decision alone."""

    def __init__(
        self, issued=None, *, server=False, name="", session=None, versions=(), strict=False
    ):
        context = SSL.Context(SSL.TLS_METHOD)
        if versions:
            context.set_min_proto_version(versions[0])
            context.set_max_proto_version(versions[1])
            context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        if issued is not None:
            context.use_certificate(issued.certificate)
            context.use_privatekey(issued.key)
            for certificate in issued.chain:
                context.add_extra_chain_cert(certificate)
        if server:
            demands = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT if strict else 1
            context.set_verify(demands, lambda *args: bool(args[4]) or not strict)
        self.connection = SSL.Connection(context, None)
        if server:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()
            if name:
                self.connection.set_tlsext_host_name(name.encode())
            if session is not None:
                self.connection.set_session(session)
        self.error = None
        self.clear = b""

    def take(self, data):
        """Feed what came, answer what is to be sent."""
        if data:
            self.connection.bio_write(data)
        try:
            self.connection.do_handshake()
            while True:
                self.clear += self.connection.recv(16384)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.error = "closed"
        except SSL.Error as error:
            self.error = str(error)
        return self.drain()

    def say(self, data):
        self.connection.send(data)
        return self.drain()

    def drain(self):
        sent = b""
        try:
            while True:
                sent += self.connection.bio_read(65536)
        except SSL.WantReadError:
            return sent


def shake(session, peer):
    """The handshake to its end; what the peer then still said. Raises our side's TlsError."""
    ours = session.handshake()
    try:
        for _ in range(10):
            theirs = peer.take(ours)
            if session.established:
                return theirs
            ours = session.handshake(theirs)
    except TlsError as failure:
        peer.take(failure.last_words)
        raise
    raise AssertionError("the handshake has no end")


class Lab:
    """An authority, and the TLS of proxies that trust it."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = Authority("Lab CA")
        self.now = time.time()
        self._count = 0

    def path(self, data):
        """A file with these bytes."""
        self._count += 1
        path = self.directory / f"file{self._count}.pem"
        path.write_bytes(data)
        return path

    def tls(self, *own, partners=(), ca=None, **trust):
        """The TLS of a proxy with these certificates."""
        tables = {}
        for issued in own or (self.ca.leaf(dns=["own.example"]),):
            name = f"own{len(tables)}"
            tables[name] = {
                "cert_file": str(self.path(issued.cert_pem)),
                "key_file": str(self.path(issued.key_pem)),
            }
        config = KernelConfig.model_validate(
            {
                "domains": ["own.example"],
                "certificate": tables,
                "trust": {"ca": str(ca or self.path(self.ca.pem)), **trust},
            }
        )
        store = CertificateStore(config, partners, wall=lambda: self.now)
        return Tls(store, lambda: self.now)

    def interface(self, tls, protocol="mtls", eku="federation", **more):
        """An interface that shows all of them."""
        names = tuple(state.name for state in tls.certificates.states())
        transport = SimpleNamespace(name=protocol)
        return Interface("far", "127.0.0.1", 0, transport, certificates=names, eku=eku, **more)

    def accept(self, peer, *, tls=None, protocol="mtls", eku="federation"):
        """A peer connects to us; our session, or TlsError."""
        tls = tls or self.tls()
        session = tls.accepting(self.interface(tls, protocol, eku), "192.0.2.1")
        shake(session, peer)
        return session

    def connect(self, peer, partner, *, tls=None, eku="federation", host="192.0.2.1"):
        """We connect to a peer; our session, or TlsError."""
        tls = tls or self.tls(partners=(partner,))
        interface = self.interface(tls, eku=eku)
        session = tls.connecting(interface, partner, "192.0.2.1:5061", host)
        shake(session, peer)
        return session
