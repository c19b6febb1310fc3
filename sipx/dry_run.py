"""What the proxy would do with a request: every decision is made, and nothing is sent but DNS.

The real kernel is made of the real configuration, its interfaces are taken for bound, and its
proxy core is asked step by step (RFC 3261 §16), as it is for a request that arrives.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

from sipx.certificates import CertificateError, read_certificates
from sipx.certificates.findings import certificate_findings
from sipx.errors import Refused
from sipx.flows import Flow
from sipx.identity import EkuPolicy
from sipx.interfaces import host_port
from sipx.kernel import Kernel
from sipx.logs.silence import silent
from sipx.paths import NoHop
from sipx.plugin import Accept, Later, Refuse, Sender
from sipx.reasons import ASKED, Refusal
from sipx.sip.errors import RemoteError
from sipx.sip.message import Request
from sipx.sip.parser import parse_datagram
from sipx.sip.uri import cached_uri
from sipx.state import state_directory
from sipx.tls import TlsError
from sipx.trust import SenderKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography import x509

    from sipx.certificates import CertificateStore
    from sipx.config.load import Settings
    from sipx.hooks import Hooks
    from sipx.interfaces import Interface
    from sipx.plugin import Finding, Target
    from sipx.registry import Registry
    from sipx.resolver import Hop

T = TypeVar("T")
_SECURE = ("tls", "mtls", "wss")


class RequestError(ValueError):
    """What was asked about is no SIP request; the text is for people."""


class DryFlow(Flow):
    """A flow that nothing is behind."""

    __slots__ = ()

    def send(self, data: bytes) -> bool:
        """Nothing is sent."""
        return False

    def close(self, reason: str) -> None:
        """It never was open."""
        self.closed = True


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a request is received on one interface. ``status`` 0: accepted, as ``sender``.

    ``known``: a plugin had a verdict on the sender, or it showed a certificate. ``row`` is the row
    of docs/trust.md, table "Incoming", that decided.
    """

    interface: str
    protocol: str
    status: int
    why: str
    sender: Sender | None
    known: bool
    flow: Flow
    refused_by: int = 0
    """The row that refuses it, 0 where it is accepted or no row says so."""

    @property
    def row(self) -> int:
        """The row of the trust table."""
        return self.sender.row if self.sender is not None else self.refused_by


@dataclass(frozen=True, slots=True)
class HopWay:
    """A hop, and the interface it is reached from; or ``refused``: why it is not tried."""

    address: str
    port: int
    transport: str
    name: str
    interface: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class TargetWay:
    """One target with its hops in the order to be tried. ``status`` 0: it can be reached."""

    name: str
    group: int
    hops: tuple[HopWay, ...]
    status: int = 0
    why: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """A question that was asked, the answer in words, and how long it holds (seconds)."""

    name: str
    type: str
    text: str
    ttl: float
    temporary: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """The fate of a request. ``status`` 0: it is forwarded; else it is answered so, and why."""

    method: str
    uri: str
    from_uri: str
    arrivals: tuple[Arrival, ...]
    status: int
    why: str
    targets: tuple[TargetWay, ...]
    dns: tuple[DnsAnswer, ...]
    reasons: tuple[str, ...] = ()
    """Why the targets are what they are, as plugins say (hook ``explain_targets``)."""
    row: int = 0
    """The row of docs/trust.md, table "Outgoing", that decided; 0 where none did."""


