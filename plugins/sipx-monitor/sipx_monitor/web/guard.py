"""What a request has to be before it is looked at: for us, from our own pages, not framed.

Another site that a browser shows at the same time must not be able to speak with our voice: its
name may lead to our address (DNS rebinding; Host says so), its pages may send requests (Origin and
Sec-Fetch-Site say so), or show ours in a frame (the policy forbids it).
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sipx_monitor.web.messages import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx_monitor.config import MonitorConfig
    from sipx_monitor.web.messages import Request, Response

LOCAL_NAMES: Final = ("localhost", "localhost.")
SAFE: Final = ("GET", "HEAD")
_IMPORT_MAP: Final = re.compile(rb"<script[^>]*type=\"importmap\"[^>]*>(.*?)</script>", re.DOTALL)
_NETLOC: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?\Z")


class Guard:
    """The rules of one configuration."""

    def __init__(self, config: MonitorConfig) -> None:
        self._names = {*LOCAL_NAMES, *config.allowed_hosts}
        self._on_loopback = config.on_loopback
        self._proxies = [ipaddress.ip_network(text) for text in config.trusted_proxies]

    def from_proxy(self, address: str) -> bool:
        """Whether an address is that of a trusted reverse proxy."""
        found = ipaddress.ip_address(address)
        return any(found in network for network in self._proxies)

    def see_through(self, request: Request) -> None:
        """Take from a trusted proxy who is behind it, and what the browser asked it for."""
        if not self.from_proxy(request.address):
            return
        behind = [part.strip() for part in request.header("x-forwarded-for").split(",")]
        for text in reversed(behind):
            try:
                address = str(ipaddress.ip_address(text.strip("[]")))
            except ValueError:
                break
            request.address = address
            if not self.from_proxy(address):
                break
        if request.header("x-forwarded-proto") == "https":
            request.tls = True
        host = request.header("x-forwarded-host")
        if host:
            request.headers["host"] = host.rpartition(",")[2].strip()

    def admit(self, request: Request) -> None:
        """Raises Refused for a request that is not for us, or is sent by a page of others."""
        host = self._host(request.header("host"))
        if host not in self._names and not self._is_ours(host):
            raise Refused(
                403,
                f"this console is not to be reached as {host}; "
                f'set monitor.allowed_hosts = ["{host}"] if that is a name of it',
            )
        origin = request.header("origin")
        if origin and not _same(origin, request):
            raise Refused(
                403, f"a page of {origin[:200]} may not use this console{_misled(origin, request)}"
            )
        site = request.header("sec-fetch-site")
        navigates = request.method in SAFE and request.header("sec-fetch-mode") == "navigate"
        if site and site not in ("same-origin", "none") and not navigates:
            raise Refused(403, "a page of another site may not use this console")

    def _host(self, text: str) -> str:
        found = _NETLOC.match(text)
        if found is None:
            raise Refused(400, "the request does not say which host it is for (header Host)")
        return found[1].strip("[]").lower()

    def _is_ours(self, host: str) -> bool:
        """An IP address cannot be rebound: the page that names it came from there."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or not self._on_loopback


def _same(origin: str, request: Request) -> bool:
    return origin.lower() == _asked_for(request)


def _asked_for(request: Request) -> str:
    """The origin that the request is for."""
    return f"{'https' if request.tls else 'http'}://{request.header('host').lower()}"


def _misled(origin: str, request: Request) -> str:
    """What is told of an origin that is only another port or scheme: a proxy may be why."""
    asked = _asked_for(request)
    try:
        same = urlsplit(origin).hostname == urlsplit(asked).hostname
    except ValueError:
        return ""
    if not same:
        return ""
    return (
        f", which is asked for as {asked[:200]}: a reverse proxy has to hand on Host with the "
        "port, and X-Forwarded-Proto"
    )


def needs_origin(request: Request) -> None:
    """A browser says where a websocket or a form comes from. Raises Refused for one that hides it.

    Only for what a browser authenticates by itself, with a cookie.
    """
    if not request.header("origin") and request.header("sec-fetch-site") != "same-origin":
        raise Refused(403, "a request with a cookie has to say where it comes from (header Origin)")


def policy(index: bytes) -> str:
    """The Content-Security-Policy of our pages: only our files, and this one import map."""
    maps = [
        f" 'sha256-{base64.b64encode(hashlib.sha256(found).digest()).decode()}'"
        for found in _IMPORT_MAP.findall(index)
    ]
    return (
        f"default-src 'none'; script-src 'self'{''.join(maps)}; connect-src 'self'; "
        "style-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )


NOTHING: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The policy of what is no page."""
_COMMON: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def protect(response: Response) -> Response:
    """Add the headers that every answer has."""
    given = {name.lower() for name, _ in response.headers}
    response.headers += _COMMON
    for name, value in _defaults():
        if name.lower() not in given:
            response.headers.append((name, value))
    return response


def _defaults() -> Iterable[tuple[str, str]]:
    yield "Cache-Control", "no-store"
    yield "Content-Security-Policy", NOTHING
