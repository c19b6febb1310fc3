"""Live servers for ``sipx cert show``: where they are, what they show, why they do not."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, NamedTuple

from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from sipx.certificates import OwnCertificate
    from sipx.certificates.probe import Probed
    from sipx.cli.command_line import CommandLine
    from sipx.cli.exits import Failed


class Place(NamedTuple):
    """A host, its port, and the name to ask for; "" where it is an address."""

    host: str
    port: int
    name: str


def place_of(line: CommandLine, what: str, otherwise: str) -> Place:
    """What HOST:PORT says; ``otherwise`` is told of what is nothing like it. Exit code 2."""
    host, colon, port = what.rpartition(":")
    if _is_ipv6(host) or _is_ipv6(what):
        right = f"[{host}]:{port}" if _is_ipv6(host) else f"[{what}]:5061"
        raise _wrong(line, f"{what}: an IPv6 address goes in brackets, write {right}")
    if not colon or not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise _wrong(line, otherwise)
    if not host:
        raise _wrong(line, f"{what}: there is no host before the port, write HOST:{port}")
    if host.startswith("["):
        bare = host[1:].removesuffix("]")
        if not (host.endswith("]") and _is_ipv6(bare)):
            raise _wrong(line, f"{what}: there is no IPv6 address in the brackets")
        return Place(bare, int(port), "")
    name = _host_name(line, host)
    return Place(name, int(port), "" if _is_address(name) else name)


def sni_of(line: CommandLine, given: str) -> str:
    """The name of ``--sni`` as it goes over the wire. Exit code 2."""
    name = _host_name(line, given)
    if _is_address(name):
        raise _wrong(line, f"--sni {given}: an address is no name to ask for (RFC 6066 §3)")
    return name


def looked_at(
    line: CommandLine, what: str, place: Place, own: OwnCertificate | None, timeout: float
) -> Probed:
    """What a server shows. Exit code 4 when it shows nothing, and why."""
    from sipx.certificates.probe import HandshakeError, probe

    try:
        found = probe(place.host, place.port, server_name=place.name, own=own, timeout=timeout)
    except HandshakeError as error:
        raise _unreachable(line, _handshake(what, error.reasons, own)) from None
    except socket.gaierror as error:
        why = f"there is no address for this name ({error.strerror}); compare its spelling"
        raise _unreachable(line, f"{what}: {why}") from None
    except ConnectionRefusedError:
        why = "the connection was refused: nothing listens on this port; compare the port"
        raise _unreachable(line, f"{what}: {why}") from None
    except ConnectionResetError:
        why = "it reset the connection in the middle of the handshake; its log may say why"
        raise _unreachable(line, f"{what}: {why}") from None
    except TimeoutError:
        why = (
            f"it did not finish within {timeout:g} seconds: a firewall, or no TLS on this port; "
            "--timeout waits longer"
        )
        raise _unreachable(line, f"{what}: {why}") from None
    except OSError as error:
        raise _unreachable(line, f"{what}: {error.strerror or error}") from None
    if not found.chain:
        raise line.failed(f"{what} showed no certificate")
    return found


def refusal_of(found: Probed, own: OwnCertificate | None) -> str | None:
    """Why a server did not want us after it had shown its certificate."""
    from sipx.tls.words import handshake_failed

    if not found.refused:
        return None
    return str(handshake_failed("", found.refused, own)).removeprefix(": ")


def _handshake(what: str, reasons: tuple[str, ...], own: OwnCertificate | None) -> str:
    from sipx.tls.words import handshake_failed

    if any(
        reason.endswith(("protocol version", "unsupported protocol"))
        for reason in map(str.lower, reasons)
    ):
        return (
            f"{what}: it speaks nothing newer than TLS 1.1, and TLS 1.2 is the least here; "
            "update its TLS software"
        )
    return str(handshake_failed(what, reasons, own))


def _host_name(line: CommandLine, host: str) -> str:
    from sipx.domains import canonical_domain

    try:
        return canonical_domain(host).decode()
    except ValueError as error:
        raise _wrong(line, str(error)) from None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    return ":" in text and _is_address(text)


def _wrong(line: CommandLine, text: str) -> Failed:
    return line.failed(text, ExitCode.WRONG_USE)


def _unreachable(line: CommandLine, text: str) -> Failed:
    return line.failed(text, ExitCode.UNREACHABLE)
