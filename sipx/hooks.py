"""The hooks with their types: the one place that knows pluggy.

pluggy keeps the register: which plugin has which hook, with which arguments. The calls are made
here, in the order of the configuration (pluggy's own order is last registered, first asked, and
would change when a plugin is switched on later).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import pluggy

from sipx import hookspecs
from sipx.errors import PluginError
from sipx.hook_times import OWNER, HookTimes
from sipx.panels import panel_problem

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    import click
    from pydantic import BaseModel

    from sipx.accounts import Account
    from sipx.control.methods import Method
    from sipx.events import Direction, ProxyDecision, TransactionRecord
    from sipx.flows import Flow
    from sipx.forking import Branch
    from sipx.identity import Partner
    from sipx.locations import LocationStore
    from sipx.plugin import (
        Check,
        ConsolePanel,
        Discovery,
        InterfaceRequest,
        Later,
        Peer,
        Refuse,
        Sender,
        Service,
        Target,
        Targets,
        Verdict,
    )
    from sipx.sip.message import Request, Response
    from sipx.transport import Transport

T = TypeVar("T")

COMPILED: Final = (
    *hookspecs.HOT,
    "authenticate_peer",
    "flow_opened",
    "flow_closed",
    "serve_datagram",
)
"""The hooks that are kept as tuples of functions."""
KERNEL: Final = "sipx"
"""Who owns what watches messages for the kernel itself."""


class Contribution(NamedTuple, Generic[T]):
    """One thing that a plugin brings, with the name of the plugin."""

    plugin: str
    item: T


class Hooks:
    """All hooks of the registered plugins.

    Hot hooks are attributes: tuples of functions with the positional arguments of the
    specification, in the order of asking, empty when nobody implements the hook. They are made
    anew by ``register`` and ``unregister``: read them each time, keep none. The other hooks are
    methods. A plugin that breaks a hook's contract is named in a PluginError.
    """

    authenticate_peer: tuple[Callable[[Flow], Peer | None], ...]
    flow_opened: tuple[Callable[[Flow], None], ...]
    flow_closed: tuple[Callable[[Flow, str], None], ...]
    serve_datagram: tuple[Callable[[bytes, Flow], bytes | None], ...]
    validate_request: tuple[Callable[[Request, Flow], Response | Refuse | None], ...]
    authenticate_request: tuple[Callable[[Request, Flow], Verdict | Later[Verdict] | None], ...]
    authorise_request: tuple[Callable[[Request, Flow, Sender | None], Verdict | None], ...]
    serve_request: tuple[
        Callable[[Request, Sender, Flow], Response | Later[Response] | None],
        ...,
    ]
    determine_targets: tuple[
        Callable[[Request, Sender], Targets | Refuse | Later[Targets | Refuse] | None],
        ...,
    ]
    dialog_target: tuple[Callable[[bytes, Flow | None, Sender], Target | Refuse | None], ...]
    forward_request: tuple[Callable[[Request, Target], None], ...]
    process_response: tuple[Callable[[Response, Branch], None], ...]
    transaction_ended: tuple[Callable[[TransactionRecord], None], ...]
    message_traced: tuple[Callable[[Request | Response, Flow, Direction], None], ...]
    bytes_traced: tuple[Callable[[bytes, Flow, Direction, str], None], ...]
    decision_made: tuple[Callable[[Request, Flow, ProxyDecision], None], ...]

    def __init__(self, order: Iterable[str] = ()) -> None:
        """``order``: names of plugins, first asked first; others come after, as registered."""
        self._order: list[str] = list(order)
        self._manager = pluggy.PluginManager("sipx")
        self._manager.add_hookspecs(hookspecs)
        for caller in vars(self._manager.hook).values():
            # A way back to the manager, which nobody takes: without it what a reload replaces is
            # freed at once, and does not wait for a collector that seldom comes.
            caller._hookexec = _never  # noqa: SLF001
        self._owners: dict[Callable[..., Any], str] = {}
        self._former: dict[Callable[..., Any], str] = {}
        self._given: dict[tuple[str, str], Any] = {}
        self._watching: Callable[[Request | Response, Flow, Direction], None] | None = None
        self._observers: list[tuple[str, Hooks]] = []
        """Who watches for a while, by plugin, each with hooks of its own."""
        self._times: list[HookTimes] = []
        """Who measures; nobody, and nothing is."""
        self.on_change: Callable[[], None] | None = None
        """Called when hot hooks are others than before."""
        self._compile()

    # ------------------------------------------------------------ the set of plugins

    def register(self, name: str, plugin: object) -> None:
        """Add a plugin. Raises PluginError when the name is taken or a hook is not right."""
        if self._manager.has_plugin(name):
            raise PluginError(f"plugin '{name}': is registered already")
        if name not in self._order:
            self._order.append(name)
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except Exception as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise PluginError(f"plugin '{name}': {error}") from error
        self._compile()

    def unregister(self, name: str) -> object:
        """Take a plugin away and return it. Raises KeyError."""
        plugin = self._manager.get_plugin(name)
        if plugin is None:
            raise KeyError(name)
        self._manager.unregister(name=name)
        self._given = {key: given for key, given in self._given.items() if key[0] != name}
        self._compile()
        return plugin

    def with_plugins(self, plugins: Mapping[str, object]) -> Hooks:
        """Hooks of these plugins, in this order; those that stay have given what they gave."""
        fresh = Hooks(plugins)
        mine = self.plugins()
        for name, plugin in plugins.items():
            fresh.register(name, plugin)
            if mine.get(name) is plugin:
                kept = {key: given for key, given in self._given.items() if key[0] == name}
                fresh._given.update(kept)
        return fresh

    def become(self, other: Hooks) -> None:
        """Be what ``other`` is: who holds these hooks asks its plugins from now on."""
        former, on_change = self._owners, self.on_change
        watching, observers, times = self._watching, self._observers, self._times
        self.__dict__.update(other.__dict__)
        self._former, self.on_change = former, on_change
        self._watching, self._observers, self._times = watching, observers, times
        self._compile()

    def plugins(self) -> dict[str, object]:
        """The registered plugins by name, in the order of asking."""
        there = ((name, self._manager.get_plugin(name)) for name in self._order)
        return {name: plugin for name, plugin in there if plugin is not None}

    def implementations(self) -> dict[str, tuple[str, ...]]:
        """The hooks of each plugin, in the order of asking."""
        found: dict[str, list[str]] = {name: [] for name in self.plugins()}
        for hook, function in vars(hookspecs).items():
            if hasattr(function, "sipx_spec"):
                for impl in self._impls(hook):
                    found[impl.plugin_name].append(hook)
        return {name: tuple(hooks) for name, hooks in found.items()}

    def bringing(self, hook: str) -> frozenset[str]:
        """The names of the plugins that implement a hook."""
        return frozenset(impl.plugin_name for impl in self._impls(hook))

    def watch_messages(
        self, function: Callable[[Request | Response, Flow, Direction], None] | None
    ) -> None:
        """Let the kernel itself see every message, behind the plugins; None: no longer."""
        if function != self._watching:
            self._watching = function
            self._compile()

    @contextmanager
    def watched(self, plugin: str, observer: object) -> Iterator[None]:
        """Let an observer of a plugin see what its hooks are for, behind the plugins, within."""
        watcher = (plugin, Hooks())
        watcher[1].register(plugin, observer)
        self._observers.append(watcher)
        self._compile()
        try:
            yield
        finally:
            self._observers = [other for other in self._observers if other is not watcher]
            self._compile()

    @property
    def measurements(self) -> int:
        """How many measure now."""
        return len(self._times)

    @contextmanager
    def measured(self) -> Iterator[HookTimes]:
        """Measure the hooks that are kept as functions, within: at other times they stand there
        bare.
        """
        times = HookTimes()
        self._times.append(times)
        self._compile()
        try:
            yield times
        finally:
            self._times.remove(times)
            self._compile()

    def owner(self, function: Callable[..., Any]) -> str:
        """The name of the plugin that a function of a hot hook belongs to.

        An answer that was waited for may come from a plugin that has been replaced since.
        """
        return self.owner_of(function) or "that was replaced"

    def owner_of(self, function: Callable[..., Any]) -> str:
        """The same, and "" for a function that belongs to no plugin."""
        known = self._owners.get(function) or self._former.get(function, "")
        return known or getattr(function, OWNER, "")

    # ------------------------------------------------------------ hooks that contribute

    def transports(self) -> tuple[Transport, ...]:
        """All transports. Two of one name are refused."""
        found: dict[str, Contribution[Transport]] = {}
        for given in self._once("transports"):
            self._distinct(found, given.item.name, given, "transport")
        return tuple(given.item for given in found.values())

    def interfaces(self) -> tuple[InterfaceRequest, ...]:
        """The listeners that plugins add."""
        return tuple(given.item for given in self._contributions("interfaces"))

    def discoveries(self) -> tuple[Discovery, ...]:
        """The ways to find a domain's hops, in the order of asking; `owner` knows whose."""
        found: tuple[Contribution[Discovery], ...] = self._contributions("discoveries")
        self._owners.update({given.item.discover: given.plugin for given in found})
        return tuple(given.item for given in found)

    def location_store(self) -> LocationStore | None:
        """The store of the first plugin that has one; each plugin is asked once."""
        for impl in self._impls("location_store"):
            key = (impl.plugin_name, "location_store")
            if key not in self._given:
                self._given[key] = self._call(impl, "location_store")
            store: LocationStore | None = self._given[key]
            if store is not None:
                return store
        return None

    def accounts(self) -> tuple[Account, ...]:
        """Who may log on. Of two of one name the first counts."""
        found: dict[str, Account] = {}
        for given in self._contributions("accounts"):
            found.setdefault(given.item.name, given.item)
        return tuple(found.values())

    def option_tags(self) -> frozenset[bytes]:
        """What may stand in Proxy-Require."""
        return frozenset(given.item.lower() for given in self._contributions("option_tags"))

    def explain_targets(self, request: Request, sender: Sender) -> tuple[str, ...]:
        """Why the targets of a request are what they are, in words."""
        given: dict[str, object] = {"request": request, "sender": sender}
        lines: list[str] = []
        for impl in self._impls("explain_targets"):
            function: Callable[..., Any] = impl.function
            lines += function(*[given[name] for name in impl.argnames])
        return tuple(lines)

    def reloaded(self) -> tuple[Contribution[Callable[[], None]], ...]:
        """Who wants to be told that another configuration is in force."""
        found: list[Contribution[Any]] = [
            Contribution(impl.plugin_name, impl.function) for impl in self._impls("reloaded")
        ]
        return tuple(found)

    def addresses_changed(self) -> tuple[Contribution[Callable[[frozenset[str]], None]], ...]:
        """Who wants to be told that this machine got or lost an address."""
        found: list[Contribution[Any]] = [
            Contribution(impl.plugin_name, impl.function)
            for impl in self._impls("addresses_changed")
        ]
        return tuple(found)

    def partners(self) -> tuple[Partner, ...]:
        """Who may be at the other end of TLS."""
        return tuple(given.item for given in self._contributions("partners"))

    def services(self) -> tuple[Contribution[Service], ...]:
        """What runs in the plugins' nurseries."""
        found: tuple[Contribution[Service], ...] = self._once("services")
        for given in found:
            if not callable(given.item):
                _close(given.item)
                raise PluginError(
                    f"plugin '{given.plugin}': hook 'services' gave {given.item!r}, which cannot "
                    "be called; give the async function itself, without calling it"
                )
        return found

    def log_handlers(self) -> tuple[logging.Handler, ...]:
        """Handlers for the logger ``sipx``."""
        return tuple(given.item for given in self._once("log_handlers"))

    def commands(self) -> tuple[Contribution[click.Command], ...]:
        """Subcommands of ``sipx``."""
        return self._contributions("commands")

    def checks(self) -> tuple[Contribution[Check], ...]:
        """Checks for ``sipx check``."""
        return self._contributions("checks")

    def control_methods(self) -> tuple[Method, ...]:
        """Methods of the control API. Two of one name are refused, and wrong annotations."""
        found: dict[str, Contribution[Method]] = {}
        for impl in self._impls("control_methods"):
            for given in self._methods_of(impl):
                self._distinct(found, given.item.name, given, "control method")
        return tuple(given.item for given in found.values())

    def _methods_of(self, impl: pluggy.HookImpl) -> tuple[Contribution[Method], ...]:
        """Those of one plugin, which is asked once: to read annotations takes milliseconds."""
        from sipx.control.methods import Method

        key = (impl.plugin_name, "control_methods")
        if key not in self._given:
            methods = self._call(impl, "control_methods")
            if not isinstance(methods, Mapping):
                raise _broken(impl, "control_methods", methods, "a mapping of names to functions")
            self._given[key] = tuple(
                Contribution(impl.plugin_name, Method.of(name, function, impl.plugin_name))
                for name, function in methods.items()
            )
        methods_given: tuple[Contribution[Method], ...] = self._given[key]
        return methods_given

    def console_panels(self) -> dict[str, tuple[ConsolePanel, ...]]:
        """What plugins add to the console. One whose files are not there is refused."""
        found: dict[str, list[ConsolePanel]] = {}
        for plugin, panel in self._contributions("console_panels"):
            wrong = panel_problem(panel)
            if wrong:
                raise PluginError(f"plugin '{plugin}': hook 'console_panels': {wrong}")
            found.setdefault(plugin, []).append(panel)
        return {plugin: tuple(panels) for plugin, panels in found.items()}

    def take_over(self, name: str, old: object) -> None:
        """Let a plugin take from the one that it replaces what must not be lost."""
        for impl in self._impls("take_over"):
            if impl.plugin_name == name:
                try:
                    impl.function(old)
                except Exception as error:
                    raise PluginError(
                        f"plugin '{name}': hook 'take_over' raised {type(error).__name__}: {error}"
                    ) from error

    def status_sections(
        self,
    ) -> tuple[Contribution[Callable[[], Mapping[str, BaseModel | Sequence[BaseModel]]]], ...]:
        """What asks each plugin for its part of the status. It may raise; nothing is called yet."""
        impls = self._impls("status_sections")
        found: list[Contribution[Any]] = [Contribution(i.plugin_name, i.function) for i in impls]
        return tuple(found)

    # ------------------------------------------------------------ below

    def _impls(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        impls = caller.get_hookimpls()
        return sorted(impls, key=lambda impl: self._order.index(impl.plugin_name))

    def _call(self, impl: pluggy.HookImpl, hook: str) -> Any:
        try:
            result = impl.function()
        except Exception as error:
            raise PluginError(
                f"plugin '{impl.plugin_name}': hook '{hook}' raised {type(error).__name__}: {error}"
            ) from error
        if inspect.isawaitable(result):
            raise _broken(impl, hook, result, "an answer now, nothing to be awaited")
        return result

    def _once(self, hook: str) -> tuple[Contribution[Any], ...]:
        """Like ``_contributions``, but a plugin is asked once and its answer kept."""
        found: list[Contribution[Any]] = []
        for impl in self._impls(hook):
            key = (impl.plugin_name, hook)
            if key not in self._given:
                self._given[key] = self._contributions(hook, only=impl.plugin_name)
            found += self._given[key]
        return tuple(found)

    def _contributions(self, hook: str, only: str = "") -> tuple[Contribution[Any], ...]:
        found: list[Contribution[Any]] = []
        for impl in self._impls(hook):
            if only not in ("", impl.plugin_name):
                continue
            result = self._call(impl, hook)
            if not isinstance(result, Iterable) or isinstance(result, (str, bytes, Mapping)):
                raise _broken(impl, hook, result, "a list or tuple, () for nothing")
            try:
                found += [Contribution(impl.plugin_name, item) for item in result]
            except Exception as error:
                raise PluginError(
                    f"plugin '{impl.plugin_name}': hook '{hook}' raised "
                    f"{type(error).__name__}: {error}"
                ) from error
        return tuple(found)

    def _distinct(
        self, found: dict[str, Contribution[T]], name: str, given: Contribution[T], what: str
    ) -> None:
        if name in found:
            raise PluginError(
                f"plugins '{found[name].plugin}' and '{given.plugin}' both bring the "
                f"{what} '{name}'; take one of them out of plugins"
            )
        found[name] = given

    def _compile(self) -> None:
        self._owners = {}
        for hook in COMPILED:
            caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
            spec = caller.spec
            assert spec is not None
            functions = []
            for impl in self._impls(hook):
                function = _positional(impl, tuple(spec.argnames))
                self._owners[function] = impl.plugin_name
                functions.append(function)
            if hook == "message_traced" and self._watching is not None:
                self._owners[self._watching] = KERNEL
                functions.append(self._watching)
            if hook in hookspecs.OBSERVERS:
                for plugin, watcher in self._observers:
                    for function in getattr(watcher, hook):
                        self._owners[function] = plugin
                        functions.append(function)
            for times in self._times:
                functions = [self._timed(times, hook, function) for function in functions]
            setattr(self, hook, tuple(functions))
        if self.on_change is not None:
            self.on_change()

    def _timed(
        self, times: HookTimes, hook: str, function: Callable[..., Any]
    ) -> Callable[..., Any]:
        owner = self._owners[function]
        measured = times.timed(owner, hook, function)
        self._owners[measured] = owner
        return measured


def _never(*_: Any) -> Any:
    """Hooks are called here, not by pluggy."""
    raise AssertionError


def _positional(impl: pluggy.HookImpl, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """The implementation as a function of all arguments in order; itself when it is one."""
    function: Callable[..., Any] = impl.function
    if tuple(impl.argnames) == arguments and not impl.kwargnames:
        return function
    taken = tuple(arguments.index(name) for name in impl.argnames)
    if len(taken) == 1:
        only = taken[0]
        return lambda *given: function(given[only])
    return lambda *given: function(*[given[number] for number in taken])


def _broken(impl: pluggy.HookImpl, hook: str, result: object, allowed: str) -> PluginError:
    said = "a coroutine" if inspect.isawaitable(result) else repr(result)
    _close(result)
    return PluginError(
        f"plugin '{impl.plugin_name}': hook '{hook}' returned {said}; allowed: {allowed}"
    )


def _close(result: object) -> None:
    """A coroutine that nobody will await is ended without a warning."""
    if inspect.iscoroutine(result):
        result.close()
