"""The text of a first configuration file: every key there is, with its meaning and its default.

Keys and their comments are read from the models, so that the file and the program cannot differ.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, Final

from sipx.addresses import is_private, parse_address
from sipx.config.model import KernelConfig
from sipx.config.values import duration_text, is_duration
from sipx.interfaces import primary_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from sipx.registry import Registry

WIDTH: Final = 96
_PLUGINS: Final = ("udp", "tcp", "tls", "static-routes")
_IF_INSTALLED: Final = {
    "lan": 'Where UC servers log on. Without bind: interfaces with role = "lan".',
    "registrar": "Who is registered where, and which UC server gets what.",
    "open-federation": "Any domain, found by DNS, proven by certificate.",
    "rfc3263": "Domains without such a record, found by NAPTR and _sips._tcp.",
    "log-rotation": "Log files, by size and number.",
    "metrics": "Metrics for Prometheus and health checks over HTTP.",
    "stun": "The public address and the kind of NAT, found by STUN.",
    "monitor": "The console in a browser, and the traffic as it flows.",
    "hep": "Every message as a copy to Homer or sngrep, by HEP3.",
}
"""Plugins that are listed, and switched off at first: what their tables are for."""
_AT_FIRST: Final = ("monitor",)
"""Those of them that are switched on: a console on loopback is where most begin."""
_ROUTES: Final = "static-routes"
_LAN: Final = "lan"
_FEDERATION: Final = "open-federation"
_TABLES_BELOW: Final = {_LAN: "server", _FEDERATION: "partner", "monitor": "user"}
"""Keys of a plugin's table that hold tables: they stand in tables of their own."""
_LISTENER: Final = {"bind": "127.0.0.1", "port": 5070}
"""Where UC servers would log on; the interfaces of the file have 5060."""
_ACCOUNT: Final = "berlin"
"""The account that is shown as an example."""
_ONLY_TLS: Final = (
    "certificate",
    "ca",
    "pins",
    "eku_policy",
    "allow_wildcard",
    "accept_cn",
    "sni",
    "verify",
)
"""Keys of a route that say nothing for udp and tcp: they stand in the partner's table."""
_EXAMPLES: Final[dict[str, object]] = {
    "wan.certificate": "main",
    "wan.public_port": 5061,
    "interface.certificate": "main",
    "interface.client_certificate": "main",
    "certificate.cert_file": "tls/main.crt",
    "certificate.key_file": "tls/main.key",
    "certificate.pkcs12_file": "tls/main.p12",
    "certificate.pkcs12_password": {"file": "tls/main.p12.password"},
    "log.levels": {"proxy": "debug"},
    "log-rotation.directory": "/var/log/sipx",
    "log-rotation.archive": "/var/log/sipx/archive",
    "service.control_socket": "/run/sipx/control.sock",
    "service.state_dir": "/var/lib/sipx",
    "lan.user": "ucserver",
    "lan.password": {"file": "lan.password"},
    "lan.realm": "example.com",
    "lan.certificate": "main",
    "account.user": "uc-berlin",
    "account.password": {"file": "berlin.password"},
    "account.certificate": "uc.berlin.example.com",
    "account.users": ["*.berlin", "reception"],
    "account.max_users": 500,
    "account.allow_md5": "only",
    "account.server": "10.0.0.20",
    "account.port": 5060,
    "account.protocol": "tcp",
    "open-federation.certificate": "main",
    "open-federation.interface": "federation",
    "open-federation.providers": ["online.lync.com"],
    "rfc3263.interface": "federation",
    "monitor.certificate": "main",
    "monitor.pcap_file": "/var/log/sipx/traffic.pcapng",
    "hep.server": "homer.example.com:9060",
    "hep.password": {"file": "hep.password"},
    "stun.servers": ["stun.example.net", "stun.example.org:3478"],
    "partner.ca": ["tls/partner-ca.crt"],
    "partner.eku_policy": "federation",
    "partner.sni": "sip.partner.example",
    "partner.certificate": "main",
    "partner.ports": [5061],
    "partner.messages_per_second": 100.0,
    "partner.burst": 200,
    "partner.users_per_day": 10000,
    "route.bind": "192.0.2.10",
    "route.insecure_trust": "yes, the VPN to this partner proves its address",
    "route.certificate": "main",
    "route.ca": ["tls/partner-ca.crt"],
    "route.eku_policy": "federation",
    "route.sni": "sip.partner.example",
}
"""What stands behind the ``=`` of keys that have no default, or none that shows how to write it.

Every key without a default is here: a test takes the marks off, one by one.
"""


def template(registry: Registry, domain: str, servers: tuple[str, ...]) -> str:
    """The file for a domain and its UC servers (addresses or names, none: an example)."""
    classes, _ = registry.examine((*_PLUGINS, *_IF_INSTALLED))
    bind = _bind_for(servers)
    parts = [
        _head(domain, (*_PLUGINS, *(name for name in _IF_INSTALLED if name in classes))),
        *_interfaces(bind),
        *(_kernel_table(name) for name in ("wan", "certificate", "trust", "dns", "log")),
    ]
    for name, cls in classes.items():
        config: type[BaseModel] = cls.Config
        if name == _ROUTES:
            parts += _routes(config, domain, servers, trusted=is_private(bind))
        elif name in _IF_INSTALLED:
            comment = f"{_IF_INSTALLED[name]} The plugin {name}."
            parts.append(
                _table(
                    name,
                    config,
                    {"enabled": name in _AT_FIRST, **(_LISTENER if name == _LAN else {})},
                    comment=comment,
                    examples=name,
                    without=(_TABLES_BELOW[name],) if name in _TABLES_BELOW else (),
                )
            )
            if name == _LAN:
                parts.append(_account(config))
            elif name == _FEDERATION:
                parts.append(_discovered(config))
        else:
            parts.append(_table(name, config, {}, comment=f"The plugin {name}."))
    parts += [_kernel_table(name) for name in ("service", "limits")]
    return "\n".join(parts)


