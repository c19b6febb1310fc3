"""What ``sipx check stun`` looks for: whether partners are told an address that leads here.

The servers of the configuration are asked from here, as the service would. The kind of the NAT,
which takes longer, is what a sipx that runs has found, where that is not old.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

import trio

from sipx import Finding, ResolveError, Severity, is_private, parse_address
from sipx_stun import kept
from sipx_stun.behaviour import MEANING, NatType
from sipx_stun.client import Detection, detect
from sipx_stun.config import NAME
from sipx_stun.detection import Find, Source, askable, sources_of, towards_partners
from sipx_stun.records import Elsewhere, compared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipx import KernelConfig, Proxy, ProxyStatus
    from sipx_stun.config import StunConfig
    from sipx_stun.state import SourceShown

PATIENCE: Final = 5.0
"""Seconds for which a server may be silent here at most."""
_CARRIER: Final = ip_network("100.64.0.0/10")
"""RFC 6598: behind the NAT of a carrier."""
_OK, _WARNING, _FAILURE = Severity.OK, Severity.WARNING, Severity.FAILURE


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at. ``named`` are the addresses of the configured public address, None where
    that is "auto" or not used, () where its name has none.
    """

    config: StunConfig
    kernel: KernelConfig
    status: ProxyStatus
    found: Mapping[Source, Detection] = field(default_factory=dict)
    nat: Mapping[Source, NatType] = field(default_factory=dict)
    words: Mapping[Source, str] = field(default_factory=dict)
    """Mapping and filtering, or why the kind is not known."""
    named: tuple[str, ...] | None = None
    elsewhere: tuple[Elsewhere, ...] = ()
    in_use: Mapping[Source, str] = field(default_factory=dict)
    """What a sipx that runs has found, or one that ran before."""

    @property
    def auto(self) -> bool:
        """Whether what is found here is what partners are told."""
        wan = self.kernel.wan
        return wan.use_public_address and wan.public_address == "auto"


def findings(config: StunConfig, proxy: Proxy, find: Find = detect) -> Iterator[Finding]:
    """Each with its code, what is so, and what to do about it."""
    yield from findings_of(trio.run(_looked, config, proxy, find))


def findings_of(seen: Seen) -> Iterator[Finding]:
    """The same of what was seen."""
    if not seen.config.servers:
        yield _nobody(seen)
    for source, found in seen.found.items():
        if found.public is None:
            yield _silent(seen, source, found)
            continue
        yield from _answered(seen, source, found, found.public[0])
    yield from _private(seen)
    for one in seen.elsewhere:
        if one.text:
            yield Finding("SIPX-S009", _WARNING, one.text, one.remedy)


# ---------------------------------------------------------------- looking


async def _looked(config: StunConfig, proxy: Proxy, find: Find) -> Seen:
    status, wan = proxy.status(), proxy.config.wan
    named: tuple[str, ...] | None = None
    if wan.use_public_address and wan.public_address != "auto":
        named = await _addresses(proxy, wan.public_address)
    seen = Seen(config, proxy.config, status, named=named)
    if not config.servers:
        return replace(seen, elsewhere=tuple(await compared(proxy, named))) if named else seen
    before = _kept(config, proxy)
    found: dict[Source, Detection] = {}
    nat: dict[Source, NatType] = {}
    words: dict[Source, str] = {}

    async def look(source: Source) -> None:
        first = await _ask(source, config, proxy, find, nat=False)
        last = before.get(source)
        if first.public is None or not config.detect_nat_type:
            found[source] = first
        elif last is not None and last.nat and _recent(last, config, proxy, first.public[0]):
            nat[source] = NatType(last.nat)
            words[source] = _pair(last.mapping, last.filtering) or last.error
            found[source] = first
        else:
            found[source] = second = await _ask(source, config, proxy, find, nat=True)
            nat[source] = second.nat
            words[source] = _pair(second.mapping, second.filtering) or second.error

    sources = sources_of(status, proxy.config, config.parsed)
    async with trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(look, source)
    public = [found[one].public for one in sources]
    told = [each[0] for each in public if each is not None]
    elsewhere = tuple(await compared(proxy, told)) if told else ()
    in_use = {source: last.public for source, last in before.items() if last.public}
    return Seen(
        config,
        proxy.config,
        status,
        {source: found[source] for source in sources},
        nat,
        words,
        named,
        elsewhere,
        in_use,
    )


