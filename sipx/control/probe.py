"""Requests that are sent to see what becomes of them: ``probe`` and ``check.partner``."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx.answers import good_answer, header_of, list_of, told_answer
from sipx.control.dns_record import DomainText, named
from sipx.control.errors import ControlError
from sipx.control.explain import LONGEST_URI
from sipx.control.methods import changing
from sipx.errors import Refused
from sipx.escaping import escaped
from sipx.identity import Partner, proof_of
from sipx.interfaces import host_port
from sipx.one_call import Call, CallError
from sipx.outward import complete, probing_request, targets_of
from sipx.partner_check import PartnerCheck, check_partner
from sipx.paths import NoHop, whoever_is
from sipx.plugin import SendError, Target
from sipx.sip.errors import RemoteError
from sipx.sip.uri import cached_uri
from sipx.tls import TlsSession

if TYPE_CHECKING:
    from sipx.flows import Flow
    from sipx.identity import Examination
    from sipx.kernel import Kernel
    from sipx.plugin import Targets
    from sipx.resolver import Hop
    from sipx.sip.message import Request, Response

LONGEST_WAIT: Final = 60.0
_LACKS_PATIENCE: Final = 408


class ProbeParams(BaseModel):
    """What is asked, and for how long it is waited."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    uri: str = Field(min_length=1, max_length=LONGEST_URI)
    """The Request-URI."""
    timeout: float = Field(10.0, gt=0, le=LONGEST_WAIT)
    """Seconds for the connection, and again for the answer."""


class PartnerParams(BaseModel):
    """Which partner."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    domain: DomainText
    timeout: float = Field(8.0, gt=0, le=LONGEST_WAIT)
    """Seconds for each connection, and for the answer."""


class ProbeTls(BaseModel):
    """TLS with the other end, and who that is."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    version: str
    cipher: str
    certificate: str
    """What it says of itself."""
    names: tuple[str, ...]
    """The domains it names."""
    profile: str
    """By what it proves to be who was asked for."""
    name: str
    """The name in it that proves it."""
    weakness: str
    shown: str
    """What we showed, "" if nothing."""


class ProbeTry(BaseModel):
    """A place that was tried in vain."""

    model_config = ConfigDict(frozen=True)

    name: str
    why: str
    remedy: str = ""


class ProbeTimes(BaseModel):
    """Milliseconds; None where it did not come to that."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    way: float | None = None
    """Until it was known where to, the DNS included."""
    connection: float | None = None
    """Until there was a connection, TLS included."""
    answer: float | None = None
    """From the request to its final answer."""


class ProbeResult(BaseModel):
    """What became of an OPTIONS request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    live: bool
    """Whether the running proxy sent it; else a connection was made for it alone."""
    uri: str
    sent: bool
    status: int
    """That of the answer; where none came, what the proxy would have answered itself."""
    reason: str
    why: str
    """Why there is no answer, "" if there is one."""
    remedy: str
    row: int
    """The row of docs/trust.md, table "Outgoing", that decided; 0 where none did."""
    good: bool
    """Whether it shows that the way works."""
    temporary: bool
    """Whether a name server failed, so that it may be otherwise soon."""
    target: str
    """How the partner or server is called."""
    place: str
    """Protocol, address and port it went to."""
    interface: str
    reused: bool
    """Whether the connection was there before."""
    tls: ProbeTls | None
    server: str
    """What it says of its software."""
    allow: tuple[str, ...]
    supported: tuple[str, ...]
    meaning: tuple[str, ...]
    """What the answer means, a sentence each."""
    tried: tuple[ProbeTry, ...]
    times: ProbeTimes


class ProbeMethods:
    """The methods ``probe`` and ``check.partner``."""

    def __init__(self, kernel: Kernel, *, live: bool = True) -> None:
        self._kernel = kernel
        self._live = live

    @changing("operator")
    async def check_partner(self, params: PartnerParams) -> PartnerCheck:
        """Walk the way to a domain: SRV, address, TCP, TLS versions, chain, extended key usage in
        both roles, each identity profile, OPTIONS. Connections are made for it alone.
        """
        domain = named(params.domain)
        if domain.encode() in self._kernel.domains:
            raise ControlError(
                "params", f"{domain} is ours; `sipx dns check {domain}` compares its records"
            )
        return await check_partner(self._kernel, domain, patience=params.timeout, live=self._live)

    @changing("operator")
    async def probe(self, params: ProbeParams) -> ProbeResult:
        """Send OPTIONS the way a message would go, and tell the answer and the TLS identity."""
        found = _Probing(self._kernel, params.uri, live=self._live)
        try:
            request = probing_request(self._kernel, params.uri)
            uri = cached_uri(request.uri)
            if uri.host in self._kernel.domains and uri.user is None:
                return found.ended(200, why="that is this proxy itself, which serves the domain")
            targets = await targets_of(self._kernel, params.uri)
        except RemoteError as error:
            raise ControlError("params", f"{params.uri}: {error.reason}") from error
        except Refused as refusal:
            found.row = refusal.row
            found.temporary = refusal.status == 504
            return found.ended(refusal.status, why=refusal.why)
        found.knows_way()
        if self._live:
            return await found.by_the_proxy(request, targets, params.timeout)
        return await found.by_itself(request, targets, params.timeout)