def _bind_for(servers: tuple[str, ...]) -> str:
    """Where to listen: on loopback, unless a UC server is elsewhere."""
    if all(server == "localhost" or _is_loopback(server) for server in servers):
        return "127.0.0.1"
    return primary_address(ipv6=False)


def _is_loopback(server: str) -> bool:
    address = parse_address(server)
    return address is not None and address.is_loopback


# ---------------------------------------------------------------- the parts


def _head(domain: str, plugins: tuple[str, ...]) -> str:
    return f"""\
# The configuration of sipx. `sipx check` looks for mistakes in it.
# A line that begins with "#key =" shows a key with its default or an example.
# Paths are relative to this file.

# The version of this file's format.
config_version = 1

# The presence domains served here.
domains = {_toml([domain])}

# The plugins of this proxy, in the order in which they are asked.
plugins = {_toml(list(plugins))}
"""


def _interfaces(bind: str) -> Iterator[str]:
    model = _model_of("interface")
    for number, protocol in enumerate(("udp", "tcp")):
        active = {"bind": bind, "port": 5060, "protocol": protocol}
        if number == 0:
            yield _table(
                f"interface.{protocol}",
                model,
                active,
                comment="Network interfaces: one table for each listener; the name is yours.",
                examples="interface",
            )
        else:
            yield "\n".join(
                [
                    f"[interface.{protocol}]",
                    *(f"{key} = {_toml(value)}" for key, value in active.items()),
                    "",
                ]
            )


def _kernel_table(name: str) -> str:
    field = KernelConfig.model_fields[name]
    model = _model_of(name)
    comment = _one_line(field.description)
    if name == "certificate":
        return _table("certificate.main", model, {}, comment=comment, examples=name, off=True)
    active = {"level": "info"} if name == "log" else {}
    return _table(name, model, active, comment=comment, examples=name)


def _routes(
    config: type[BaseModel], domain: str, servers: tuple[str, ...], *, trusted: bool
) -> Iterator[str]:
    route = _value_model(config.model_fields["route"])
    yield _table(
        _ROUTES,
        config,
        {"enabled": True},
        comment='Static routes: partner domains, and your own. The plugin is "use static routes".',
        without=("route",),
    )
    own = {
        "enabled": bool(servers),
        "trusted": trusted,
        "server": list(servers) if len(servers) > 1 else (servers or ("127.0.0.1",))[0],
        "port": 5060 if servers else 5070,
        "protocol": "udp",
    }
    yield _table(
        f"{_ROUTES}.route.{_toml(domain)}",
        route,
        own,
        comment="Your own domain: the way to its UC server"
        + ("." if servers else "; an example that is switched off."),
        examples="route",
        without=_ONLY_TLS,
    )
    partner = {
        "enabled": False,
        "trusted": False,
        "server": "sip.partner.example",
        "port": 5061,
        "protocol": "mtls",
    }
    yield _table(
        f'{_ROUTES}.route."partner.example"',
        route,
        partner,
        comment="A partner's domain: an example that is switched off. It needs the plugin tls and "
        'an interface with protocol = "mtls".',
        examples="route",
        without=tuple(key for key in route.model_fields if key not in (*partner, *_ONLY_TLS)),
        short=tuple(partner),
    )


def _account(config: type[BaseModel]) -> str:
    return _table(
        f"{_LAN}.server.{_ACCOUNT}",
        _value_model(config.model_fields["server"]),
        {"enabled": False},
        comment="The account of one UC server: an example that is switched off. `sipx lan add` "
        "makes yours.",
        examples="account",
    )


def _discovered(config: type[BaseModel]) -> str:
    return _table(
        f'{_FEDERATION}.partner."partner.example"',
        _value_model(config.model_fields["partner"]),
        {"enabled": False},
        comment="What is different for one partner: an example that is switched off.",
        examples="partner",
    )


# ---------------------------------------------------------------- a table from its model


def _table(
    name: str,
    model: type[BaseModel],
    active: Mapping[str, object],
    *,
    comment: str,
    examples: str = "",
    without: tuple[str, ...] = (),
    short: tuple[str, ...] = (),
    off: bool = False,
) -> str:
    """One table: ``active`` keys as they are, the others with their default behind a ``#``.

    ``short`` keys have been explained before. With ``off`` the header is behind a ``#`` as well.
    """
    lines = [*_comment(comment), f"#[{name}]" if off else f"[{name}]"]
    for key, field in model.model_fields.items():
        shown = field.alias or key
        if shown in without:
            continue
        if shown not in short:
            lines += _comment(_one_line(field.description))
        if shown in active:
            lines.append(f"{shown} = {_toml(active[shown])}")
        else:
            value = _EXAMPLES.get(f"{examples}.{shown}", _default(field))
            lines.append(f"#{shown} = {_toml(value)}")
    return "\n".join([*lines, ""])


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True, validated_data={})
    return duration_text(value) if is_duration(field) and value is not None else value


def _model_of(name: str) -> type[BaseModel]:
    field = KernelConfig.model_fields[name]
    annotation = field.annotation
    return annotation if isinstance(annotation, type) else _value_model(field)


def _value_model(field: FieldInfo) -> type[BaseModel]:
    """The model of the values of a field that is a table of tables."""
    from typing import get_args

    from pydantic import BaseModel

    waiting: list[Any] = [field.annotation]
    while waiting:
        annotation = waiting.pop(0)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        waiting += get_args(annotation)
    raise TypeError(f"{field!r} holds no tables")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").replace("``", "").split())


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ") if text else []


def _toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)
