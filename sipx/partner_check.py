"""`sipx check partner`: the whole way to a domain, step by step, as a message would go.

SRV record, addresses, TCP, TLS versions, chain, extended key usage, identity, OPTIONS. Each step is
ok or failed with the reason, what to do, and how long it took. A step that failed does not stop
those that can still be told; a request is sent only to whoever has been proven.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict

from sipx.addresses import parse_address
from sipx.answers import good_answer, header_of, told_answer
from sipx.certificates import CertificateError
from sipx.errors import Refused
from sipx.escaping import escaped
from sipx.identity import Partner
from sipx.one_call import SECURED, VERSIONS, Call, CallError, connected, look
from sipx.outward import complete, fresh_resolver, outward_filter, probing_request, targets_of
from sipx.paths import NoHop
from sipx.plugin import NextHop, Severity, Target
from sipx.resolver import FEDERATION_SERVICE, Hop, ResolveError
from sipx.sip.errors import RemoteError
from sipx.srv_findings import TEMPORARY, may_be_right, of_partner
from sipx.srv_match import DomainAnswer, domain_answer, host_answer
from sipx.tls.words import handshake_failed

if TYPE_CHECKING:
    import socket

    from sipx.certificates import OwnCertificate
    from sipx.interfaces import Interface
    from sipx.kernel import Kernel
    from sipx.one_call import Look
    from sipx.resolver import Resolver

State = Literal["ok", "warning", "no", "failed", "skipped"]
PATIENCE: Final = 8.0
MOST_HOPS: Final = 8
"""Addresses that are connected to."""


class Step(BaseModel):
    """One step. "no" is a profile by which it is not proven where another does prove it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    state: State
    text: str
    remedy: str = ""
    ms: float | None = None
    """Milliseconds that it took, None where nothing was waited for."""