class _Probing:
    """One probe on its way."""

    def __init__(self, kernel: Kernel, uri: str, *, live: bool) -> None:
        self._kernel = kernel
        self._uri = uri
        self._live = live
        self._tried: list[ProbeTry] = []
        self._began = perf_counter()
        self._times: dict[str, float] = {}
        self._facts: dict[str, Any] = {}
        self.row = 0
        self.temporary = False

    def knows_way(self) -> None:
        """It is known where to."""
        self._lap("way")

    def _lap(self, what: str) -> None:
        now = perf_counter()
        self._times[what] = round(1000 * (now - self._began), 1)
        self._began = now

    # ------------------------------------------------------------ by the running proxy

    async def by_the_proxy(
        self, request: Request, targets: Targets, patience: float
    ) -> ProbeResult:
        """Over the flows of the proxy, as any request of its own."""
        agent = self._kernel.user_agent
        failure = SendError("no target", 503)
        for target in (target for group in targets.groups for target in group):
            self.row = target.row
            self._began = perf_counter()
            started = self._kernel.clock()
            try:
                with trio.fail_after(patience):
                    flow = await agent.open_flow(_with_uri(target, request))
            except trio.TooSlowError:
                failure = SendError(f"no connection within {patience:g} s", 504)
            except SendError as error:
                failure = error
            else:
                self._lap("connection")
                self._over(flow, target, reused=flow.opened_at < started)
                return await self._asked(request, target, flow, patience)
            self._tried.append(ProbeTry(name=target.name, why=escaped(str(failure))))
        return self.ended(_to_the_sender(failure.status), why=str(failure))

    async def _asked(
        self, request: Request, target: Target, flow: Flow, patience: float
    ) -> ProbeResult:
        over = Target(uri=target.uri, flow=flow, name=target.name, route=target.route)
        try:
            with trio.fail_after(patience):
                response = await self._kernel.user_agent.send_request(request, over)
        except trio.TooSlowError:
            why = f"no answer within {patience:g} s"
            return self.ended(_LACKS_PATIENCE, why=why, sent=True)
        except SendError as error:
            why = flow.lost or str(error)
            status = 502 if flow.lost else _to_the_sender(error.status)
            return self.ended(status, why=why, sent=True)
        self._lap("answer")
        return self.answered(response)

    def _over(self, flow: Flow, target: Target, *, reused: bool) -> None:
        session = getattr(flow, "session", None)
        self._facts = {
            "target": escaped(target.name),
            "place": flow.name,
            "interface": flow.interface.name,
            "reused": reused,
            "tls": _tls(session, flow.examined, target.partner) if flow.secure else None,
        }

    # ------------------------------------------------------------ without a running proxy

    async def by_itself(self, request: Request, targets: Targets, patience: float) -> ProbeResult:
        """Over a connection of its own to the first hop that takes it."""
        failure = CallError("there is no target", 503)
        for target in (target for group in targets.groups for target in group):
            self.row = target.row
            try:
                hops = await self._kernel.paths.hops(target, target.uri or request.uri, None)
            except NoHop as error:
                failure = CallError(error.why, error.status)
                self.temporary = self.temporary or error.status == 504
                self._in_vain(target.name, failure)
                continue
            for hop in hops:
                try:
                    response = await self._called(request, target, hop, patience)
                except CallError as error:
                    failure = error.with_traceback(None)
                    if self._facts:
                        break  # it was reached: nobody else is asked in its place
                    self._in_vain(_place(hop), failure)
                else:
                    return self.answered(response)
            if self._facts:
                break
        return self.ended(
            _to_the_sender(failure.status),
            why=failure.why,
            remedy=failure.remedy,
            sent=bool(self._facts),
        )

    def _in_vain(self, name: str, failure: CallError) -> None:
        shown = escaped(failure.why), escaped(failure.remedy)
        self._tried.append(ProbeTry(name=escaped(name), why=shown[0], remedy=shown[1]))

    async def _called(
        self, request: Request, target: Target, hop: Hop, patience: float
    ) -> Response:
        """The answer of one hop. Raises CallError."""
        bind = target.hops[0].bind if target.hops else None
        self._began = perf_counter()
        try:
            interface = self._kernel.paths.interface_for(hop, bind, None)
        except NoHop as error:
            raise CallError(error.why, error.status) from error
        call = Call(interface, hop, patience)
        try:
            await call.open(self._kernel.tls, target.partner or whoever_is(hop.name))
            self._lap("connection")
            self._facts = {
                "target": escaped(target.name),
                "place": _place(hop),
                "interface": interface.name,
                "reused": False,
                "tls": _of_session(call.session, target.partner),
            }
            if target.uri is not None:
                request.set_uri(target.uri)
            for value in reversed(target.route):
                request.add_first(b"Route", value)
            response = await call.ask(*complete(self._kernel, request, interface))
        finally:
            call.close()
        self._lap("answer")
        return response

    # ------------------------------------------------------------ the end

    def answered(self, response: Response) -> ProbeResult:
        """It was answered."""
        return self._result(
            sent=True,
            status=response.status,
            reason=escaped(response.reason.decode("utf-8", "replace")),
            good=good_answer(response.status),
            server=header_of(response, b"Server") or header_of(response, b"User-Agent"),
            allow=list_of(response, b"Allow"),
            supported=list_of(response, b"Supported"),
            meaning=tuple(told_answer(response, self._kernel.wall())),
        )

    def ended(self, status: int, *, why: str, remedy: str = "", sent: bool = False) -> ProbeResult:
        """There is no answer."""
        return self._result(
            sent=sent,
            status=status,
            why=escaped(why),
            remedy=escaped(remedy),
            good=status == 200,
        )

    def _result(self, **known: Any) -> ProbeResult:
        nothing = {
            "reason": "",
            "why": "",
            "remedy": "",
            "target": "",
            "place": "",
            "interface": "",
            "reused": False,
            "tls": None,
            "server": "",
            "allow": (),
            "supported": (),
            "meaning": (),
        }
        return ProbeResult(
            **{**nothing, **self._facts, **known},
            live=self._live,
            uri=escaped(self._uri),
            row=self.row,
            temporary=self.temporary,
            tried=tuple(self._tried),
            times=ProbeTimes(**self._times),
        )


