"""What a plugin is made of: the marker for hooks, its configuration, and the types of the hooks.

A plugin is a class with a ``Config`` (its TOML table) and hooks as methods marked with
``@hookimpl``; there is no base class to inherit. See docs/writing-a-plugin.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NamedTuple,
    Protocol,
    TypeVar,
    runtime_checkable,
)

import pluggy
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import logging
    import random
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Container,
        Iterable,
        Mapping,
    )
    from contextlib import AbstractContextManager
    from pathlib import Path

    import trio

    from sipx.accounts import Account
    from sipx.control.methods import Caller, Method
    from sipx.flows import Flow, FlowTable
    from sipx.identity import Partner
    from sipx.locations import LocationStore
    from sipx.resolver import Resolver
    from sipx.sip.message import Request, Response
    from sipx.status import ProxyStatus
    from sipx.tls import Tls
    from sipx.trust import SenderKind

hookimpl = pluggy.HookimplMarker("sipx")
"""Marks a method of a plugin as the implementation of the hook of the same name."""

T_co = TypeVar("T_co", covariant=True)


class Config(BaseModel):
    """The TOML table of a plugin: its fields are the keys, their docstrings the help.

    Unknown keys are errors. Every plugin's table also has ``enabled``: ``false`` switches the
    plugin off and keeps its place and its settings.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
        arbitrary_types_allowed=True,
    )

    enabled: bool = True
    """False switches this off; settings and place are kept."""


# ---------------------------------------------------------------- who a request comes from


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a flow, as ``authenticate_peer`` found out.

    ``identities`` are the domains that its certificate proves (empty without one).
    ``discovered``: no route or account names it, only the DNS; then it is a peer for as long as
    nobody else claims it.
    """

    name: str
    identities: frozenset[bytes] = frozenset()
    profile: str = "address"
    discovered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Sender:
    """Who a request is accepted from.

    ``domains`` holds the domains that may stand in From; ``trusted`` decides whether identity
    headers (RFC 3325) survive; ``row`` is the row of docs/trust.md that accepted it; ``name``
    names the route or account. ``account`` is who logged on: what belongs to its dialogs comes
    to it over its own flow, wherever its Contact leads. ``partner`` is what proves a discovered
    one: requests within its dialogs go to whoever proves to be the same.
    """

    kind: SenderKind
    name: str
    domains: Container[bytes]
    trusted: bool
    row: int = 0
    account: Account | None = None
    partner: Partner | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Accept:
    """The sender is known. ``authorise``: only once ``authorise_request`` agrees."""

    sender: Sender
    authorise: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """Ask for credentials: 401 or 407 with these header lines (name, value); ``row`` as below."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    row: int = 0


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with ``status``; ``why`` goes into the Warning header (399) and into the log.

    Status 0 gives no answer at all: for a source that is banned. ``row`` is the row of
    docs/trust.md that refuses, where one does.
    """

    status: int
    why: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    row: int = 0


Verdict = Accept | Challenge | Refuse


@dataclass(frozen=True, slots=True)
class Later(Generic[T_co]):
    """An answer that has to wait: the kernel parks the request and awaits ``fn()``.

    If ``deadline`` seconds pass the request is denied with 504, if ``fn`` raises with 500.
    """

    fn: Callable[[], Awaitable[T_co]]
    deadline: float = 5.0


# ---------------------------------------------------------------- where a request goes to


@dataclass(frozen=True, slots=True)
class NextHop:
    """One place a target can be reached at.

    ``host`` is a numeric address or a name; without ``port`` and ``transport`` RFC 3263 decides.
    ``bind`` chooses the interface by its address or its name. Without it one with role "wan" goes
    before others that fit as well; with LAN_SIDE in its place one with role "lan" does.
    """

    host: str
    port: int | None = None
    transport: str | None = None
    bind: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One member of a target set (RFC 3261 §16.5).

    ``uri`` replaces the Request-URI (None keeps it). ``hops`` are tried in order until one
    answers; empty means: where RFC 3263 leads from the URI. ``trusted`` says whether identity
    headers may go there (RFC 3325). ``name`` is what the Sender of its own requests will be called:
    a dialog is continued by its two ends only (empty: by any sender that is known). ``partner``
    says who has to be at the other end of a TLS connection; without it the host of the URI.
    ``route`` is a preloaded route set (the Path of a binding, RFC 3327 §5.4), topmost first.
    ``discovered``: the hops are what outsiders wrote into the DNS, so that addresses are filtered
    (SEC-09); several are tried at once, each a little after the one before it (RFC 8305).
    ``row`` is the row of docs/trust.md, table "Outgoing", by which it was chosen.
    """

    uri: bytes | None = None
    hops: tuple[NextHop, ...] = ()
    trusted: bool = False
    name: str = ""
    partner: Partner | None = None
    flow: Flow | None = None
    """A flow to use and no other (a registered connection)."""
    account: Account | None = None
    """Who logged on at the other end: dialogs with it go on over its flow (RFC 5626)."""
    route: tuple[bytes, ...] = ()
    discovered: bool = False
    row: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """A target set: groups are tried one after the other, the targets of a group in parallel.

    ``hunt``: the next group is asked only after 404, 408, 430, 480, 503 or where nobody could be
    reached (always so for SUBSCRIBE and PUBLISH). ``unreachable`` is the answer where no target
    could be reached at all, in place of 430, 500 or 504.
    """

    groups: tuple[tuple[Target, ...], ...]
    hunt: bool = False
    unreachable: Refuse | None = None


