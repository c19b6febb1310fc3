"""SIP over TLS and mutual TLS (RFC 3261 §26.3, RFC 5922, RFC 5923).

Messages of one batch leave in one record and one send; a connection becomes a flow only when its
handshake has passed. Connections are kept apart by who is at the other end: one that was proven
for a partner never carries a request for another.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

import trio

from sipx import (
    READ_SIZE,
    CertificateFault,
    Config,
    Connection,
    Flow,
    Hop,
    Incoming,
    Interface,
    Listener,
    Partner,
    Receiver,
    Role,
    StreamTransport,
    Tls,
    TlsError,
    TlsSession,
    Transport,
    decide_incoming,
    hookimpl,
    host_port,
    open_socket,
    proof_of,
    proves,
)
from sipx import Proxy as ProxyHandle

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

_INBOUND: Final = "inbound"
"""Marks the pool's keys of connections that peers opened."""


class TlsConfig(Config):
    """The TOML table ``[tls]``."""

    backlog: int = 1024
    """Connections that may wait to be accepted."""


class TlsFlow(Connection):
    """A connection whose handshake has passed. ``partner``: whom it was opened to."""

    __slots__ = ("partner", "session")

    def __init__(
        self,
        listener: TlsListener,
        sock: socket.socket,
        address: str,
        port: int,
        session: TlsSession,
        partner: Partner | None = None,
    ) -> None:
        super().__init__(listener, sock, address, port, outbound=partner is not None)
        self.session = session
        self.partner = partner
        self.examined = session.examined
        if partner is None:
            self.may_alias = session.examined is not None
        elif session.shows_certificate:
            # RFC 5923 §8: "alias" offers this connection for the peer's requests to us.
            self.via_head = self.via_head.replace(b";branch=", b";alias;branch=")

    def write(self, data: bytes) -> None:
        """One encryption and one send for all that a batch has queued."""
        try:
            self.put(self.session.encrypt(data))
        except TlsError as failure:
            self.close(str(failure))

    def read(self, data: bytes) -> bool:
        """Records came in."""
        session = self.session
        try:
            clear = session.receive(data)
        except TlsError as failure:
            self._refused(failure)
            return False
        if not clear:
            answer = session.reply()
            if answer:
                self.put(answer)
        elif not super().read(clear):
            return False
        if session.ended:
            self.flush()
            self.close("closed by the peer")
            return False
        return True

    def broke(self, reason: str) -> None:
        """The peer has gone; why, it may have said before: its alert waits to be read."""
        with suppress(OSError):
            self.read(self.sock.recv(READ_SIZE))
        self.close(reason)

    def _refused(self, failure: TlsError) -> None:
        """With TLS 1.3 a server says what it thinks of our certificate after the handshake."""
        if self.partner is not None and not self.messages_in:
            self.lost = str(failure)
            if self.partner.name:
                self.receiver.trouble("partner", self.partner.name, self.lost)
        self.close(str(failure))

    async def serve(self) -> None:
        """Messages may have come with the end of the handshake; then as any connection.

        What was sent meanwhile may have ended it already.
        """
        self.receiver.batch_begins()
        if not self.closed:
            self.read(b"")
        self.receiver.batch_ends()
        await super().serve()

    def overdue(self, now: float) -> str | None:
        """A connection does not outlive the proof that it was made with."""
        reason = super().overdue(now)
        if reason is not None:
            return reason
        reason = self.session.doubt()
        self.examined = self.session.examined
        if reason is not None:
            kind, name = ("interface", self.interface.name)
            if self.partner is not None and self.partner.name:
                kind, name = ("partner", self.partner.name)
            self.receiver.trouble(kind, name, reason)
        return reason

    def alias(self, port: int) -> None:
        """RFC 5923 §8: requests to this port of the peer may take this connection."""
        self.may_alias = False
        self.listener.name(self, (_INBOUND, self.address, port))

    def leads_to(self, partner: Partner) -> bool:
        """RFC 5923 §8.1: whether the peer has proven to be this partner (C-02, SEC-16)."""
        examined = self.examined
        if examined is None:
            return False
        if partner.discovered:
            return proof_of(examined, partner) is not None
        if partner.name:
            return partner.name in examined.partners
        return examined.general and proves(partner, examined.certificate) is not None

    def same_peer(self, other: Flow) -> bool:
        """A response on another connection answers only if the same identity sent it."""
        if self is other:
            return True
        return (
            isinstance(other, TlsFlow)
            and self.examined is not None
            and other.examined is not None
            and self.address == other.address
            and self.examined.certificate.ids == other.examined.certificate.ids
        )

    def close(self, reason: str) -> None:
        """Say goodbye (RFC 8446 §6.1), if the peer reads."""
        if self.closed:
            return
        if not self.waiting:
            with suppress(OSError):
                self.sock.send(self.session.end())
        super().close(reason)
        self.session.forget()


