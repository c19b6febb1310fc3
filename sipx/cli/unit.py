"""The systemd unit of the proxy: as much taken away from it as it can do without."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK: Final = "# Written by `sipx service install`."
"""The first words of a unit of ours; another's is not touched."""

NOTIFY_RELOAD: Final = 253
"""The first systemd that has Type=notify-reload."""
MARGIN: Final = 10
"""Seconds beyond service.stop_timeout until systemd kills."""
WATCHDOG: Final = 30
"""Seconds without a sign of life after which systemd starts the service again."""
SET_UP: Final = tuple(map(Path, ("/etc/sipx", "/var/lib/sipx", "/var/log/sipx", "/run/sipx")))
"""What systemd makes for the service, and lets it write to."""
_HOMES: Final = tuple(map(Path, ("/home", "/root", "/run/user")))
_TEMPORARY: Final = tuple(map(Path, ("/tmp", "/var/tmp")))  # noqa: S108  # compared, not used

_FILTERED: Final = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=@chown"""
"""What an account may deny itself, so that it works in a user's manager, too.

MemoryDenyWriteExecute= is not among them: OpenSSL calls back through cffi, which makes the code
for that while it runs. What @chown stands for keeps the group of a file that is rewritten, and
gives no right to an account that has none. Nor is PrivateUsers= below: callers of the control
socket would all be nobody, and a port below 1024 could not be had.
"""

_WALLED: Final = """\
KeyringMode=private
PrivateDevices=yes
PrivateMounts=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes"""
"""What only the manager of the system can do."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a unit is written for.

    ``command`` starts the proxy; ``systemd`` is the version of the manager; ``group`` is that of
    the control socket. ``writable`` are directories it writes to beyond those that systemd makes,
    ``read`` what it must see.
    """

    command: tuple[str, ...]
    systemd: int
    user: bool = False
    account: str = "sipx"
    group: str = ""
    stop_timeout: float = 15.0
    low_port: bool = False
    files: int = 65536
    writable: tuple[Path, ...] = ()
    read: tuple[Path, ...] = ()


def unit_text(service: Service) -> str:
    """The whole unit."""
    blocks = [
        f"{MARK} Settings of your own belong into a drop-in:\n"
        f"# systemctl {'--user ' if service.user else ''}edit sipx",
        "\n".join(_head(service)),
        "\n".join(_service(service)),
    ]
    if not service.user:
        blocks.append("\n".join(_places(service)))
    blocks.append("\n".join(_walls(service)))
    blocks.append(f"[Install]\nWantedBy={'default' if service.user else 'multi-user'}.target")
    return "\n\n".join(blocks) + "\n"


def _head(service: Service) -> Iterator[str]:
    yield "[Unit]"
    yield "Description=sipx, a SIP federation proxy"
    if not service.user:
        yield "Wants=network-online.target"
        yield "After=network-online.target nss-lookup.target time-sync.target"


def _service(service: Service) -> Iterator[str]:
    yield "[Service]"
    if service.systemd >= NOTIFY_RELOAD:
        yield "Type=notify-reload"
    else:
        yield "Type=notify"
        yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield f"ExecStart={' '.join(map(_argument, service.command))}"
    yield "Restart=on-failure"
    yield "RestartSec=2"
    yield "# Neither wrong use nor a wrong configuration becomes right by itself."
    yield "RestartPreventExitStatus=2 3"
    yield f"WatchdogSec={WATCHDOG}"
    yield f"TimeoutStopSec={math.ceil(service.stop_timeout) + MARGIN}"
    yield f"LimitNOFILE={service.files}"
    yield "UMask=0027"


def _places(service: Service) -> Iterator[str]:
    """The account, and what belongs to it."""
    yield f"User={service.account}"
    yield f"Group={service.account}"
    if service.group:
        yield "# The control socket is given to this group (service.control_group)."
        yield f"SupplementaryGroups={service.group}"
    for kind, mode in (
        ("Configuration", "0750"), ("State", "0700"), ("Logs", "0750"), ("Runtime", "0755"),
    ):  # fmt: skip
        yield f"{kind}Directory=sipx"
        yield f"{kind}DirectoryMode={mode}"
    for path in service.writable:
        yield f"ReadWritePaths={_quoted(str(path))}"


def _walls(service: Service) -> Iterator[str]:
    if service.user:
        yield _FILTERED
        return
    right = "CAP_NET_BIND_SERVICE" if service.low_port else ""
    yield f"CapabilityBoundingSet={right}"
    yield f"AmbientCapabilities={right}"
    yield _FILTERED
    yield _WALLED
    needed = (*service.read, *service.writable)
    yield f"ProtectHome={'read-only' if below(needed, _HOMES) else 'yes'}"
    yield f"PrivateTmp={'no' if below(needed, _TEMPORARY) else 'yes'}"


def weaknesses(service: Service) -> list[str]:
    """In words: where the unit lets more through than it should, and what would help."""
    if service.user:
        return []
    found: dict[Path, list[str]] = {}
    for path, top in below((*service.read, *service.writable), (*_HOMES, *_TEMPORARY)):
        found.setdefault(top, []).append(str(path))
    return [
        f"the unit would rather hide {top} from the proxy, but there lies {', '.join(paths)}; "
        "/etc/sipx and /opt are better places"
        for top, paths in found.items()
    ]


def below(paths: Sequence[Path], tops: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Those of the paths that lie in one of the directories, with it."""
    return [(path, top) for path in paths for top in tops if path.is_relative_to(top)]


def _quoted(word: str) -> str:
    """A path as systemd reads it: no specifiers."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if any(c.isspace() or c in "\"';" for c in word) else plain


def _argument(word: str) -> str:
    """A word of a command line: no variables either."""
    return _quoted(word).replace("$", "$$")
