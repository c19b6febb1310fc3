"""Whether the interfaces could be bound now, and who is in the way."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, NamedTuple

import psutil

from sipx.plugin import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx.interfaces import Interface


class Holder(NamedTuple):
    """The process that has an address; ``ours`` when it is a sipx."""

    pid: int
    name: str
    ours: bool


def port_findings(interfaces: Iterable[Interface]) -> Iterator[Finding]:
    """For each interface: bind, release, and say what came of it."""
    looked = False
    for interface in interfaces:
        looked = True
        yield _finding(interface)
    if not looked:
        yield Finding(
            "SIPX-N005",
            Severity.WARNING,
            "no interface is switched on: `sipx run` would not start",
            "add an [interface.NAME], or set enabled = true in one",
        )


def _finding(interface: Interface) -> Finding:
    what = (
        f"interface {interface.name}: {interface.bind} port {interface.port} ({interface.protocol})"
    )
    try:
        _bind(interface)
    except OSError as error:
        return _refusal(interface, what, error)
    return Finding("SIPX-N001", Severity.OK, f"{what} is free")


def _bind(interface: Interface) -> None:
    """Take the address as the listener would, and let it go. Raises OSError."""
    address = interface.listen_address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, _kind(interface)) as probe:
        if interface.protocol != "udp":
            # As listeners do: connections of an earlier process that linger are not in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((address, interface.port))
        if interface.protocol != "udp":
            probe.listen(1)


def _kind(interface: Interface) -> socket.SocketKind:
    return socket.SOCK_DGRAM if interface.protocol == "udp" else socket.SOCK_STREAM


def _refusal(interface: Interface, what: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return _in_use(interface, what)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Finding(
            "SIPX-N003",
            Severity.FAILURE,
            f"{what} needs a right that you do not have",
            "take a port above 1023, or give the process CAP_NET_BIND_SERVICE",
        )
    return Finding(
        "SIPX-N004",
        Severity.FAILURE,
        f"{what} cannot be bound: {error.strerror or error}",
        "set bind to an address of this machine",
    )


def _in_use(interface: Interface, what: str) -> Finding:
    holder = holder_of(interface)
    if holder is None:
        return Finding(
            "SIPX-N002",
            Severity.WARNING,
            f"{what} is in use; by whom cannot be seen from here",
            "all is well if that is your running sipx; root sees who it is",
        )
    if holder.ours:
        return Finding("SIPX-N001", Severity.OK, f"{what} is served by sipx (pid {holder.pid})")
    return Finding(
        "SIPX-N002",
        Severity.FAILURE,
        f"{what} is in use by {holder.name} (pid {holder.pid})",
        "stop that program, or set another port or bind",
    )


def holder_of(interface: Interface) -> Holder | None:
    """Who is bound to an interface's address; None where the system does not tell."""
    try:
        sockets = psutil.net_connections("inet")
    except psutil.Error:
        return None
    for found in sockets:
        listens = found.type == socket.SOCK_DGRAM or found.status == psutil.CONN_LISTEN
        if (
            found.pid
            and listens
            and found.type == _kind(interface)
            and found.laddr
            and found.laddr.port == interface.port
            and _meets(found.laddr.ip, interface.listen_address)
        ):
            return _holder(found.pid)
    return None


def _meets(one: str, other: str) -> bool:
    return one == other or "0.0.0.0" in (one, other) or "::" in (one, other)  # noqa: S104


def _holder(pid: int) -> Holder | None:
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
        name = process.name()
    except psutil.Error:
        return None
    run = "run" in words and any(word.rpartition("/")[2] == "sipx" for word in words[:3])
    return Holder(pid, name, run)
