"""``sipx stun``: what the world sees in the place of our address, and the kind of the NAT."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import click
import trio

from sipx import (
    CommandLine,
    DnsSettings,
    DryRun,
    PluginError,
    Resolver,
    StartError,
    harmless,
    host_port,
    is_private,
    live_options,
)
from sipx_stun.agreement import CONFIRM_AFTER
from sipx_stun.behaviour import MEANING
from sipx_stun.client import Detection, Server, detect, server_of
from sipx_stun.config import LONGEST, NAME, StunConfig
from sipx_stun.detection import Source, askable, others_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sipx import Document

TRY_LATER: Final = 75
WIDTH: Final = 80
_KEY: Final = ("wan", "public_address")
_SWITCH: Final = "use_public_address"
_AUTO: Final = "auto"
_TICK: Final = 5.0
"""Seconds after which it is said again that it is waited."""


@click.command()
@click.argument("server", required=False, default="")
@click.option("--nat", is_flag=True, help="Find out of which kind the NAT is: 10 s more at most.")
@click.option("--apply", is_flag=True, help="Write the address into wan.public_address.")
@click.option("-4", "ipv4", is_flag=True, help="Over IPv4; the default unless SERVER is of IPv6.")
@click.option("-6", "ipv6", is_flag=True, help="Over IPv6.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=LONGEST),
    help=f"Seconds for which servers may be silent; without it stun.timeout, or {LONGEST}.",
)
@live_options
@click.pass_obj
def stun(
    line: CommandLine,
    server: str,
    nat: bool,
    apply: bool,
    ipv4: bool,
    ipv6: bool,
    timeout: float | None,
) -> None:
    """Ask STUN servers for the public address and the kind of NAT.

    SERVER is NAME, NAME:PORT or an address; no configuration is needed for it. Without SERVER
    those of [stun] servers are asked, from the addresses of the interfaces that advertise another
    one. With --nat the kind of the NAT is found out, too, and what it means for SIP. With --apply
    the address is written into the configuration file, where a second run finds the same, and a
    running sipx takes it up. The exit code is 0 when there is an address, 75 when no server
    answered in time, and 1 when none can be asked or two runs do not agree.
    """
    if apply:
        line.config_path()  # nobody is asked in vain
    families = [family for family, wanted in ((4, ipv4), (6, ipv6)) if wanted]
    job = _of_server(server, families) if server else _of_configuration(line, families)
    job.timeout = timeout or job.timeout
    found = job.run(line, nat=nat)
    data: dict[str, Any] = {"detections": [described(*one, nat=nat) for one in found.items()]}
    if apply:
        data["applied"] = None
    if not line.json:
        line.result(data, lines_of(found, nat=nat))
    try:
        if apply and _publics(found):
            data["applied"] = _apply(line, job, found)
    finally:
        if line.json:
            line.result(data, "")
    if not _publics(found):
        later = any(one.temporary for one in found.values())
        raise click.exceptions.Exit(TRY_LATER if later else 1)


# ---------------------------------------------------------------- who is asked, and from where


class _Job:
    """Whom to ask, and from which addresses."""

    def __init__(
        self,
        servers: Sequence[Server],
        sources: Iterable[Source],
        resolver: Callable[[], Resolver],
        timeout: float = LONGEST,
    ) -> None:
        self.servers = servers
        self.sources = list(sources)
        self.resolver = resolver
        self.timeout = timeout

    def run(self, line: CommandLine, *, nat: bool) -> dict[Source, Detection]:
        """Ask from each of them at the same time; progress goes to stderr."""
        return trio.run(self._run, line, nat)

    async def _run(self, line: CommandLine, nat: bool) -> dict[Source, Detection]:
        found: dict[Source, Detection] = {}
        resolver = self.resolver()

        async def ask(source: Source) -> None:
            label = f"{source}: " if len(self.sources) > 1 else ""
            found[source] = await detect(
                askable(source, self.servers),
                bind=source.address,
                family=source.family,
                nat=nat,
                rng=random.SystemRandom(),
                resolver=resolver,
                progress=lambda text: line.say(label + str(harmless(text))),
                timeout=self.timeout,
            )

        async with trio.open_nursery() as waiting:
            waiting.start_soon(_tick, line)
            async with trio.open_nursery() as nursery:
                for source in self.sources:
                    nursery.start_soon(ask, source)
            waiting.cancel_scope.cancel()
        return {source: found[source] for source in self.sources}


async def _tick(line: CommandLine) -> None:
    began = trio.current_time()
    while True:
        await trio.sleep(_TICK)
        line.say(f"waiting, {trio.current_time() - began:.0f} s so far")


def _of_server(text: str, families: list[int]) -> _Job:
    try:
        server = server_of(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with suppress(ValueError):
        version = ip_address(server.host).version
        if families and families != [version]:
            raise click.UsageError(f"{server.host} can be asked over IPv{version} only")
        families = [version]
    sources = [Source("*" if family == 4 else "::", family) for family in families or [4]]
    return _Job([server], sources, lambda: Resolver(DnsSettings()))


def _of_configuration(line: CommandLine, families: list[int]) -> _Job:
    from sipx_stun.plugin import Stun

    try:
        settings = line.settings()
    except click.ClickException as error:
        error.show()
        line.say("`sipx stun SERVER` asks a server without any configuration")
        raise click.exceptions.Exit(error.exit_code) from None
    config = settings.plugins.get(NAME)
    if not isinstance(config, StunConfig):
        raise line.failed(
            f"the plugin {NAME} is not listed in plugins; `sipx stun SERVER` asks one"
        )
    if not config.servers:
        raise click.UsageError(
            f'no server is named: give SERVER, or set [{NAME}] servers = ["NAME"]'
        )
    on = config.model_copy(update={"enabled": True})
    settings = replace(settings, plugins={**settings.plugins, NAME: on})
    try:
        with DryRun.of(settings, line.registry) as dry:
            plugin = dry.plugin(NAME)
            assert isinstance(plugin, Stun)
            sources, kernel = plugin.detector.sources(), dry.kernel
    except (PluginError, StartError) as error:
        raise line.failed(str(error)) from error
    if families:
        sources = [one for one in sources if one.family in families] or [
            Source("*" if family == 4 else "::", family) for family in families
        ]
    return _Job(config.parsed, sources, lambda: kernel.resolver, config.timeout)


# ---------------------------------------------------------------- the configuration file


class _Quiet(CommandLine):
    """Keeps what a change of the file answers, so that stdout has one document."""

    def __init__(self, line: CommandLine) -> None:
        self.__dict__.update(line.__dict__)
        self.told: Any = None

    def result(self, data: object, text: str | Iterable[str]) -> None:
        """Keep it."""
        self.told = data


def _apply(line: CommandLine, job: _Job, found: Mapping[Source, Detection]) -> Any:
    addresses = sorted(_publics(found))
    if len(addresses) > 1:
        raise line.failed(
            f"nothing is written: there are several addresses, {', '.join(addresses)}; "
            "`sipx config set wan.public_address ADDRESS` writes one of them"
        )
    [address] = addresses
    line.say(f"asking once more in {CONFIRM_AFTER:.0f} s: an address counts when two runs agree")
    trio.run(trio.sleep, CONFIRM_AFTER)
    first = next(one.server for one in found.values() if one.public is not None)
    job.servers = others_first(job.servers, first)
    second = _publics(job.run(line, nat=False))
    if second != {address}:
        said = ", ".join(sorted(second)) or "no answer"
        raise line.failed(
            f"nothing is written: the first run found {address}, the second {said}; try again"
        )
    used = followed = True

    def change(document: Document) -> str:
        nonlocal used, followed
        wan = document.values().get("wan") or {}
        used = wan.get(_SWITCH) is True
        followed = wan.get("public_address", _AUTO) == _AUTO and bool(
            (document.values().get(NAME) or {}).get("servers")
        )
        document.set(_KEY, address)
        return f"wan.public_address is {address}"

    target = _Quiet(line) if line.json else line
    target.edit(change)
    if not used:
        line.say(
            f"wan.{_SWITCH} is off, so that it stands in no message yet; "
            f"`sipx config set wan.{_SWITCH} true` switches it on"
        )
    elif followed:
        line.say(
            "sipx does not follow changes of it any more; "
            f"`sipx config set wan.public_address {_AUTO}` lets it do so again"
        )
    return {**target.told, _SWITCH: used} if isinstance(target, _Quiet) else None


# ---------------------------------------------------------------- what is told


def _publics(found: Mapping[Source, Detection]) -> set[str]:
    return {one.public[0] for one in found.values() if one.public is not None}


def described(source: Source, one: Detection, *, nat: bool) -> dict[str, Any]:
    """One detection for ``--json``; None for what was not asked."""
    server, local, public = one.server_address, one.local, one.public
    return {
        "bind": source.bind,
        "family": source.family,
        "server": one.server,
        "server_address": "" if server is None else host_port(*server).decode(),
        "local": "" if local is None else local[0],
        "public": "" if public is None else public[0],
        "public_port": None if public is None else public[1],
        "nat": one.nat.value if nat else None,
        "mapping": one.mapping.value if nat else None,
        "filtering": one.filtering.value if nat else None,
        "meaning": MEANING[one.nat] if nat else None,
        "error": one.error,
    }


def lines_of(found: Mapping[Source, Detection], *, nat: bool) -> Iterator[str]:
    """The answer as text, in 80 columns."""
    for number, (source, one) in enumerate(found.items()):
        if number:
            yield ""
        public = "none was found" if one.public is None else one.public[0]
        which = f" {source}" if len(found) > 1 else ""
        yield click.style(f"public address{which}: {public}", bold=True)
        rows = list(_rows(one, nat=nat))
        width = max((len(title) for title, _ in rows), default=0)
        for title, text in rows:
            yield from wrap(
                str(harmless(text)),
                WIDTH,
                initial_indent=f"  {title.ljust(width)}  ",
                subsequent_indent=" " * (width + 4),
                break_long_words=False,
                break_on_hyphens=False,
            )


def _rows(one: Detection, *, nat: bool) -> Iterator[tuple[str, str]]:
    """Titles and texts below the address."""
    if one.server_address is not None:
        shown = host_port(*one.server_address).decode()
        by_name = not shown.startswith((one.server, f"[{one.server}"))
        yield "asked", f"{one.server} ({shown})" if by_name else shown
    elif one.server:
        yield "asked", one.server
    if one.local is not None:
        behind = one.public is not None and one.public[0] != one.local[0]
        yield "own address", one.local[0] + (", behind NAT" if behind else "")
    if one.public is not None and is_private(one.public[0]):
        yield "note", f"{one.public[0]} is private: the server is in the same network as we are"
    if nat:
        yield "NAT type", one.nat.value
        yield "mapping", one.mapping.value
        yield "filtering", one.filtering.value
        yield "meaning", MEANING[one.nat]
    if one.error:
        yield "why" if one.public is None or nat else "note", one.error
    if one.public is None and one.temporary:
        yield "try", "another server; or, if a firewall keeps UDP back, let it out to this one"
