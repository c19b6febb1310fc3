"""One connection that is made to look at somebody: TCP, TLS, one request, its answer, and the end.

It is none of the proxy's flows. ``look`` believes nothing and shows what a TLS server shows; what
``Call`` says goes only to who has been proven, by the same rules as those of the flows.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

import trio
from OpenSSL import SSL

from sipx.connections import open_socket
from sipx.sip.errors import RemoteError
from sipx.sip.message import Response
from sipx.sip.parser import StreamParser, parse_datagram
from sipx.tls import TlsError

if TYPE_CHECKING:
    import socket

    from cryptography import x509

    from sipx.certificates import OwnCertificate
    from sipx.identity import Partner
    from sipx.interfaces import Interface
    from sipx.resolver import Hop
    from sipx.tls import Tls, TlsSession

READ_SIZE: Final = 65536
_MOST: Final = 1 << 20
"""Bytes of the longest handshake or answer that is read."""
_AFTER: Final = 0.5
"""Seconds in which a server of TLS 1.3 says what it thinks of our certificate."""
_CUT_OFF: Final = "unexpected eof while reading"
_T1: Final = 0.5
VERSIONS: Final = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}
"""Versions of TLS that are spoken, the oldest first."""
SECURED: Final = ("tls", "mtls", "wss")


class CallError(Exception):
    """No connection, or no answer; ``status`` as the proxy would answer for it."""

    def __init__(self, why: str, status: int, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.status = status
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Look:
    """What a TLS server showed. ``reasons`` are OpenSSL's, where it did not want us; ``seconds``
    is what the handshake took.
    """

    chain: tuple[x509.Certificate, ...]
    version: str
    cipher: str
    reasons: tuple[str, ...]
    seconds: float


# ---------------------------------------------------------------- TCP


async def connected(interface: Interface, hop: Hop, patience: float) -> socket.socket:
    """A TCP connection from the address of an interface. Raises CallError."""
    try:
        with trio.fail_after(patience):
            return await open_socket(interface, hop.address, hop.port)
    except trio.TooSlowError:
        raise CallError(
            f"no answer within {patience:g} s",
            504,
            "a firewall drops what is sent there, or the machine is down",
        ) from None
    except OSError as error:
        raise CallError(*_refusal(error)) from error


def _refusal(error: OSError) -> tuple[str, int, str]:
    why = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.ECONNREFUSED:
        return f"{why}: nothing listens there", 503, "compare address and port with the partner"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return why, 503, "this machine has no way there: compare its routes and firewall"
    if error.errno == errno.EADDRNOTAVAIL:
        return why, 503, "the address that the interface binds to is not on this machine"
    return why, 503, ""


# ---------------------------------------------------------------- TLS, looked at


async def look(
    sock: socket.socket,
    *,
    server_name: str,
    own: OwnCertificate | None,
    version: str = "",
    patience: float,
) -> Look:
    """Shake hands and see. Raises CallError where the peer does not finish in time.

    ``version`` is the only one that is offered; "" offers all of ``VERSIONS``, and waits for what
    a server of TLS 1.3 says of our certificate.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(VERSIONS[version] if version else SSL.TLS1_2_VERSION)
    if version:
        context.set_max_proto_version(VERSIONS[version])
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
    began = perf_counter()
    seconds = 0.0
    reasons: tuple[str, ...] = ()
    try:
        with trio.fail_after(patience):
            reasons = await _handshake(connection, sock)
            seconds = perf_counter() - began
            if not reasons and not version:
                reasons = await _afterwards(connection, sock)
            if not reasons:
                await _goodbye(connection, sock)
    except trio.TooSlowError:
        why = f"the TLS handshake was not over within {patience:g} s"
        raise CallError(why, 504, "whatever listens there may not speak TLS") from None
    except OSError as error:
        reasons = (_refusal(error)[0],)
        seconds = perf_counter() - began
    chain = tuple(connection.get_peer_cert_chain(as_cryptography=True) or ())
    cipher = connection.get_cipher_name() or ""
    spoken = connection.get_protocol_version_name() if cipher else ""
    return Look(chain, spoken, cipher, reasons, seconds)


async def _handshake(connection: SSL.Connection, sock: socket.socket) -> tuple[str, ...]:
    """Carry it to its end; why it failed. Raises OSError."""
    read = 0
    while True:
        try:
            connection.do_handshake()
            await _flush(connection, sock)
            return ()
        except SSL.WantReadError:
            await _flush(connection, sock)
        except SSL.Error as error:
            with suppress(OSError):
                await _flush(connection, sock)
            return _reasons(error)
        data = await _received(sock)
        read += len(data)
        if not data or read > _MOST:
            return (_CUT_OFF,)
        connection.bio_write(data)


async def _afterwards(connection: SSL.Connection, sock: socket.socket) -> tuple[str, ...]:
    """What a server of TLS 1.3 says of our certificate, which comes after the handshake."""
    with trio.move_on_after(_AFTER):
        while True:
            try:
                connection.recv(1)
                return ()
            except SSL.WantReadError:
                pass
            except SSL.ZeroReturnError:
                return ()
            except SSL.Error as error:
                return _reasons(error)
            try:
                data = await _received(sock)
            except OSError:
                data = b""
            if not data:
                return (_CUT_OFF,)
            connection.bio_write(data)
    return ()


