"""What is said when ``sipx run`` has started, or why it has not."""

from __future__ import annotations

import errno
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from sipx.cli.command_line import stderr_is_terminal
from sipx.cli.exits import ExitCode, Failed

if TYPE_CHECKING:
    from sipx.cli.command_line import CommandLine
    from sipx.config.load import Settings
    from sipx.interfaces import Interface
    from sipx.kernel import Kernel

log = logging.getLogger("sipx.run")

NO_INTERFACE: Final = "no interface is switched on: add an [interface.NAME] or set enabled = true"


def tell_start(line: CommandLine, settings: Settings, kernel: Kernel) -> None:
    """Say what runs now: JSON on stdout; else on stderr for people, or as a line of the log."""
    found = summary(settings, kernel)
    if line.json:
        line.result(found, "")
        sys.stdout.flush()
        return
    if not stderr_is_terminal():
        log.info("started", extra=_in_words(found))
        return
    rows = [
        (
            i["name"],
            i["status"],
            i["protocol"],
            f"{i['address'] or i['bind']} port {i['port']}",
            i["reason"],
        )
        for i in found["interfaces"]
    ]
    for text in (
        f"domains: {', '.join(found['domains'])}",
        f"plugins: {', '.join(found['plugins']) or 'none'}",
        *line.table(("interface", "status", "protocol", "address", ""), rows),
    ):
        line.say(text)


def _in_words(found: dict[str, Any]) -> dict[str, str]:
    """The summary as the fields of a log line."""
    interfaces = (
        f"{i['name']} {i['status']} {i['protocol']} {i['address'] or i['bind']} port {i['port']}"
        + (f" ({i['reason']})" if i["reason"] else "")
        for i in found["interfaces"]
    )
    return {
        "domains": ", ".join(found["domains"]),
        "plugins": ", ".join(found["plugins"]),
        "interfaces": "; ".join(interfaces),
    }


def summary(settings: Settings, kernel: Kernel) -> dict[str, Any]:
    """What runs: the file, the domains, the plugins, and each interface with its status."""
    return {
        "config": str(settings.path.absolute()),
        "pid": os.getpid(),
        "domains": list(settings.kernel.domains),
        "plugins": list(kernel.hooks.plugins()),
        "interfaces": [
            {
                "name": interface.name,
                "protocol": interface.protocol,
                "role": interface.role,
                "bind": interface.bind,
                "status": interface.status.value,
                "reason": interface.reason,
                "address": interface.address[0] if interface.address else None,
                "port": interface.address[1] if interface.address else interface.port,
            }
            for interface in kernel.interfaces.all
        ],
    }


def nothing_listens(kernel: Kernel) -> Failed | None:
    """Why the process is of no use: none of its interfaces listens."""
    enabled = [interface for interface in kernel.interfaces.all if interface.enabled]
    if kernel.interfaces.listening():
        return None
    if not enabled:
        return Failed(NO_INTERFACE, ExitCode.NOT_STARTED)
    words = [
        f"interface {i.name}: cannot listen on {i.bind} port {i.port} ({i.protocol}): {i.reason}"
        for i in enabled
    ]
    denied = {os.strerror(errno.EACCES), os.strerror(errno.EPERM)}
    if all(interface.reason in denied for interface in enabled):
        words.append(
            "ports below 1024 need a right: take a higher port, or give the process "
            "CAP_NET_BIND_SERVICE"
        )
        return Failed("\n".join(words), ExitCode.NOT_PERMITTED)
    certificates = _for_a_certificate(kernel, enabled)
    advice = []
    if certificates:
        advice.append("`sipx check certs` tells what is wrong with the certificates")
    if len(certificates) < len(enabled):
        advice.append("`sipx check ports` tells who has the addresses")
    words.append(f"no interface can listen; {'; '.join(advice)}")
    return Failed("\n".join(words), ExitCode.NOT_STARTED)


def _for_a_certificate(kernel: Kernel, failed: list[Interface]) -> list[Interface]:
    """Those whose reason is a certificate, or the authorities of [trust], that cannot be used."""
    errors = [state.error for state in kernel.certificates.states() if state.error is not None]
    errors += [error for _, error in kernel.certificates.trust_errors()]
    return [i for i in failed if any(error.text in i.reason for error in errors)]
