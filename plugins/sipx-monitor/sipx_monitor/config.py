"""The TOML table ``[monitor]``."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails

from sipx import Config, IPAddress, LocalPath, Port, Secret, Size, refuse
from sipx_monitor.web.passwords import hash_problem

Role = Literal["viewer", "operator", "admin"]
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_USER: Final = re.compile(r"[^\s:/\x00-\x1f\x7f]{1,64}\Z")


def _host(value: object) -> str:
    if isinstance(value, str):
        try:
            return str(ipaddress.ip_address(value.strip("[]")))
        except ValueError:
            if _HOST.match(value):
                return value.lower()
    raise refuse(f"{value!r} is not the name of a host", 'a name without a port: "sipx.example"')


def _network(value: object) -> str:
    if isinstance(value, str):
        try:
            return str(ipaddress.ip_network(value, strict=False))
        except ValueError:
            pass
    raise refuse(f"{value!r} is not an IP address or network", '"127.0.0.1", "10.0.0.0/8"')


def _root_path(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"(/[A-Za-z0-9._~-]+)*/?", value):
        path = value.rstrip("/")
        if not any(part in (".", "..") for part in path.split("/")):
            return path
    raise refuse(f"{value!r} is not the beginning of a path", '"" or such as "/sipx"')


def _header(value: object) -> str:
    if isinstance(value, str) and _HEADER.match(value):
        return value.lower()
    raise refuse(f"{value!r} is not the name of a header", 'such as "X-Forwarded-User"')


_TEXT: Final = WithJsonSchema({"type": "string"})
HostName = Annotated[str, BeforeValidator(_host), _TEXT]
NetworkText = Annotated[str, BeforeValidator(_network), _TEXT]
RootPath = Annotated[str, BeforeValidator(_root_path), _TEXT]
HeaderName = Annotated[str, BeforeValidator(_header), _TEXT]


class UserConfig(Config):
    """``[monitor.user.NAME]``: somebody who may use the console."""

    password_hash: Secret | None = None
    """What `sipx console password NAME` writes; not the password itself."""
    role: Role = "viewer"
    """viewer: looks; operator: also starts, stops, resets; admin: also changes settings."""

    @model_validator(mode="after")
    def _is_a_hash(self) -> UserConfig:
        given = self.password_hash
        # It is empty where the file is only read, and its secrets are not.
        if given is not None and given.reveal():
            wrong = hash_problem(given.reveal())
            if wrong:
                raise refuse(wrong, "what `sipx console password NAME` writes")
        return self


class MonitorConfig(Config):
    """The TOML table ``[monitor]``."""

    bind: IPAddress = "127.0.0.1"
    """The address of this machine that the console listens on."""
    port: Port = 8061
    """The TCP port of the console; 0 takes a free one."""
    certificate: str | None = None
    """The [certificate.NAME] that it shows; then it speaks TLS. It has to where it does not listen
    on loopback."""
    allowed_hosts: tuple[HostName, ...] = ()
    """Names under which browsers may come, besides localhost and IP addresses."""
    auth: Literal["token", "password", "proxy-header", "none"] = "token"
    """token: by a link that works once; password: also users of [monitor.user.NAME]; proxy-header:
    who a reverse proxy names; none: everybody on this machine is admin."""
    user: dict[str, UserConfig] = Field({})
    """Who may log on with a password, or may be named by a reverse proxy."""
    root_path: RootPath = ""
    """Where a reverse proxy shows the console: "/sipx" for https://host.example/sipx/."""
    trusted_proxies: tuple[NetworkText, ...] = ()
    """Addresses of reverse proxies whose X-Forwarded-* headers are believed."""
    proxy_header: HeaderName = "x-forwarded-user"
    """The header in which a trusted proxy says who it has let in, for auth = "proxy-header"."""
    language: Literal["auto", "en", "de"] = "auto"
    """The language of the console until somebody chooses another; auto: that of the browser."""
    theme: Literal["auto", "light", "dark"] = "auto"
    """Light or dark until somebody chooses; auto: what the browser wants."""

    record: Literal["watched", "always"] = "watched"
    """When messages are kept: while somebody watches, or always."""
    keep_messages: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """Messages that are kept in memory at most; then the oldest go."""
    keep_bytes: Size = 64_000_000
    """Bytes of messages that are kept in memory at most."""
    capture_bodies: Literal["none", "sdp", "all"] = "sdp"
    """Which bodies are kept; "all" keeps the text of chats as well."""
    pcap_file: LocalPath | None = None
    """A pcapng file that all messages are written to; without it none."""
    pcap_size: Size = 50_000_000
    """The size at which that file is put aside and a new one begun."""
    pcap_keep: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many files that were put aside are kept."""

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can come."""
        return ipaddress.ip_address(self.bind).is_loopback

    @model_validator(mode="after")
    def _is_safe(self) -> MonitorConfig:
        for name in self.user:
            if not _USER.match(name):
                raise refuse(f"{name!r} is no user name", "up to 64 letters without space and ':'")
        if self.auth == "password" and not any(u.password_hash for u in self.user.values()):
            raise refuse(
                'auth = "password", and nobody has one', "`sipx console password NAME` makes one"
            )
        if self.auth == "proxy-header" and not self.trusted_proxies:
            raise refuse(
                'auth = "proxy-header" without trusted_proxies: anybody could write the header',
                'trusted_proxies = ["127.0.0.1"], the addresses of the reverse proxy',
            )
        if not self.on_loopback:
            self._is_safe_outside()
        return self

    def _is_safe_outside(self) -> None:
        place = f"{self.bind!r} can be reached over the network"
        if self.auth == "none":
            raise self._at_bind(
                f'{place}, and with auth = "none" everybody could change everything',
                'auth = "password", or bind = "127.0.0.1"',
            )
        if self.auth == "token":
            raise self._at_bind(
                f'{place}, and with auth = "token" nobody there has a password',
                'auth = "password" and `sipx console password NAME`, or bind = "127.0.0.1"',
            )
        if not self.certificate:
            raise self._at_bind(
                f"{place}, and without certificate passwords would be readable on the way",
                'certificate = "NAME" of a [certificate.NAME], or bind = "127.0.0.1" and a '
                "reverse proxy",
            )

    def _at_bind(self, wrong: str, allowed: str) -> ValidationError:
        """What is wrong with several keys together stands beside the one that makes it so."""
        found = InitErrorDetails(type=refuse(wrong, allowed), loc=("bind",), input=self.bind)
        return ValidationError.from_exception_data(type(self).__name__, [found])
