"""``sipx routes list`` and ``show``: the routes of the configuration file."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from sipx import CommandLine, canonical_domain, command_options
from sipx_static_routes.config import SECURED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx import KernelConfig
    from sipx_static_routes.config import RouteConfig, StaticRoutesConfig

NAME: Final = "static-routes"


def domains(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The domains that have a route in the file in use."""
    table = ctx.ensure_object(CommandLine).configured().get(NAME)
    routes = table.get("route") if isinstance(table, dict) else None
    names = list(routes) if isinstance(routes, dict) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("list")
@command_options
@click.pass_obj
def list_(line: CommandLine) -> None:
    """All routes of the configuration file, those that are switched off as well."""
    config, kernel = _settings(line)
    own = frozenset(kernel.domains)
    found = [_row(domain, route, own) for domain, route in config.route.items()]
    data = {"enabled": config.enabled, "routes": found}
    line.result(data, _list_lines(config, found))


@click.command()
@click.argument("domain", shell_complete=domains)
@command_options
@click.pass_obj
def show(line: CommandLine, domain: str) -> None:
    """One route: every property, and what it means."""
    config, kernel = _settings(line)
    name = spelling(domain)
    route = config.route.get(name)
    if route is None:
        raise line.failed(no_route(domain, config.route))
    row = _row(name, route, frozenset(kernel.domains))
    line.result(row, _show_lines(row, config))


def _show_lines(row: dict[str, Any], config: StaticRoutesConfig) -> Iterator[str]:
    side = "one of our own domains" if row["local"] else "a partner's domain"
    yield click.style(f"{row['domain']}: {side}", bold=True)
    active = "yes" if row["enabled"] else "no"
    if row["enabled"] and not config.enabled:
        active = "yes, but all static routes are switched off"
    trusted = "yes" if row["trusted"] else "no"
    if row["protocol"] == "mtls":
        trusted = "yes, as over mtls every route is"
    shown = {
        "active": active,
        "trusted": trusted,
        "server": ", ".join(row["server"]),
        "port": row["port"],
        "protocol": row["protocol"],
        "bind": row["bind"] or "chosen by the system",
        "comment": row["comment"] or "-",
    }
    tls = row["tls"] or {}
    shown |= {key: _tls_text(value) for key, value in tls.items()}
    width = max(map(len, shown))
    yield from (f"  {key.ljust(width)}  {value}" for key, value in shown.items())


def _tls_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _settings(line: CommandLine) -> tuple[StaticRoutesConfig, KernelConfig]:
    settings = line.settings()
    config: Any = settings.plugins.get(NAME)
    if config is None:
        raise line.failed(f"the plugin {NAME} is not listed in plugins")
    return config, settings.kernel


def spelling(domain: str) -> str:
    """A domain or pattern in the one spelling that is compared; what is none stays."""
    star = domain.startswith("*.")
    try:
        canonical = canonical_domain(domain[2:] if star else domain).decode()
    except ValueError:
        return domain
    return f"*.{canonical}" if star else canonical


def no_route(domain: str, known: Iterable[str]) -> str:
    """The words for a domain without a route."""
    there = list(known)
    near = get_close_matches(domain, there, n=1, cutoff=0.6)
    if near:
        return f"there is no route for '{domain}'; did you mean '{near[0]}'?"
    return f"there is no route for '{domain}'; " + (
        f"there are: {', '.join(there)}" if there else "there is none"
    )


def _row(domain: str, route: RouteConfig, own: frozenset[str]) -> dict[str, Any]:
    return {
        "domain": domain,
        "enabled": route.enabled,
        "local": domain in own,
        "trusted": route.trusted or route.protocol == "mtls",
        "server": list(route.server),
        "port": route.peer_port,
        "protocol": route.protocol,
        "bind": str(route.bind) if route.bind is not None else None,
        "comment": route.comment,
        "tls": _tls(route) if route.protocol in SECURED else None,
    }


def _tls(route: RouteConfig) -> dict[str, Any]:
    return {
        "certificate": route.certificate,
        "ca": [str(path) for path in route.ca],
        "pins": list(route.pins),
        "eku_policy": route.eku_policy,
        "allow_wildcard": route.allow_wildcard,
        "accept_cn": route.accept_cn,
        "sni": route.sni,
        "verify": route.verify,
    }


def _list_lines(config: StaticRoutesConfig, rows: list[dict[str, Any]]) -> Iterator[str]:
    if not config.enabled:
        yield "static routes are switched off: [static-routes] enabled = false"
    if not rows:
        yield "there is no route"
        return
    heads = ("domain", "active", "trusted", "side", "server", "port", "protocol", "bind")
    yield from CommandLine.table(
        heads,
        [
            (
                row["domain"],
                "yes" if row["enabled"] else "no",
                "yes" if row["trusted"] else "no",
                "ours" if row["local"] else "partner",
                ", ".join(row["server"]),
                str(row["port"]),
                row["protocol"],
                row["bind"] or "-",
            )
            for row in rows
        ],
    )