def _to_the_sender(status: int) -> int:
    """What a failed next hop is answered as: §16.7 item 6, a 503 would be about the proxy."""
    return 500 if status == 503 else status


def _with_uri(target: Target, request: Request) -> Target:
    """A target whose hops are known to depend on its URI has one."""
    if target.uri is not None or target.hops or target.flow is not None:
        return target
    return Target(
        uri=request.uri,
        trusted=target.trusted,
        name=target.name,
        partner=target.partner,
        account=target.account,
        route=target.route,
        discovered=target.discovered,
        row=target.row,
    )


def _place(hop: Hop) -> str:
    return f"{hop.transport}:{host_port(hop.address, hop.port).decode()}"


def _of_session(session: TlsSession | None, partner: Partner | None) -> ProbeTls | None:
    return None if session is None else _tls(session, session.examined, partner)


def _tls(session: object, examined: Examination | None, partner: Partner | None) -> ProbeTls | None:
    known = session if isinstance(session, TlsSession) else None
    proof = None
    if examined is not None and partner is not None:
        proof = examined.partners.get(partner.name) or proof_of(examined, partner)
    certificate = None if examined is None else examined.certificate
    names = sorted(certificate.ids) if certificate is not None else ()
    own = None if known is None else known.own
    return ProbeTls(
        version="" if known is None else known.version,
        cipher="" if known is None else known.cipher,
        certificate="" if certificate is None else escaped(certificate.describe()),
        names=tuple(escaped(name.decode("ascii", "backslashreplace")) for name in names),
        profile="" if proof is None else proof.profile,
        name="" if proof is None else escaped(proof.name.decode("ascii", "backslashreplace")),
        weakness="" if proof is None else proof.weakness,
        shown="" if own is None else escaped(own.facts.describe()),
    )