class DryRun:
    """A proxy that is asked what it would do: one that was made for it, or one that runs."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._clock = kernel.clock
        self._runs = True

    @property
    def runs(self) -> bool:
        """Whether it is a running proxy: then registrations and states are those of now."""
        return self._runs

    @classmethod
    @contextmanager
    def of(
        cls, settings: Settings, registry: Registry, ports: Mapping[str, int] | None = None
    ) -> Iterator[DryRun]:
        """Make it. Raises PluginError and StartError.

        ``ports`` are those that interfaces with ``port = 0`` have in a proxy that runs, by name.
        It keeps its own state in a temporary directory; plugins see theirs as it is, and it is
        not made for them.
        """
        with tempfile.TemporaryDirectory(prefix="sipx-dry-") as directory:
            service = settings.kernel.service.model_copy(update={"state_dir": Path(directory)})
            config = settings.kernel.model_copy(update={"service": service})
            with silent("sipx.trouble"):  # who asks is told in the answer
                kernel = Kernel(replace(settings, kernel=config), registry, clock=time.monotonic)
            for interface in kernel.interfaces.all:
                if interface.enabled:
                    given = interface.port or (ports or {}).get(interface.name)
                    port = given or interface.transport.default_port
                    interface.bound((interface.listen_address, port))
            kernel.interfaces.refresh()
            kernel.transactions.own_sent_by = kernel.interfaces.own_sent_by
            kernel.state_directory = state_directory(settings.kernel.service.state_dir)
            kernel.makes_directories = False
            made = cls(kernel)
            made._runs = False
            yield made

    @property
    def kernel(self) -> Kernel:
        """The kernel that is asked, for methods of the control API; nothing of it runs here."""
        return self._kernel

    @property
    def certificates(self) -> CertificateStore:
        """The certificates and authorities of the configuration."""
        return self._kernel.certificates

    def certificate_findings(self) -> Iterator[Finding]:
        """What is to be said about the certificates now."""
        store = self._kernel.certificates
        yield from certificate_findings(store, datetime.fromtimestamp(store.wall(), UTC))

    @property
    def hooks(self) -> Hooks:
        """The hooks of the plugins that are switched on."""
        return self._kernel.hooks

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """The interfaces that are switched on."""
        return tuple(interface for interface in self._kernel.interfaces.all if interface.enabled)

    def plugin(self, name: str) -> object | None:
        """The plugin of this name, None when it is not listed or switched off."""
        return self._kernel.hooks.plugins().get(name)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """What a host name resolves to. Raises ResolveError; the question is told by `explain`."""
        return await self._kernel.resolver.addresses(host)

    def flow(self, interface: Interface, address: str, port: int) -> Flow:
        """A flow from a peer, over which nothing ever goes."""
        return DryFlow(interface, address, port, self._clock(), outbound=False)

    async def explain(
        self,
        uri: str,
        *,
        method: str = "MESSAGE",
        source: tuple[str, int] | None = None,
        from_uri: str | None = None,
        interface: str | None = None,
        certificate: Path | None = None,
        chain: tuple[x509.Certificate, ...] = (),
        account: str | None = None,
    ) -> Explained:
        """The fate of a request to ``uri``.

        ``source`` is the address and port it comes from; without one it comes from ``account``,
        which has logged on, or an accepted UC server is taken for granted. Without ``interface``
        all that speak the source's address family are told, and the first that accepts the
        request counts. ``certificate`` is a PEM file with the chain that the sender shows where
        the interface speaks TLS, ``chain`` the same read already. Raises RequestError.
        """
        try:
            if certificate is not None:
                chain = tuple(read_certificates(certificate))
        except CertificateError as error:
            raise RequestError(str(error)) from error
        from_uri = from_uri or self._somebody(uri)
        request = _request(method, uri, from_uri, source or ("192.0.2.1", 5060))
        arrivals: tuple[Arrival, ...] = ()
        targets: tuple[TargetWay, ...] = ()
        reasons: tuple[str, ...] = ()
        status, why, row = 0, "", 0
        try:
            if source is None:
                sender = self._granted(account)
                self._limits(request)
            else:
                arrivals = await self._arrivals(request, source, interface, chain)
                sender = _accepted(arrivals, showing=bool(chain))
            reasons = self._kernel.hooks.explain_targets(request, sender)
            targets = await self._targets(request, sender)
            row = targets[0].row if targets else 0
            if targets and not any(target.status == 0 for target in targets):
                status, why = targets[0].status, targets[0].why
        except Refused as refusal:
            status, why, row = refusal.status, refusal.why, refusal.row
        except RemoteError as refusal:
            status, why = refusal.status, refusal.reason
        dns = self._dns(self._about(request, targets, arrivals) if self._runs else None)
        return Explained(method, uri, from_uri, arrivals, status, why, targets, dns, reasons, row)

    def _limits(self, request: Request) -> None:
        """What plugins refuse whoever sends it. Raises Refused."""
        for interface in self.interfaces[:1]:
            reply = self._kernel.proxy.admission.limits_of_plugins(
                request, self.flow(interface, "192.0.2.1", 5060)
            )
            if reply is not None:
                raise Refused(reply.status, reply.reason.decode("utf-8", "replace"))

    def _somebody(self, uri: str) -> str:
        """Who writes where nobody is named: of our users whoever is written to, so that it is his
        server that is found, also where whoever speaks decides.
        """
        try:
            written = cached_uri(uri.encode())
        except RemoteError as error:
            raise RequestError(f"{uri}: {error.reason}") from error
        if written.user is not None and written.host in self._kernel.domains:
            return f"sip:{written.user.decode()}@{written.host.decode()}"
        return f"sip:explain@{min(self._kernel.domains).decode()}"

    def _granted(self, account: str | None) -> Sender:
        """The sender that nobody asked to be judged: an account, or one of our own UC servers."""
        domains = self._kernel.domains
        if account is None:
            return Sender(SenderKind.UC_SERVER, "a UC server of ours", domains, trusted=True)
        accounts = {each.name: each for each in self._kernel.hooks.accounts()}
        found = accounts.get(account)
        if found is None:
            there = ", ".join(sorted(accounts)) or "none"
            raise RequestError(f"there is no account '{account}'; there are: {there}")
        trusted = found.kind is SenderKind.UC_SERVER
        return Sender(found.kind, found.name, domains, trusted=trusted, account=found)

    # ------------------------------------------------------------ inwards

    async def _arrivals(
        self,
        request: Request,
        source: tuple[str, int],
        wanted: str | None,
        chain: tuple[x509.Certificate, ...],
    ) -> tuple[Arrival, ...]:
        return tuple(
            [
                await self._arrival(request, interface, source, chain)
                for interface in self.interfaces
                if wanted in (None, interface.name) and interface.reaches(source[0])
            ]
        )

    async def _arrival(
        self,
        request: Request,
        interface: Interface,
        source: tuple[str, int],
        chain: tuple[x509.Certificate, ...],
    ) -> Arrival:
        flow = self.flow(interface, *source)
        core = self._kernel.proxy
        status, why, known, row = 0, "", flow.secure and bool(chain), 0
        sender: Sender | None = None
        try:
            self._shake_hands(flow, chain)
            reply = core.validate_request(request, flow)
            if reply is not None:
                raise Refused(reply.status, reply.reason.decode("utf-8", "replace"))
            verdict = core.admission.authenticate_request(request, flow)
            if isinstance(verdict, Later):
                verdict = await _later(verdict)
            known = known or verdict is not None
            row = verdict.sender.row if isinstance(verdict, Accept) else 0
            sender = core.admission.admit(verdict, request, flow).sender
            core.admission.check_relay(request, sender)
            why = f"{sender.name} is accepted as {sender.kind.value}"
        except Refused as refusal:
            asked = ASKED if refusal.reason is Refusal.CHALLENGED else "refused"
            status, why, sender = refusal.status, refusal.why or asked, None
            row = refusal.row or row
        except RemoteError as refusal:
            status, why, sender = refusal.status, refusal.reason, None
        name, protocol = interface.name, interface.protocol
        return Arrival(name, protocol, status, why, sender, known, flow, 0 if sender else row)

    def _shake_hands(self, flow: Flow, chain: tuple[x509.Certificate, ...]) -> None:
        """What the handshake would find of the sender's certificate. Raises Refused."""
        if not flow.secure:
            return
        if chain:
            try:
                flow.examined = self._kernel.tls.examiner.examine(
                    chain[0],
                    chain[1:],
                    accepting=True,
                    policy=EkuPolicy(flow.interface.eku),
                    who=flow.address,
                )
            except TlsError as failure:
                raise Refused(
                    403,
                    f"the handshake fails, there is no SIP: {failure}",
                    row=2 if flow.transport == "mtls" else 11,
                ) from failure
            for hook in self._kernel.hooks.authenticate_peer:
                flow.peer = flow.peer or hook(flow)
        elif flow.transport == "mtls":
            raise Refused(
                403,
                "without a certificate the handshake fails, there is no SIP; "
                "--certificate FILE tells what the owner of a certificate may do",
                row=1,
            )

    # ------------------------------------------------------------ outwards

    async def _targets(self, request: Request, sender: Sender) -> tuple[TargetWay, ...]:
        core = self._kernel.proxy
        found = core.targets.determine_targets(request, sender)
        if isinstance(found, Later):
            found = await _later(found)
        if isinstance(found, Refuse):
            raise Refused(found.status, found.why, row=found.row)
        if found is None or not any(found.groups):
            raise core.targets.nowhere(request)
        return tuple(
            [
                await self._target(target, number, request)
                for number, group in enumerate(found.groups, 1)
                for target in group
            ]
        )

    async def _target(self, target: Target, group: int, request: Request) -> TargetWay:
        uri = target.uri or request.uri
        if target.flow is not None:
            flow = target.flow
            way = HopWay(flow.address, flow.port, flow.transport, target.name, flow.interface.name)
            return TargetWay(target.name, group, (way,), row=target.row)
        try:
            hops = await self._kernel.paths.hops(target, uri, None)
        except NoHop as failure:
            return TargetWay(target.name, group, (), failure.status, failure.why, target.row)
        bind = target.hops[0].bind if target.hops else None
        ways = tuple(self._way(hop, bind, uri) for hop in hops)
        refused = [way.refused for way in ways]
        if all(refused):
            secure = uri.startswith(b"sips:") and _NEEDS_TLS in refused
            status = 416 if secure else 503
            return TargetWay(target.name, group, ways, status, refused[0], target.row)
        return TargetWay(target.name, group, ways, row=target.row)

    def _way(self, hop: Hop, bind: str | None, uri: bytes) -> HopWay:
        name, refused = "", ""
        try:
            name = self._kernel.paths.interface_for(hop, bind, None).name
        except NoHop as failure:
            refused = failure.why
        if uri.startswith(b"sips:") and hop.transport not in _SECURE:
            refused = _NEEDS_TLS
        return HopWay(hop.address, hop.port, hop.transport, hop.name, name, refused)

    def _about(
        self, request: Request, targets: tuple[TargetWay, ...], arrivals: tuple[Arrival, ...]
    ) -> frozenset[str]:
        """The names that the DNS may have been asked for: nobody is found by those of our own
        domains, and who sends may be proven by the records of the domain in From.
        """
        hosts = {cached_uri(request.uri).host} | {request.from_domain for _ in arrivals}
        ours = self._kernel.domains
        hops = [hop.name for target in targets for hop in target.hops]
        return frozenset([*(h.decode("ascii", "replace") for h in hosts if h not in ours), *hops])

    def _dns(self, names: frozenset[str] | None) -> tuple[DnsAnswer, ...]:
        """What the DNS said; of what a running proxy knows only what is about these names."""
        now = self._clock()
        answers = self._kernel.resolver.answers()
        if names is not None:
            names |= {r.target for a in answers if _is_about(a.name, names) for r in a.srv}
            answers = tuple(a for a in answers if _is_about(a.name, names))
        return tuple(
            DnsAnswer(a.name, a.type, a.text, round(a.expires - now, 1), a.is_temporary)
            for a in answers
        )