async def _ask(
    source: Source, config: StunConfig, proxy: Proxy, find: Find, *, nat: bool
) -> Detection:
    return await find(
        askable(source, config.parsed),
        bind=source.address,
        family=source.family,
        nat=nat,
        rng=random.SystemRandom(),
        resolver=proxy.resolver,
        timeout=min(config.timeout, PATIENCE),
    )


async def _addresses(proxy: Proxy, host: str) -> tuple[str, ...]:
    numeric = parse_address(host)
    if numeric is not None:
        return (str(numeric),)
    try:
        return await proxy.resolver.addresses(host)
    except ResolveError:
        return ()


def _kept(config: StunConfig, proxy: Proxy) -> dict[Source, SourceShown]:
    """What the service has written down, if it asked the same servers."""
    try:
        found = kept.read(proxy.state_dir)
    except (OSError, ValueError):
        return {}  # it belongs to another account, perhaps: then everything is looked at here
    if found.servers != config.servers:
        return {}
    return {Source(one.bind, one.family): one for one in found.sources}


def _recent(last: SourceShown, config: StunConfig, proxy: Proxy, public: str) -> bool:
    known = {nat.value for nat in NatType}
    fresh = last.when is not None and 0 <= proxy.wall() - last.when <= 2 * config.interval
    return fresh and last.public == public and last.nat in known


def _pair(mapping: str, filtering: str) -> str:
    if "unknown" in (mapping, filtering) or not filtering:
        return ""
    return f"mapping {mapping}, filtering {filtering}"


# ---------------------------------------------------------------- what is to be said


def _nobody(seen: Seen) -> Finding:
    if not seen.auto:
        text = "no STUN server is named, so that nobody was asked for the public address"
        return Finding("SIPX-S002", _OK, text)
    return Finding(
        "SIPX-S002",
        _WARNING,
        'wan.use_public_address is on and wan.public_address is "auto", and there is no STUN '
        "server to ask: partners are told the addresses of this machine",
        f'[{NAME}] servers = ["NAME"]; or the address itself in wan.public_address',
    )


def _silent(seen: Seen, source: Source, found: Detection) -> Finding:
    who = ", ".join(seen.config.servers)
    text = f"{_from(source)}no STUN server gave an address: {found.error or f'{who} is silent'}"
    if found.nat is NatType.FIREWALL_BLOCKING_UDP:
        text = f"{text} ({found.nat.value}, which says nothing of TCP)"
    remedy = f"let UDP out to {who}, or name others in [{NAME}] servers"
    if not seen.auto:
        return Finding("SIPX-S005", _WARNING, text, remedy)
    used = seen.in_use.get(source)
    if used:
        return Finding("SIPX-S005", _WARNING, f"{text}; {used}, found before, is used", remedy)
    return Finding(
        "SIPX-S005",
        _FAILURE,
        f"{text}; partners are told the addresses of this machine",
        f"{remedy}; or write the address itself into wan.public_address",
    )


def _answered(seen: Seen, source: Source, found: Detection, public: str) -> Iterator[Finding]:
    local = "" if found.local is None else found.local[0]
    behind = bool(local) and local != public
    text = f"{_from(source)}the public address is {public}, says {found.server}"
    text += f"; {local} is behind NAT" if behind else "; there is no NAT"
    text += ", but that is a private network" if is_private(public) else ""
    nat = seen.nat.get(source)
    if nat is not None and nat is not NatType.UNKNOWN:
        text += f": {nat.value} ({seen.words[source]})"
    yield Finding("SIPX-S001", _OK, text)
    if nat is NatType.UNKNOWN:
        yield Finding(
            "SIPX-S006",
            _OK,
            f"{_from(source)}the kind of the NAT is not known: "
            f"{seen.words[source] or 'it could not be measured'}",
            "that takes a server with two addresses; without one, detect_nat_type = false in "
            f"[{NAME}] saves the attempt",
        )
    if nat is NatType.SYMMETRIC_NAT:
        yield _symmetric(seen, source, nat)
    if behind:
        yield from _unused(seen, source, local, public)
    told = [
        one.name
        for one in towards_partners(seen.status, seen.kernel)
        if one.advertises and not one.advertised and one.bind == source.bind
    ]
    if seen.auto and told and _unreachable(public) and not _on_loopback(source.bind):
        yield _within(f"{', '.join(told)} {_are(told)} to be advertised as {public}")
    yield from _other(seen, source, public)
    used = seen.in_use.get(source)
    if seen.auto and used and used != public:
        yield Finding(
            "SIPX-S010",
            _WARNING,
            f"{_from(source)}{used} is in use, and now {public} was found",
            "sipx changes over by itself at its next look, in "
            f"{seen.config.interval / 60:.0f} min at most; `sipx control call stun.detect` looks "
            "now",
        )


