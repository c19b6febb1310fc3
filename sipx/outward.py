"""A request that is sent to see what becomes of it, and all that it meets on its way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx.addresses import AddressFilter, parse_address
from sipx.dry_run import DryRun, RequestError
from sipx.errors import Refused
from sipx.limits import dns_settings
from sipx.plugin import Later, Refuse, Sender, Targets
from sipx.resolver import Resolver
from sipx.sip.errors import RemoteError
from sipx.sip.message import Request
from sipx.sip.parser import parse_datagram
from sipx.sip.uri import cached_uri
from sipx.trust import SenderKind
from sipx.useragent import contact_of

if TYPE_CHECKING:
    from sipx.interfaces import Interface
    from sipx.kernel import Kernel

METHOD: Final = b"OPTIONS"


def probing_request(kernel: Kernel, uri: str) -> Request:
    """An OPTIONS from somebody in our domain, as RFC 3261 §11.1 constructs one; without a Via.

    Raises RemoteError for what is no URI.
    """
    ours = min(kernel.domains)
    written = uri.encode("utf-8", "surrogateescape")
    cached_uri(written)
    return Request.build(
        METHOD,
        written,
        (
            (b"Max-Forwards", b"70"),
            (b"From", b"<sip:probe@%b>;tag=%x" % (ours, kernel.rng.getrandbits(48))),
            (b"To", b"<%b>" % written),
            (b"Call-ID", b"%x" % kernel.rng.getrandbits(96)),
            (b"CSeq", b"1 " + METHOD),
            (b"Accept", b"application/sdp"),
            (b"User-Agent", b"sipx"),
        ),
    )


async def targets_of(kernel: Kernel, uri: str) -> Targets:
    """Where a message from one of our UC servers would go. Raises Refused, as it is refused, and
    RemoteError for what is no URI.
    """
    try:
        told = await DryRun(kernel).explain(uri)
    except RequestError as error:
        raise RemoteError(str(error)) from error
    if told.status and not told.targets:
        raise Refused(told.status, told.why, row=told.row)
    core = kernel.proxy.targets
    request = _received(probing_request(kernel, uri))
    sender = Sender(SenderKind.UC_SERVER, "a UC server of ours", kernel.domains, trusted=True)
    found = core.determine_targets(request, sender)
    if isinstance(found, Later):
        try:
            with trio.fail_after(found.deadline):
                found = await found.fn()
        except trio.TooSlowError:
            raise Refused(504, "a plugin did not answer in time") from None
    if isinstance(found, Refuse):
        raise core.refusal(found)
    if found is None or not any(found.groups):
        raise core.nowhere(request)
    return found


def _received(request: Request) -> Request:
    """The same as plugins know requests: parsed, with a Via."""
    lines = (b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKprobe", *request.lines)
    found = parse_datagram(b"\r\n".join([request.start, *lines, b"", b""]))
    assert isinstance(found, Request)
    return found


def outward_filter(kernel: Kernel) -> AddressFilter:
    """What is not sent to where outsiders say where (SEC-09)."""
    own = [
        (host.decode(), port)
        for host, port in kernel.interfaces.own
        if parse_address(host.decode()) is not None
    ]
    return AddressFilter(kernel.config.trust.networks, own)


def fresh_resolver(kernel: Kernel) -> Resolver:
    """One that remembers nothing, with the name servers of the proxy and its clock."""
    return Resolver(dns_settings(kernel.config.dns), clock=kernel.clock)


def complete(kernel: Kernel, request: Request, interface: Interface) -> tuple[bytes, bytes]:
    """The bytes of a request that leaves by an interface outside of all flows, and its branch."""
    branch = b"z9hG4bK%x" % kernel.rng.getrandbits(64)
    via = interface.via_head() + branch[7:]
    lines = [via, *contact_of(request, interface), *request.lines]
    return b"\r\n".join([request.start, *lines, b"", request.body]), branch