# ---------------------------------------------------------------- what plugins contribute


@dataclass(frozen=True, slots=True, eq=False)
class Discovered:
    """Where the requests for a domain go, until ``expires``, seconds of the kernel's clock."""

    targets: Targets
    expires: float


class Discovery(Protocol):
    """Federation discovery: from a domain to the places that serve it; asked for requests from
    inside to a domain that no plugin has a target for. The first answer that is not None counts.
    """

    name: str

    async def discover(self, domain: bytes) -> Discovered | Refuse | None:
        """Where ``domain`` is served; Refuse: nowhere, and nobody else is asked; None: not mine
        to say. The kernel keeps what was discovered until it expires.
        """
        ...


class Service(Protocol):
    """An async function run in the plugin's own nursery, restarted when it fails."""

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run; call ``task_status.started()`` when ready."""
        ...


@runtime_checkable
class LogFiles(Protocol):
    """What a handler of the hook ``log_handlers`` may have, if it writes files.

    One that also has a method ``reopen()`` is told when files have been moved away.
    """

    def files(self) -> Iterable[Path]:
        """Its files, the one being written first. Called from another thread; may ask the disk."""
        ...


class Severity(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


class Fix(NamedTuple):
    """A change of the configuration file: ``op`` is "set" or "unset", ``key`` as TOML writes it."""

    op: Literal["set", "unset"]
    key: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check: a stable code, what is so, and what to do about it.

    ``fix`` is the remedy where a change of the file is all that it takes; a form offers it.
    """

    code: str
    severity: Severity
    text: str
    remedy: str = ""
    fix: tuple[Fix, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A check for ``sipx check``: ``area`` groups and selects it, ``run`` makes the findings."""

    area: str
    run: Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class InterfaceRequest:
    """A listener that a plugin adds to the list of interfaces.

    ``certificate`` names one of [certificate.NAME], None that of [wan]; ``advertise``: with
    wan.use_public_address the public address stands in what it writes, if its role is "wan".
    """

    name: str
    bind: str
    port: int
    protocol: str
    role: str = "wan"
    certificate: str | None = None
    advertise: bool = True


@dataclass(frozen=True, slots=True)
class ConsolePanel:
    """A page or a panel that a plugin adds to the console: a JavaScript module of its package.

    ``package`` is where the files are (``__name__`` of the package); ``module`` and ``styles`` are
    their names in it, with ``/`` between folders.
    """

    module: str
    package: str
    styles: tuple[str, ...] = ()


class ControlApi(Protocol):
    """The control API of the running proxy, as plugins hold it: what the command line calls too."""

    def methods(self) -> Mapping[str, Method]:
        """All methods by name, those of plugins with them. Raises PluginError for one of a plugin
        that is not right.
        """
        ...

    async def call(self, name: str, params: object, caller: Caller) -> BaseModel:
        """The result of a method. Raises ControlError and nothing else.

        A method that changes something is ended even when whoever called it is cancelled: what it
        changes may be just that.
        """
        ...

    def events(self, name: str, params: object, caller: Caller) -> AsyncGenerator[BaseModel, None]:
        """The events of a stream. Raises ControlError, now for parameters, and while it runs."""
        ...

    def schema(self) -> dict[str, Any]:
        """All methods with the JSON schemas of what goes in and comes out: OpenRPC 1.3."""
        ...


class Proxy(Protocol):
    """All that a plugin may hold of the kernel."""

    @property
    def config(self) -> Any:
        """The kernel's configuration (sipx.config.model.KernelConfig), read only."""
        ...

    @property
    def domains(self) -> frozenset[bytes]:
        """The presence domains served here, canonical."""
        ...

    @property
    def flows(self) -> FlowTable:
        """The table of flows."""
        ...

    @property
    def resolver(self) -> Resolver:
        """The kernel's resolver with its cache."""
        ...

    @property
    def tls(self) -> Tls:
        """TLS with the certificates of this proxy and the authorities it trusts."""
        ...

    @property
    def control(self) -> ControlApi:
        """The control API. It can be asked once the plugin's services run, not before."""
        ...

    @property
    def state_dir(self) -> Path:
        """A directory of the plugin's own for what must survive a restart; made on first use."""
        ...

    @property
    def log(self) -> logging.LoggerAdapter[Any]:
        """The plugin's logger, below ``sipx.plugin``."""
        ...

    @property
    def random(self) -> random.Random:
        """Randomness that tests can seed."""
        ...

    def now(self) -> float:
        """Seconds of the kernel's clock."""
        ...

    def status(self) -> ProxyStatus:
        """What runs now: what ``sipx status`` shows."""
        ...

    def accounts(self) -> tuple[Account, ...]:
        """Who may log on, as the plugins say now."""
        ...

    def location_store(self) -> LocationStore | None:
        """The store of the first plugin that has one; the same one each time."""
        ...

    def trouble(self, kind: str, name: str) -> str:
        """What does not work now with a partner or an interface, in words; "" if nothing is known.

        ``kind`` and ``name`` are those of ``Receiver.trouble``.
        """
        ...

    def wall(self) -> float:
        """Seconds since 1970, by the clock that people set."""
        ...

    def note_trouble(self, kind: str, name: str, text: str | None) -> None:
        """What does not work, in words, told once, and again after an hour; "" says that it works
        again, None that nobody needs it any more. ``kind`` and ``name`` say what it is.
        """
        ...

    def note_public_addresses(self, found: Mapping[str, str]) -> None:
        """What the world sees in the place of our addresses: an IP address for the bind of each
        interface ("10.0.0.5", "*"). It replaces what was noted before, and stands in messages
        where the public address is to be "auto". Raises ValueError for what is no address that
        peers can send to.
        """
        ...

    def report(self, event: object) -> None:
        """Hand an event (a frozen dataclass) to those who watch."""
        ...

    def watch(self, observer: object) -> AbstractContextManager[None]:
        """Within the block the hooks of ``observer`` are asked, also after a reload: methods marked
        with ``@hookimpl`` that only observe (docs/hooks.md). Nothing is paid for them outside of
        it. Raises PluginError for another hook, and for one that is not right.
        """
        ...

    def console_panels(self) -> Mapping[str, tuple[ConsolePanel, ...]]:
        """What plugins add to the console, by plugin, in the order of asking."""
        ...

    def in_dialog(self, request: Request, name: str) -> bool:
        """Whether a request is within a dialog that the peer ``name`` is one end of.

        The signed cookie in its topmost Route says so (docs/trust.md, row 27); a To tag alone
        says nothing, but without one no request is within a dialog.
        """
        ...

    async def send_request(self, request: Request, target: Target) -> Response:
        """Send a request as a user agent client and wait for its final response.

        Via, Max-Forwards, CSeq and Call-ID are filled in where absent. Raises SendError when no
        hop could be reached or the transaction timed out.
        """
        ...

    async def open_flow(self, target: Target) -> Flow:
        """The flow to a target's first hop that can be reached; connects where there is none.

        Raises SendError.
        """
        ...


class PeerRefusedError(OSError):
    """A connection came about, and its other end is not who it has to be, or refused us: 502."""


class SendError(Exception):
    """A request of our own found no hop or no answer; ``status`` as RFC 3261 §8.1.3.1 maps it."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """What the registry knows of one installed plugin."""

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = field(default=())
