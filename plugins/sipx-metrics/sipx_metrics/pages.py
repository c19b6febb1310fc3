"""What is answered to a request over HTTP. No I/O here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from sipx_metrics.health import liveness, readiness, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import ProxyStatus
    from sipx_metrics.exposition import Exposition

TEXT: Final = "text/plain; charset=utf-8"
INDEX: Final = b"""\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>sipx</title>
<h1>sipx</h1>
<ul>
<li><a href="/metrics">/metrics</a>: for Prometheus
<li><a href="/livez?verbose">/livez</a>: whether the process lives
<li><a href="/readyz?verbose">/readyz</a>: whether SIP can be sent to it
</ul>
</html>
"""


class Page(NamedTuple):
    """An answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def plain(status: int, text: str, *headers: tuple[str, str]) -> Page:
    """A line for people."""
    return Page(status, TEXT, text.encode(), headers)


class Pages:
    """The pages: ``/``, ``/metrics``, ``/livez``, ``/readyz``."""

    def __init__(self, exposition: Exposition, status: Callable[[], ProxyStatus]) -> None:
        self._exposition = exposition
        self._status = status

    def answer(self, method: bytes, target: bytes, accept: str) -> Page:
        """The answer to a request for ``target``, as it stands in the request line."""
        if method not in (b"GET", b"HEAD"):
            return plain(405, "only GET and HEAD\n", ("Allow", "GET, HEAD"))
        try:
            parts = urlsplit(target.decode("ascii"))
            query = parse_qs(parts.query, keep_blank_values=True, max_num_fields=10)
        except ValueError:
            return plain(400, "this is no path\n")
        if parts.path == "/metrics":
            text, content_type = self._exposition.text(accept)
            return Page(200, content_type, text)
        if parts.path in ("/livez", "/readyz"):
            looks = liveness() if parts.path == "/livez" else readiness(self._status())
            well, said = report(looks, verbose="verbose" in query)
            return plain(200 if well else 503, said)
        if parts.path == "/":
            return Page(200, "text/html; charset=utf-8", INDEX)
        return plain(404, "there is /metrics, /livez and /readyz\n")
