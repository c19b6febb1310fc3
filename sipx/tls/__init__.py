"""TLS as this proxy speaks it: sessions in memory, with its certificates and its trust."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sipx.addresses import parse_address
from sipx.identity import EkuPolicy
from sipx.tls.contexts import Contexts
from sipx.tls.examine import Examiner
from sipx.tls.session import TlsSession
from sipx.tls.words import TlsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.certificates import CertificateStore
    from sipx.identity import Partner
    from sipx.interfaces import Interface

__all__ = ["Tls", "TlsError", "TlsSession"]


class Tls:
    """Makes sessions. The kernel has one; plugins reach it as ``proxy.tls``."""

    def __init__(
        self, certificates: CertificateStore, wall: Callable[[], float] = time.time
    ) -> None:
        self.certificates = certificates
        self.examiner = Examiner(certificates, wall)
        self._contexts = Contexts(certificates, wall)

    def accepting(self, interface: Interface, peer: str) -> TlsSession:
        """For a connection from ``peer``, an address for people. Raises CertificateError."""
        return TlsSession(
            self._contexts.accepting(interface),
            self.examiner,
            peer,
            self.certificates.usable(interface.certificates)[0],
            EkuPolicy(interface.eku),
            self.certificates.partners,
        )

    def connecting(
        self, interface: Interface, partner: Partner, peer: str, host: str
    ) -> TlsSession:
        """For a connection to ``partner`` at ``peer``; ``host`` is the name it was found by.

        RFC 5922 §7.8 wants the SIP domain in SNI, servers behind shared front ends their own name:
        the host's name goes out, the domain only where there is no name. Raises CertificateError.
        """
        name = partner.certificate or interface.client_certificate
        if name is None and interface.certificates:
            name = interface.certificates[0]
        own = self.certificates.own(name) if partner.mutual and name is not None else None
        who = f"{partner.name} at {peer}" if partner.name else peer
        return TlsSession(
            self._contexts.connecting(own, partner),
            self.examiner,
            who,
            own,
            partner.eku or EkuPolicy(interface.eku),
            (partner,),
            partner=partner,
            server_name=partner.sni or _server_name(host, partner),
        )


def _server_name(host: str, partner: Partner) -> str:
    """RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted"."""
    if parse_address(host) is None:
        return host.rstrip(".")
    domain = partner.domain.decode()
    return "" if parse_address(domain) is not None else domain