class TlsListener(Listener):
    """One listening socket; its connections have a handshake before they are flows."""

    def __init__(
        self,
        interface: Interface,
        receiver: Receiver,
        nursery: trio.Nursery,
        sock: socket.socket,
        tls: Tls,
    ) -> None:
        super().__init__(interface, receiver, nursery, sock)
        self._tls = tls

    def welcome(self, sock: socket.socket, address: str, port: int) -> None:
        """A task of its own for each handshake: one that stalls delays nobody (SEC-15)."""
        self.receiver.handshake_begins(address)
        self.nursery.start_soon(self._accept, sock, address, port)

    async def _accept(self, sock: socket.socket, address: str, port: int) -> None:
        try:
            session = self._tls.accepting(self.interface, address)
            with trio.fail_after(self.receiver.stream_limits.handshake):
                await shake_hands(sock, session)
        except trio.TooSlowError:
            sock.close()
            told = f"{address} began a TLS handshake and did not finish it in time"
            self.receiver.trouble("interface", self.interface.name, told)
        except OSError as failure:
            sock.close()
            if isinstance(failure, TlsError):
                self.receiver.trouble("interface", self.interface.name, self._told(failure))
        except Exception as error:
            sock.close()
            self.receiver.bug(error, f"shaking hands with {address}")
        except BaseException:
            sock.close()
            raise
        else:
            flow = TlsFlow(self, sock, address, port, session)
            self.begin(flow, (_INBOUND, address, port))
        finally:
            self.receiver.handshake_ends(address)

    def _told(self, failure: TlsError) -> str:
        """The sentence, with the row of docs/trust.md that it comes from."""
        decision = decide_incoming(
            Incoming(
                protocol=self.interface.protocol,
                role=Role(self.interface.role),
                certificate=failure.certificate,
                fault=failure.fault or CertificateFault.NO_NAME,
                from_ours=False,
            )
        )
        return f"{failure} [row {decision.row}]" if decision.alert else str(failure)


class TlsTransport(StreamTransport):
    """The transport ``tls``: our certificate is shown; a client's is asked for, not demanded."""

    name = "tls"
    via = b"TLS"
    secure = True
    default_port = 5061

    def __init__(self, backlog: int, proxy: ProxyHandle) -> None:
        super().__init__(backlog)
        self._proxy = proxy

    def prepare(self, interface: Interface) -> None:
        """Without a usable certificate the interface fails, and says why. Raises OSError."""
        self._proxy.tls.accepting(interface, "")

    def make_listener(
        self, interface: Interface, receiver: Receiver, nursery: trio.Nursery, sock: socket.socket
    ) -> Listener:
        """The listener of an interface."""
        return TlsListener(interface, receiver, nursery, sock, self._proxy.tls)

    def flow_to(
        self, interface: Interface, address: str, port: int, partner: Partner | None = None
    ) -> Flow | None:
        """The connection to this place that was made for this partner, or that the partner made."""
        listener = self._listeners.get(interface)
        if listener is None or partner is None:
            return None
        flow = listener.pool.get((partner.key, address, port))
        if flow is not None:
            return flow
        inbound = cast("TlsFlow | None", listener.pool.get((_INBOUND, address, port)))
        return inbound if inbound is not None and inbound.leads_to(partner) else None

    async def connect(self, interface: Interface, hop: Hop, partner: Partner | None = None) -> Flow:
        """Open a connection to a partner, and see that it is the partner. Raises OSError."""
        if partner is None:
            raise OSError(f"nobody said who has to be at {hop.address} port {hop.port}")
        listener = self.listener_of(interface)
        assert isinstance(listener, TlsListener)
        place = host_port(hop.address, hop.port).decode()
        session = self._proxy.tls.connecting(interface, partner, place, hop.name)
        sock = await open_socket(interface, hop.address, hop.port)
        try:
            await shake_hands(sock, session)
        except BaseException:
            sock.close()
            raise
        flow = TlsFlow(listener, sock, hop.address, hop.port, session, partner)
        listener.begin(flow, (partner.key, hop.address, hop.port))
        return flow


class MtlsTransport(TlsTransport):
    """The transport ``mtls``: both sides have to show a certificate that passes."""

    name = "mtls"


async def shake_hands(sock: socket.socket, session: TlsSession) -> None:
    """Carry the handshake to its end. Raises TlsError, and OSError when the connection breaks."""
    try:
        answer = session.handshake()
        while True:
            await _send(sock, answer)
            if session.established:
                return
            await trio.lowlevel.wait_readable(sock)
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                answer = b""
                continue
            answer = session.handshake(data) if data else session.cut_off()
    except TlsError as failure:
        with suppress(OSError):
            sock.send(failure.last_words)
        raise


async def _send(sock: socket.socket, data: bytes) -> None:
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)


class TlsPlugin:
    """SIP over TLS, and over mutual TLS."""

    Config = TlsConfig

    def __init__(self, config: TlsConfig, proxy: ProxyHandle) -> None:
        self._transports = (
            TlsTransport(config.backlog, proxy),
            MtlsTransport(config.backlog, proxy),
        )

    @hookimpl
    def transports(self) -> Iterable[Transport]:
        """``tls`` and ``mtls``."""
        return self._transports