async def _goodbye(connection: SSL.Connection, sock: socket.socket) -> None:
    """RFC 8446 §6.1; whoever hears it need not wonder why we left."""
    with suppress(SSL.Error, OSError):
        connection.shutdown()
        await _flush(connection, sock)


async def _flush(connection: SSL.Connection, sock: socket.socket) -> None:
    try:
        while True:
            await _send(sock, connection.bio_read(READ_SIZE))
    except SSL.WantReadError:
        return


def _reasons(error: SSL.Error) -> tuple[str, ...]:
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return tuple(str(entry[-1]) for entry in entries) or ("no reason given",)


# ---------------------------------------------------------------- one request and its answer


class Call:
    """A way to one hop for one request. ``session`` is there where it goes by TLS."""

    def __init__(self, interface: Interface, hop: Hop, patience: float) -> None:
        self.interface = interface
        self.hop = hop
        self.patience = patience
        self.session: TlsSession | None = None
        self._sock: socket.socket | None = None
        self._datagrams: trio.socket.SocketType | None = None

    async def open(self, tls: Tls, partner: Partner) -> None:
        """Connect; by TLS to whoever proves to be ``partner``. Raises CallError."""
        hop = self.hop
        if hop.transport == "udp":
            await self._open_udp()
            return
        if hop.transport not in ("tcp", *SECURED[:2]):
            raise CallError(f"{hop.transport} is not spoken here", 503, "let sipx run, and try it")
        self._sock = await connected(self.interface, hop, self.patience)
        if hop.transport not in SECURED:
            return
        session = tls.connecting(self.interface, partner, _place(hop), hop.name)
        try:
            with trio.fail_after(self.patience):
                await self._shake_hands(session)
        except trio.TooSlowError:
            why = f"the TLS handshake was not over within {self.patience:g} s"
            raise CallError(why, 504) from None
        except TlsError as failure:
            with suppress(OSError):
                self._sock.send(failure.last_words)
            raise CallError(failure.text, 502, failure.remedy) from failure
        except OSError as error:
            raise CallError(*_refusal(error)) from error
        self.session = session

    async def ask(self, request: bytes, branch: bytes) -> Response:
        """Send it; its final answer. Raises CallError."""
        try:
            with trio.fail_after(self.patience):
                if self._datagrams is not None:
                    return await self._by_datagrams(self._datagrams, request, branch)
                return await self._by_stream(request, branch)
        except trio.TooSlowError:
            why = f"connected, but no answer to the request within {self.patience:g} s"
            raise CallError(why, 408, "it may take requests only from whom it knows") from None
        except TlsError as failure:
            raise CallError(failure.text, 502, failure.remedy) from failure
        except RemoteError as error:
            raise CallError(f"what it answers is no SIP: {error.reason}", 502) from error
        except OSError as error:
            raise CallError(*_refusal(error)) from error

    def close(self) -> None:
        """End it."""
        if self._sock is not None:
            if self.session is not None:
                with suppress(OSError):
                    self._sock.send(self.session.end())
            self._sock.close()
        if self._datagrams is not None:
            self._datagrams.close()

    # ------------------------------------------------------------ below

    async def _open_udp(self) -> None:
        family = trio.socket.AF_INET6 if ":" in self.hop.address else trio.socket.AF_INET
        self._datagrams = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
        try:
            if not self.interface.wildcard:
                await self._datagrams.bind((self.interface.listen_address, 0))
            await self._datagrams.connect((self.hop.address, self.hop.port))
        except OSError as error:
            raise CallError(*_refusal(error)) from error

    async def _shake_hands(self, session: TlsSession) -> None:
        assert self._sock is not None
        answer = session.handshake()
        while True:
            await _send(self._sock, answer)
            if session.established:
                return
            data = await _received(self._sock)
            answer = session.handshake(data) if data else session.cut_off()

    async def _by_stream(self, request: bytes, branch: bytes) -> Response:
        sock, session = self._sock, self.session
        assert sock is not None
        await _send(sock, request if session is None else session.encrypt(request))
        parser = StreamParser()
        while True:
            data = await _received(sock)
            if not data and session is not None:
                session.cut_off()
            if not data:
                raise CallError("it closed the connection without an answer", 503)
            for found in parser.feed(data if session is None else session.receive(data)):
                if isinstance(found, RemoteError):
                    raise found
                if isinstance(found, Response) and _answers(found, branch):
                    return found

    async def _by_datagrams(
        self, sock: trio.socket.SocketType, request: bytes, branch: bytes
    ) -> Response:
        """RFC 3261 §17.1.2.2: sent again after T1, 2*T1, 4*T1 ..."""
        wait = _T1
        while True:
            await sock.send(request)
            with trio.move_on_after(wait):
                while True:
                    found = parse_datagram(await sock.recv(READ_SIZE))
                    if isinstance(found, Response) and _answers(found, branch):
                        return found
            wait = min(2 * wait, 4.0)


def _answers(found: Response, branch: bytes) -> bool:
    return found.status >= 200 and found.branch == branch


def _place(hop: Hop) -> str:
    return f"[{hop.address}]:{hop.port}" if ":" in hop.address else f"{hop.address}:{hop.port}"


async def _received(sock: socket.socket) -> bytes:
    """What came, b"" at the end. Raises OSError."""
    while True:
        await trio.lowlevel.wait_readable(sock)
        with suppress(BlockingIOError):
            return sock.recv(READ_SIZE)


async def _send(sock: socket.socket, data: bytes) -> None:
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
