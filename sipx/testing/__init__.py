"""What the author of a plugin needs to test it: a real kernel, peers, servers on loopback.

The fixtures ``sipx_proxy`` and ``sipx_on_loopback`` need no import: sipx.testing.plugin brings
them to pytest. What stands here is imported when it is first used, because pytest loads this
package in every run of anybody who has sipx installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipx.testing.asking import NoAnswerError
    from sipx.testing.carriers import TcpCarrier, UdpCarrier
    from sipx.testing.certificates import Authority, Issued
    from sipx.testing.configuration import read_configuration
    from sipx.testing.contract import check_plugin
    from sipx.testing.dialog import Dialog
    from sipx.testing.dns import DnsServer, dns_server
    from sipx.testing.logs import LogUnderTest
    from sipx.testing.network import Network
    from sipx.testing.peer import UserAgent, running
    from sipx.testing.plugin import StartProxy
    from sipx.testing.proxy import ProxyUnderTest, start_proxy
    from sipx.testing.registering import Logon, Registration, register
    from sipx.testing.sessions import Call, Invitation, Notifier, RefusedError, Subscription
    from sipx.testing.stores import check_location_store
    from sipx.testing.tls_carrier import TlsCarrier
    from sipx.testing.transcript import Pair, Transcript
    from sipx.testing.wire import a_request, an_answer

_MODULE_OF = {
    "Authority": "sipx.testing.certificates",
    "Call": "sipx.testing.sessions",
    "Dialog": "sipx.testing.dialog",
    "DnsServer": "sipx.testing.dns",
    "Invitation": "sipx.testing.sessions",
    "Issued": "sipx.testing.certificates",
    "LogUnderTest": "sipx.testing.logs",
    "Logon": "sipx.testing.registering",
    "Network": "sipx.testing.network",
    "NoAnswerError": "sipx.testing.asking",
    "Notifier": "sipx.testing.sessions",
    "Pair": "sipx.testing.transcript",
    "ProxyUnderTest": "sipx.testing.proxy",
    "RefusedError": "sipx.testing.sessions",
    "Registration": "sipx.testing.registering",
    "StartProxy": "sipx.testing.plugin",
    "Subscription": "sipx.testing.sessions",
    "TcpCarrier": "sipx.testing.carriers",
    "TlsCarrier": "sipx.testing.tls_carrier",
    "Transcript": "sipx.testing.transcript",
    "UdpCarrier": "sipx.testing.carriers",
    "UserAgent": "sipx.testing.peer",
    "a_request": "sipx.testing.wire",
    "an_answer": "sipx.testing.wire",
    "check_location_store": "sipx.testing.stores",
    "check_plugin": "sipx.testing.contract",
    "dns_server": "sipx.testing.dns",
    "read_configuration": "sipx.testing.configuration",
    "register": "sipx.testing.registering",
    "running": "sipx.testing.peer",
    "start_proxy": "sipx.testing.proxy",
}

__all__ = [
    "Authority",
    "Call",
    "Dialog",
    "DnsServer",
    "Invitation",
    "Issued",
    "LogUnderTest",
    "Logon",
    "Network",
    "NoAnswerError",
    "Notifier",
    "Pair",
    "ProxyUnderTest",
    "RefusedError",
    "Registration",
    "StartProxy",
    "Subscription",
    "TcpCarrier",
    "TlsCarrier",
    "Transcript",
    "UdpCarrier",
    "UserAgent",
    "a_request",
    "an_answer",
    "check_location_store",
    "check_plugin",
    "dns_server",
    "read_configuration",
    "register",
    "running",
    "start_proxy",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
