"""One TLS connection in memory: bytes of the network in and out, clear text in and out. No I/O."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from OpenSSL import SSL

from sipx.identity import UNREADABLE
from sipx.tls.verification import Verification
from sipx.tls.words import (
    OURS,
    TlsError,
    bad_certificate,
    cut_off,
    handshake_failed,
    unreadable,
)
from sipx.trust import CertificateFault

if TYPE_CHECKING:
    from cryptography import x509

    from sipx.certificates import OwnCertificate
    from sipx.identity import EkuPolicy, Examination, Partner
    from sipx.tls.examine import Examiner

RECORD: Final = 16384
"""Bytes of clear text in one record at most (RFC 8446 §5.1)."""
_OVERHEAD: Final = 64
_SPARE: Final = 4096


class TlsSession:
    """Made by `sipx.tls.Tls`. First ``handshake`` until ``established``, then the rest.

    ``examined`` is what the peer's certificate was found to be, None when it showed none;
    ``ended`` is True when the peer has said goodbye. ``version`` and ``cipher`` are what was
    agreed, ``server_name`` is what was asked for by SNI; all are "" before.
    """

    __slots__ = (
        "_connection",
        "_context",
        "_examiner",
        "_generation",
        "_partner",
        "_policy",
        "_shown",
        "_until",
        "_who",
        "accepting",
        "cipher",
        "ended",
        "established",
        "examined",
        "own",
        "server_name",
        "shows_certificate",
        "version",
    )

    def __init__(
        self,
        context: SSL.Context,
        examiner: Examiner,
        who: str,
        own: OwnCertificate | None,
        policy: EkuPolicy,
        partners: tuple[Partner, ...],
        *,
        partner: Partner | None = None,
        server_name: str = "",
    ) -> None:
        self._context = context
        self._examiner = examiner
        self._who = who
        self._policy = policy
        self._partner = partner
        self.own = own
        self.shows_certificate = own is not None
        self.accepting = partner is None
        self.established = self.ended = False
        self.examined: Examination | None = None
        self._shown: tuple[x509.Certificate, ...] = ()
        self._generation = 0
        self._until = 0.0
        self.version = self.cipher = ""
        self.server_name = server_name
        self._connection = connection = SSL.Connection(context, None)
        connection.set_app_data(Verification(policy, partners, accepting=self.accepting))
        if partner is None:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
            if server_name:
                connection.set_tlsext_host_name(server_name.encode())

    # ------------------------------------------------------------ handshake

    def handshake(self, data: bytes = b"") -> bytes:
        """Go on with the handshake; returns what is to be written now. Raises TlsError."""
        connection = self._connection
        if data:
            connection.bio_write(data)
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            return self._drain()
        except SSL.Error as error:
            failure = self._failure(error)
            failure.last_words = self._drain()
            raise failure from None
        self._examine()
        self.established = True
        self.version = connection.get_protocol_version_name()
        self.cipher = connection.get_cipher_name() or ""
        if self.accepting:
            self.server_name = (connection.get_servername() or b"").decode("ascii", "replace")
        return self._drain()

    def cut_off(self) -> bytes:
        """The peer closed the connection before the handshake was over. Raises TlsError."""
        raise cut_off(self._who, self.own)

    def _examine(self) -> None:
        """RFC 5922 §7.3: who is not authenticated is left at once."""
        connection = self._connection
        try:
            leaf = connection.get_peer_certificate(as_cryptography=True)
            if leaf is None or (self._partner is not None and not self._partner.verify):
                return
            self._shown = (leaf, *(connection.get_peer_cert_chain(as_cryptography=True) or ()))
            self.examined = self._judge()
        except TlsError as failure:
            failure.last_words = self.end()
            raise
        except UNREADABLE as error:
            told = unreadable(self._who)
            told.last_words = self.end()
            raise told from error

    def _judge(self) -> Examination:
        examiner = self._examiner
        self._generation = examiner.trust_generation
        leaf, *others = self._shown
        found = examiner.examine(
            leaf,
            others,
            accepting=self.accepting,
            policy=self._policy,
            partner=self._partner,
            who=self._who,
        )
        self._until = found.certificate.not_after.timestamp()
        return found

    def doubt(self) -> str | None:
        """Why the peer is not believed any more that was believed in the handshake, or None.

        Its certificate has expired since, or authorities and revocation lists have changed. Where
        it proves the same peers, what it may be believed for besides is known anew (``examined``).
        """
        known, examiner = self.examined, self._examiner
        if known is None:
            return None
        if self._generation == examiner.trust_generation and examiner.now() <= self._until:
            return None
        try:
            found = self._judge()
        except TlsError as failure:
            return str(failure)
        if (found.proven, found.general) != (known.proven, known.general):
            return f"{self._who}: with the authorities of now its certificate proves another peer"
        self.examined = found
        return None

    # ------------------------------------------------------------ messages

    def receive(self, data: bytes) -> bytes:
        """Records in, all clear text out. Raises TlsError."""
        connection = self._connection
        if data:
            connection.bio_write(data)
        clear: list[bytes] = []
        try:
            while True:
                clear.append(connection.recv(RECORD))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = True
        except SSL.Error as error:
            raise self._failure(error) from None
        return clear[0] if len(clear) == 1 else b"".join(clear)

    def encrypt(self, data: bytes) -> bytes:
        """Clear text in, records out. Raises TlsError."""
        connection = self._connection
        try:
            sent = connection.send(data)
            while sent < len(data):
                sent += connection.send(data[sent : sent + RECORD])
        except SSL.Error as error:
            raise self._failure(error) from None
        return connection.bio_read(len(data) + (len(data) // RECORD + 1) * _OVERHEAD + _SPARE)

    def end(self) -> bytes:
        """Our goodbye (RFC 8446 §6.1)."""
        with suppress(SSL.Error):  # where the handshake is not over there is an alert, or nothing
            self._connection.shutdown()
        return self._drain()

    def forget(self) -> None:
        """The connection is closed: what OpenSSL holds for it, some 30 KiB, is let go of.

        Timers of finished transactions may still know the flow, and with it this session.
        """
        del self._connection, self._context

    def reply(self) -> bytes:
        """What OpenSSL has to say by itself, such as an alert against a renegotiation; often b"".

        Worth asking when what came was no message; else it goes out with the next one.
        """
        return self._drain()

    # ------------------------------------------------------------ below

    def _drain(self) -> bytes:
        found: list[bytes] = []
        try:
            while True:
                found.append(self._connection.bio_read(RECORD))
        except SSL.WantReadError:
            return b"".join(found)

    def _failure(self, error: SSL.Error) -> TlsError:
        rules = self._connection.get_app_data()
        if isinstance(rules, Verification) and rules.failed is not None:
            refused = rules.failed
            if refused.certificate is None:
                return unreadable(self._who)
            fault = OURS.get(refused.error, CertificateFault.UNKNOWN_CA)
            rule = refused.rule
            if not rule and refused.error not in OURS:
                rule = f"OpenSSL refuses it with error {refused.error}"
            return bad_certificate(
                self._who,
                refused.certificate,
                fault,
                rule,
                refused.remedy,
                of_chain=refused.depth > 0,
            )
        if isinstance(error, SSL.SysCallError):
            return cut_off(self._who, self.own)
        reasons = [entry[-1] for entry in error.args[0]] if error.args else []
        return handshake_failed(self._who, reasons, self.own)
