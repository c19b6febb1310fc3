"""Whether the process lives (``/livez``), and whether SIP can be sent to it (``/readyz``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx import ProxyStatus


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at. ``wrong`` says in words why it is not right, "" if it is."""

    name: str
    wrong: str = ""


def liveness() -> Iterator[Look]:
    """What this process has to be restarted for: nothing but that it does not answer."""
    yield Look("process")


def readiness(status: ProxyStatus) -> Iterator[Look]:
    """What it takes to serve SIP: the proxy runs, all its interfaces listen, with certificates."""
    state = status.service.state
    yield Look("proxy", "" if state == "running" else f"it is {state}")
    # One that drains is not wanted any more: the others take what is new.
    on = [one for one in status.interfaces if one.state not in ("off", "draining")]
    if not on:
        yield Look("interfaces", "none is switched on")
    for one in on:
        wrong = "" if one.state == "listening" else one.reason or f"it is {one.state}"
        yield Look(f"interface {one.name}", wrong)
    for certificate in status.certificates:
        if not certificate.used_by:
            continue
        wrong = ""
        if certificate.not_after is None or certificate.days_left is None:
            wrong = certificate.error or "it is not loaded"
        elif certificate.days_left < 0:
            wrong = f"it ended on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
        yield Look(f"certificate {certificate.name}", wrong)


def report(looks: Iterable[Look], *, verbose: bool) -> tuple[bool, str]:
    """Whether all is well, and the text: what is wrong, or with ``verbose`` every look."""
    found = list(looks)
    well = not any(look.wrong for look in found)
    lines = [
        f"[-] {look.name}: {look.wrong}" if look.wrong else f"[+] {look.name}"
        for look in found
        if verbose or look.wrong
    ]
    return well, "\n".join([*lines, "ok" if well else "not ready", ""])