_NEEDS_TLS = "a sips URI needs TLS on every hop"


async def _later(given: Later[T]) -> T:
    """What a plugin says that has to wait for its answer."""
    try:
        with trio.fail_after(given.deadline):
            return await given.fn()
    except trio.TooSlowError:
        raise Refused(504, "a plugin did not answer in time") from None


def _accepted(arrivals: tuple[Arrival, ...], *, showing: bool) -> Sender:
    """The sender as the first interface accepts it. Raises Refused, as one that knows it says;
    for who is ``showing`` a certificate that is one where certificates are looked at.
    """
    for arrival in arrivals:
        if arrival.sender is not None:
            return arrival.sender
    if not arrivals:
        raise Refused(403, "no interface that is switched on could receive this")
    known = [arrival for arrival in arrivals if arrival.known]
    looking = [arrival for arrival in known if showing and arrival.protocol in _SECURE]
    told = next(iter((*looking, *known, *arrivals)))
    raise Refused(told.status, told.why)


def _is_about(name: str, names: frozenset[str]) -> bool:
    """Whether a question was about one of these hosts, or one of their services."""
    return name in names or (name.startswith("_") and name.split(".", 2)[-1] in names)


def _request(method: str, uri: str, from_uri: str, source: tuple[str, int]) -> Request:
    text = (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host_port(*source).decode()};branch=z9hG4bKexplain\r\n"
        f"Max-Forwards: 70\r\nFrom: <{from_uri}>;tag=explain\r\nTo: <{uri}>\r\n"
        f"Call-ID: explain@sipx.invalid\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
    try:
        request = parse_datagram(text.encode())
        if isinstance(request, Request):
            cached_uri(request.uri)
            cached_uri(request.from_.uri)
            return request
    except RemoteError as error:
        raise RequestError(f"{method} {uri} from {from_uri}: {error.reason}") from error
    raise RequestError(f"{method} {uri} is no request")