class PartnerCheck(BaseModel):
    """The way to a domain."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    live: bool
    """Whether a running proxy says so, with its interfaces."""
    domain: str
    name: str
    """How the partner is called in logs and lists."""
    steps: tuple[Step, ...]
    good: bool
    """Whether a message would get there."""
    temporary: bool
    """Whether a name server failed, so that it may be otherwise soon."""


@dataclass(slots=True)
class Found:
    """What the steps before have found."""

    resolver: Resolver
    steps: list[Step] = field(default_factory=list)
    target: Target | None = None
    by_dns: bool = True
    """Whether SRV records lead there, and no route."""
    hops: list[Hop] = field(default_factory=list)
    reached: Hop | None = None
    sock: socket.socket | None = None
    """The connection to it, for the first look."""
    interface: Interface | None = None
    own: OwnCertificate | None = None
    seen: Look | None = None
    proven: bool = False
    began: float = 0.0
    """When addresses were begun to be asked for, seconds of `time.perf_counter`."""
    temporary: bool = False

    def add(
        self,
        name: str,
        state: State,
        text: str,
        remedy: str = "",
        *,
        since: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """A step that was made; ``since`` is when it began, seconds of `time.perf_counter`, or
        ``seconds`` what it took.
        """
        if since is not None:
            seconds = time.perf_counter() - since
        ms = None if seconds is None else round(1000 * seconds, 1)
        step = Step(name=name, state=state, text=escaped(text), remedy=escaped(remedy), ms=ms)
        self.steps.append(step)

    def soften(self, name: str) -> None:
        """What failed at one place did not at another: then it is worth a warning."""
        self.steps[:] = [
            step.model_copy(update={"state": "warning"})
            if step.name == name and step.state == "failed"
            else step
            for step in self.steps
        ]


async def check_partner(
    kernel: Kernel, domain: str, *, patience: float = PATIENCE, live: bool
) -> PartnerCheck:
    """Walk the way to a domain from one of our UC servers. Never raises for what it finds."""
    from sipx.partner_check_tls import chain_step, eku_steps, identity_steps

    found = Found(fresh_resolver(kernel))
    await _route(kernel, domain, found)
    answer = await _srv(kernel, domain, found)
    await _addresses(kernel, answer, found)
    try:
        await _tcp(kernel, found, patience)
        await _tls(kernel, found, patience)
    finally:
        if found.sock is not None:
            found.sock.close()
    chain_step(kernel, found)
    eku_steps(kernel, found)
    identity_steps(kernel, domain, found)
    await _options(kernel, domain, found, patience)
    name = found.target.name if found.target is not None else ""
    return PartnerCheck(
        live=live,
        domain=domain,
        name=name,
        steps=tuple(found.steps),
        good=not any(step.state in ("failed", "skipped") for step in found.steps),
        temporary=found.temporary,
    )


# ---------------------------------------------------------------- which way


async def _route(kernel: Kernel, domain: str, found: Found) -> None:
    """The target that a message would have; by default rules where there is none."""
    since = time.perf_counter()
    try:
        groups = (await targets_of(kernel, f"sip:{domain}")).groups
        found.target = groups[0][0]
    except Refused as refusal:
        row = f" (row {refusal.row})" if refusal.row else ""
        found.temporary = refusal.status == 504
        found.add(
            "route",
            "failed",
            f"a message would be refused with {refusal.status}{row}: {refusal.why}",
            "the steps below go by the SRV record all the same, and say what is there",
            since=since,
        )
        return
    except RemoteError as error:
        found.add("route", "failed", f"{domain}: {error.reason}", since=since)
        return
    found.by_dns = found.target.discovered
    row = f", row {found.target.row}" if found.target.row else ""
    how = "found by the DNS" if found.by_dns else "a route that is configured"
    found.add("route", "ok", f"{found.target.name}: {how}{row}", since=since)


async def _srv(kernel: Kernel, domain: str, found: Found) -> DomainAnswer | None:
    if not found.by_dns:
        found.add("srv", "ok", "not asked: a route leads there, whatever the DNS says")
        return None
    since = time.perf_counter()
    with suppress(ResolveError):  # what is wrong is in the answer below, which has it by now
        await found.resolver.service(f"{FEDERATION_SERVICE}.{domain}")
    seconds = time.perf_counter() - since
    found.began = time.perf_counter()
    answer = await domain_answer(found.resolver, domain)
    problems = list(of_partner(answer, outward_filter(kernel)))
    own = [f for f in problems if f.code in ("SIPX-D002", "SIPX-D004", "SIPX-D007", "SIPX-D010")]
    worst = next((f for f in own if f.severity is Severity.FAILURE or not answer.records), None)
    if worst is not None and found.target is not None:
        text = f"{worst.text}; it is found by its records for SIP (RFC 3263)"
        found.add("srv", "ok", text, seconds=seconds)
        return answer
    if worst is not None:
        found.temporary = found.temporary or worst.code == "SIPX-D004"
        found.add("srv", "failed", worst.text, worst.remedy, seconds=seconds)
        return answer
    listed = ", ".join(
        f"{r.priority} {r.weight} {r.port} {r.target}"
        for r in sorted(answer.records, key=lambda r: (r.priority, -r.weight))
    )
    validated = "validated by DNSSEC" if answer.authentic else "not validated by DNSSEC"
    found.add("srv", "ok", f"{listed} ({validated})", seconds=seconds)
    for problem in problems:
        # Of a port whoever has found the target thinks as it is configured.
        odd = "SIPX-D010" if found.target is None else ""
        if problem.code in ("SIPX-D007", "SIPX-D015", odd):
            found.add("srv", "warning", problem.text, problem.remedy)
    if found.target is None:
        found.target = _by_default(domain, answer)
    return answer


def _by_default(domain: str, answer: DomainAnswer) -> Target:
    """The target as it would be where everybody is federated with."""
    partner = Partner(
        f"{domain} (discovered)",
        domain=domain.encode(),
        profiles=("rfc5922", "ms-suffix"),
        srv_targets=frozenset(record.target.encode() for record in answer.records),
        discovered=True,
    )
    hops = tuple(NextHop(record.target, record.port, "mtls") for record in answer.records)
    return Target(hops=hops, name=partner.name, partner=partner, discovered=True)


# ---------------------------------------------------------------- addresses, TCP


async def _addresses(kernel: Kernel, answer: DomainAnswer | None, found: Found) -> None:
    target = found.target
    if target is None:
        found.add("address", "skipped", "there is no host to ask for")
        return
    since = time.perf_counter()
    if answer is None or not target.hops:
        try:
            found.hops += await kernel.paths.hops(target, target.uri or b"", None)
        except NoHop as failure:
            found.temporary = found.temporary or failure.status == 504
            found.add("address", "failed", failure.why, since=since)
            return
        text = ", ".join(dict.fromkeys(f"{hop.address} port {hop.port}" for hop in found.hops))
        found.add("address", "ok", text, since=since)
        return
    permitted = outward_filter(kernel)
    since = found.began
    for number, next_hop in enumerate(target.hops):
        host, port = next_hop.host, next_hop.port or 5061
        known = answer.hosts.get(host) or await host_answer(found.resolver, host)
        began = since if number == 0 else None
        where = f"{host}: "
        if not known.addresses:
            found.temporary = found.temporary or known.failure in TEMPORARY
            text = where + (known.text or "no address")
            found.add("address", "failed", text, "its owner has to publish one", since=began)
            continue
        refusals = {a: permitted.refusal(a, port) for a in known.addresses}
        kept = [address for address, why in refusals.items() if why is None]
        found.hops += [Hop(a, port, next_hop.transport or "mtls", host) for a in kept]
        if kept:
            found.add("address", "ok", where + ", ".join(kept), since=began)
        for why in filter(None, refusals.values()):
            found.add(
                "address",
                "failed",
                f"{where}{why}: the DNS of others must not lead there",
                may_be_right(answer.domain, (why,)),
                since=None if kept else began,
            )
    if found.hops:
        found.soften("address")


async def _tcp(kernel: Kernel, found: Found, patience: float) -> None:
    if not found.hops:
        found.add("tcp", "skipped", "there is no address to connect to")
        return
    assert found.target is not None
    bind = found.target.hops[0].bind if found.target.hops else None
    if found.hops[0].transport == "udp":
        found.reached = found.hops[0]
        found.add("tcp", "ok", "not needed: the route goes by UDP")
    for hop in found.hops[:MOST_HOPS]:
        since = time.perf_counter()
        at = f"{hop.address} port {hop.port}"
        try:
            interface = kernel.paths.interface_for(hop, bind, None)
            found.interface = found.interface or interface
            if hop.transport == "udp":
                return
            sock = await connected(interface, hop, patience)
        except NoHop as failure:
            remedy = "switch on an interface that can reach it"
            found.add("tcp", "failed", failure.why, remedy)
        except CallError as failure:
            found.add("tcp", "failed", f"{at}: {failure.why}", failure.remedy, since=since)
        else:
            if found.reached is None:
                found.reached, found.sock = hop, sock
            else:
                sock.close()
            text = f"{at} is open, from interface {interface.name}"
            found.add("tcp", "ok", text, since=since)
    if found.reached is not None:
        found.soften("tcp")


# ---------------------------------------------------------------- TLS


async def _tls(kernel: Kernel, found: Found, patience: float) -> None:
    """What is spoken, and whether our certificate is taken."""
    hop, interface = found.reached, found.interface
    if hop is None or interface is None:
        found.add("tls", "skipped", "there is no connection")
        return
    if hop.transport not in SECURED:
        found.add("tls", "ok", f"not spoken: the route goes by {hop.transport}")
        return
    found.own = _own(kernel, interface, found)
    since = time.perf_counter()
    try:
        seen = await _looked(found, interface, hop, "", patience)
    except CallError as failure:
        found.add("tls", "failed", failure.why, failure.remedy, since=since)
        return
    if not seen.chain:
        told = handshake_failed("it", seen.reasons, found.own)
        found.add("tls", "failed", told.text, told.remedy, since=since)
        return
    found.seen = seen
    said = f"{seen.version}, {seen.cipher}, from {hop.address}" if seen.cipher else "it broke off"
    found.add("tls", "ok", said, seconds=seen.seconds)
    versions = [v for v in VERSIONS if await _speaks(found, interface, hop, v, patience)]
    lacking = " and ".join(version for version in VERSIONS if version not in versions)
    spoken = " and ".join(versions) or "no single version"
    state: State = "ok" if "TLSv1.3" in versions else "warning"
    found.add(
        "tls",
        state,
        f"it speaks {spoken}" + (f", not {lacking}" if lacking else ""),
        "" if state == "ok" else "it works; it should update its TLS software",
    )
    _ours(found)


async def _speaks(
    found: Found, interface: Interface, hop: Hop, version: str, patience: float
) -> bool:
    try:
        return bool((await _looked(found, interface, hop, version, patience)).cipher)
    except CallError:
        return False


async def _looked(
    found: Found, interface: Interface, hop: Hop, version: str, patience: float
) -> Look:
    partner = found.target.partner if found.target is not None else None
    name = (partner.sni if partner is not None else None) or hop.name
    sock = found.sock or await connected(interface, hop, patience)
    found.sock = None
    try:
        return await look(
            sock,
            server_name="" if parse_address(name) is not None else name.rstrip("."),
            own=found.own,
            version=version,
            patience=patience,
        )
    finally:
        sock.close()


def _own(kernel: Kernel, interface: Interface, found: Found) -> OwnCertificate | None:
    """What we show, as `sipx.tls.Tls.connecting` chooses it."""
    partner = found.target.partner if found.target is not None else None
    name = (partner.certificate if partner is not None else None) or interface.client_certificate
    name = name or next(iter(interface.certificates), None)
    if name is None or (partner is not None and not partner.mutual):
        return None
    try:
        return kernel.certificates.own(name)
    except CertificateError as error:
        found.add("tls", "failed", f"our certificate '{name}': {error.text}", error.remedy)
        return None


def _ours(found: Found) -> None:
    """What it thinks of our certificate."""
    assert found.seen is not None
    if found.seen.reasons:
        told = handshake_failed("it", found.seen.reasons, found.own)
        found.add("ours", "failed", told.text, told.remedy)
    elif found.own is None:
        found.add("ours", "warning", "we have no certificate to show; it did not insist")
    else:
        names = ", ".join(name.decode() for name in sorted(found.own.facts.ids)) or "no domain"
        found.add("ours", "ok", f"it did not refuse our certificate, which names {names}")


# ---------------------------------------------------------------- SIP


async def _options(kernel: Kernel, domain: str, found: Found, patience: float) -> None:
    hop, interface = found.reached, found.interface
    if hop is None or interface is None or found.target is None:
        found.add("options", "skipped", "there is no connection")
        return
    if hop.transport in SECURED and not found.proven:
        why = "not sent: nobody who is not proven gets a request"
        found.add("options", "skipped", why)
        return
    request = probing_request(kernel, f"sip:{domain}")
    partner = found.target.partner or Partner("", domain=domain.encode(), profiles=("rfc5922",))
    call = Call(interface, hop, patience)
    since = time.perf_counter()
    try:
        await call.open(kernel.tls, partner)
        data, branch = complete(kernel, request, interface)
        since = time.perf_counter()
        response = await call.ask(data, branch)
    except CallError as failure:
        found.add("options", "failed", failure.why, failure.remedy, since=since)
        return
    finally:
        call.close()
    first, *others = told_answer(response, kernel.wall())
    server = header_of(response, b"Server") or header_of(response, b"User-Agent")
    by = f", from {server}" if server else ""
    said = f"{response.status} {escaped(response.reason.decode('utf-8', 'replace'))}{by}: {first}"
    state: State = "ok" if good_answer(response.status) else "failed"
    found.add("options", state, said, "; ".join(others), since=since)