def _symmetric(seen: Seen, source: Source, nat: NatType) -> Finding:
    """It is a nuisance where SIP over UDP goes through it; for TCP it says little."""
    datagrams = any(one.protocol == "udp" for one in towards_partners(seen.status, seen.kernel))
    remedy = "let partners come over TCP or TLS, with a forwarded port" if datagrams else ""
    severity = _WARNING if datagrams else _OK
    text = f"{_from(source)}{nat.value}: {MEANING[nat].rstrip('.')}"
    return Finding("SIPX-S007", severity, text, remedy)


def _unused(seen: Seen, source: Source, local: str, public: str) -> Iterator[Finding]:
    """The machine is behind NAT, and partners are told its own address."""
    if seen.kernel.wan.use_public_address:
        return
    told = [
        one.name
        for one in towards_partners(seen.status, seen.kernel)
        if not one.advertises and _may_advertise(seen, one.name) and not _on_loopback(one.bind)
    ]
    if told:
        yield Finding(
            "SIPX-S003",
            _WARNING,
            f"{_from(source)}this machine is behind NAT and wan.use_public_address is off: "
            f"{', '.join(told)} tell{'s' if len(told) == 1 else ''} partners {local}, where they "
            f"cannot reach it; the public address is {public}",
            "`sipx config set wan.use_public_address true`, and forward the ports of the "
            "interfaces",
        )


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _may_advertise(seen: Seen, name: str) -> bool:
    table = seen.kernel.interface.get(name)
    return table is None or table.advertise is not False


def _on_loopback(bind: str) -> bool:
    parsed = parse_address(bind)
    return parsed is not None and parsed.is_loopback


def _other(seen: Seen, source: Source, public: str) -> Iterator[Finding]:
    """The address of the configuration, beside the one that servers see."""
    if seen.named is None:
        return
    setting = seen.kernel.wan.public_address
    same = [address for address in seen.named if (":" in address) == (source.family == 6)]
    if not seen.named:
        yield Finding(
            "SIPX-S004",
            _WARNING,
            f"wan.public_address is {setting}, and that name has no address",
            "correct the name, or its records in the DNS",
        )
    elif same and public not in same:
        shown = setting if setting in same else f"{setting} ({', '.join(same)})"
        yield Finding(
            "SIPX-S004",
            _WARNING,
            f"{_from(source)}wan.public_address is {shown}, and servers see {public}",
            "if partners come in at another address than this machine goes out from, that is "
            "right; else `sipx stun --apply`, or correct the records of the name",
        )


def _private(seen: Seen) -> Iterator[Finding]:
    """What stands in messages to partners and cannot be reached from the internet."""
    for one in towards_partners(seen.status, seen.kernel):
        if one.advertised:
            host, what = one.advertised.rpartition(":")[0].strip("[]"), "is advertised as"
        elif seen.kernel.wan.use_public_address and not one.advertises:
            host, what = one.bind, "advertises its own address"
        else:
            continue
        if _unreachable(host) and not _on_loopback(one.bind):
            yield _within(f"interface {one.name} {what} {host}")


def _within(text: str) -> Finding:
    return Finding(
        "SIPX-S008",
        _WARNING,
        f"{text}, which is private: partners on the internet cannot reach it",
        "if its partners are in the same network, that is right; else correct "
        "wan.public_address or advertise",
    )


def _unreachable(host: str) -> bool:
    if is_private(host):
        return True
    parsed = parse_address(host)
    return parsed is not None and parsed.version == 4 and ip_address(str(parsed)) in _CARRIER


def _from(source: Source) -> str:
    return "" if source.bind == "*" else f"{source}: "
