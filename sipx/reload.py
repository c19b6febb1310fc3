"""Another configuration for a running proxy: taken up in one step, or not at all.

    prepare   plugins whose table changed are made anew, certificates are read; nothing is touched
    bind      new listeners; one that needs the address of an old one waits until that is free
    services  of plugins that were made anew
    commit    plain assignments without an await: no message meets half of a configuration
    close     listeners that are not wanted any more let what is under way finish

Whatever fails before the commit is undone, and the old configuration runs on. Listeners with the
same socket keep it, and their flows; transactions know nothing of all this.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import trio
from pydantic import BaseModel, ConfigDict

from sipx.certificates.users import certificate_users
from sipx.config.document import dotted
from sipx.config.errors import Problem
from sipx.config.model import AT_START
from sipx.errors import ReloadError, SipxError
from sipx.interfaces import Status
from sipx.listeners import interfaces_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipx.certificates import CertificateStore
    from sipx.config.document import KeyPath
    from sipx.config.load import Settings
    from sipx.hooks import Hooks
    from sipx.interfaces import Interface
    from sipx.kernel import Kernel

log = logging.getLogger("sipx.kernel")

REBIND_PATIENCE: Final = 2.0
"""Seconds that transactions on a listener may take to finish whose address another one needs."""
UNDO_PATIENCE: Final = 30.0
"""Seconds that one step of undoing may take; what is not ready then gets ready by itself."""


class Plan(BaseModel):
    """What a reload does. ``added``, ``changed`` and ``removed`` are keys as TOML writes them."""

    model_config = ConfigDict(frozen=True)

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    """Plugins that are switched on."""
    rebuild: tuple[str, ...] = ()
    """Plugins that are made anew with their new table."""
    stop: tuple[str, ...] = ()
    """Plugins that are switched off."""
    listen: tuple[str, ...] = ()
    """Interfaces that begin to listen."""
    rebind: tuple[str, ...] = ()
    """Interfaces that are closed and bound anew: their connections end."""
    close: tuple[str, ...] = ()
    """Interfaces that are closed: their connections end."""
    restart: tuple[str, ...] = ()
    """Keys that take effect when the process is started again."""

    @property
    def empty(self) -> bool:
        """Whether nothing is different: secrets and certificates in files may be all the same."""
        return not any(getattr(self, name) for name in type(self).model_fields)

    def lines(self) -> list[str]:
        """The plan for people."""
        words = (
            ("added", self.added),
            ("changed", self.changed),
            ("removed", self.removed),
            ("plugins switched on", self.start),
            ("plugins made anew", self.rebuild),
            ("plugins switched off", self.stop),
            ("interfaces that begin to listen", self.listen),
            ("interfaces bound anew, their connections end", self.rebind),
            ("interfaces closed, their connections end", self.close),
            ("only at the next start of the process", self.restart),
        )
        return [f"{what}: {', '.join(names)}" for what, names in words if names]


@dataclass(slots=True)
class ReloadStatus:
    """Reloads since the start. ``last`` is when the last one ended, in seconds since 1970, None
    before the first; ``error`` is why it failed, "" if it did not.
    """

    count: int = 0
    failed: int = 0
    last: float | None = None
    last_success: float | None = None
    error: str = ""

    def failed_with(self, error: str, when: float) -> None:
        """A reload failed, or did not get as far as being tried."""
        self.count += 1
        self.failed += 1
        self.last, self.error = when, error
        log.error("not reloaded, the old configuration runs on: %s", error)

    def succeeded(self, plan: Plan, when: float) -> None:
        """Another configuration was taken up."""
        self.count += 1
        self.last = self.last_success = when
        self.error = ""
        log.info("reloaded: %s", "; ".join(plan.lines()) or "nothing is different")


class Reload:
    """One change from the configuration of a kernel to another. Made by ``prepare``."""

    def __init__(
        self,
        kernel: Kernel,
        settings: Settings,
        hooks: Hooks,
        certificates: CertificateStore,
        wanted: list[Interface],
    ) -> None:
        self._kernel = kernel
        self._settings = settings
        self._hooks = hooks
        self._certificates = certificates
        self._wanted = wanted
        self._kept: dict[Interface, Interface] = {}
        """From what is wanted to what is there and can go on."""
        self._opened: list[Interface] = []
        self._leaving: list[Interface] = []
        self._match()
        self.plan = self._planned()

    @classmethod
    async def prepare(cls, kernel: Kernel, settings: Settings) -> Reload:
        """Make everything that the new configuration needs. Raises ReloadError."""
        try:
            made = _plugins(kernel, settings)
            hooks = kernel.hooks.with_plugins(made)
            _ask_everything(hooks)
            wanted = interfaces_of(settings.kernel, hooks)
            kernel.advertising.inform(wanted)
        except SipxError as error:
            raise ReloadError(str(error)) from error
        certificates = kernel.certificates.with_config(settings.kernel, hooks.partners())
        certificates.named = certificate_users(settings.plugins)
        if certificates.unread:
            wrong = await trio.to_thread.run_sync(certificates.read, abandon_on_cancel=True)
            if wrong:
                raise ReloadError("\n".join(wrong))
        return cls(kernel, settings, hooks, certificates, wanted)

    async def apply(self) -> None:
        """Bind, start, commit, close. Raises ReloadError with everything undone."""
        kernel = self._kernel
        async with AsyncExitStack() as undo:
            if kernel.listeners.running:
                await self._bind(undo)
            await self._serve(undo)
            self._commit()
            undo.pop_all()
        self._close()

    # ------------------------------------------------------------ what is to be done

    def _match(self) -> None:
        for new in self._wanted:
            old = self._there(new)
            if old is not None:
                self._kept[new] = old
            else:
                self._opened.append(new)
        kept = set(self._kept.values())
        self._leaving = [old for old in self._kernel.interfaces.all if old not in kept]

    def _there(self, new: Interface) -> Interface | None:
        """What can go on as ``new``. One of two with its name drains, and it may be that one."""
        kernel = self._kernel
        fit = [
            old
            for old in kernel.interfaces.all
            if old.name == new.name and old.same_socket(new) and not kernel.listeners.ends(old)
        ]
        return min(fit, key=lambda old: old.draining, default=None)

    def _planned(self) -> Plan:
        kernel, settings = self._kernel, self._settings
        before = dict(_leaves((), kernel.settings.document.values()))
        after = dict(_leaves((), settings.document.values()))
        mine, theirs = kernel.hooks.plugins(), self._hooks.plugins()
        opened = [i.name for i in self._opened if i.enabled]
        closed = [i.name for i in self._leaving if i.enabled and not i.draining]
        changed = [dotted(key) for key in after if key in before and before[key] != after[key]]
        gone = [dotted(key) for key in before if key not in after]
        added = [dotted(key) for key in after if key not in before]
        keys = (*added, *changed, *gone)
        return Plan(
            added=tuple(added),
            changed=tuple(changed),
            removed=tuple(gone),
            start=tuple(name for name in theirs if name not in mine),
            rebuild=tuple(n for n in theirs if n in mine and mine[n] is not theirs[n]),
            stop=tuple(name for name in mine if name not in theirs),
            listen=tuple(name for name in opened if name not in closed),
            rebind=tuple(name for name in opened if name in closed),
            close=tuple(name for name in closed if name not in opened),
            restart=tuple(key for key in AT_START if key in keys),
        )

    # ------------------------------------------------------------ steps that can be undone

    async def _bind(self, undo: AsyncExitStack) -> None:
        """New listeners beside the old ones; where that cannot be, in their place."""
        listeners = self._kernel.listeners
        for old in self._kept.values():
            if old.draining:
                # At once: it might have gone before the rest is ready.
                undo.callback(self._let_go, old)
                listeners.revive(old)
        opened = [interface for interface in self._opened if interface.enabled]
        for old in self._leaving:
            if listeners.has(old) and any(old.collides(new) for new in opened):
                if old.draining:
                    await listeners.end(old)
                    continue
                undo.push_async_callback(_again, listeners.resume, old)
                await listeners.drain(old, REBIND_PATIENCE)
        for new in opened:
            undo.push_async_callback(_again, listeners.end, new)
            await listeners.start(new)
            if new.status is not Status.LISTENING:
                why = new.reason or "its transport does not get ready"
                text = f"cannot listen on {new.bind} port {new.port} ({new.protocol}): {why}"
                problems = self._problem_of(new, text)
                raise ReloadError(f"interface {new.name}: {text}", problems)

    def _problem_of(self, interface: Interface, wrong: str) -> tuple[Problem, ...]:
        """The key that a listener is about which cannot be bound: its address or its port."""
        settings = self._settings
        if interface.name in settings.kernel.interface:
            table: KeyPath = ("interface", interface.name)
        elif interface.name in settings.plugins:
            table = (interface.name,)  # a plugin's own listener
        else:
            return ()
        path = (*table, "bind" if "assign" in interface.reason else "port")
        line, column = settings.document.position(path) or (None, None)
        return (Problem(str(settings.path), line, column, dotted(path), wrong),)

    async def _serve(self, undo: AsyncExitStack) -> None:
        """The services of plugins that go end, those of plugins that come begin."""
        kernel = self._kernel
        services = kernel.running_services
        mine, theirs = kernel.hooks.plugins(), self._hooks.plugins()
        gone = {name for name in mine if theirs.get(name) is not mine[name]}
        if not services.running:
            return  # they are asked for their services when the process gets there
        for name in gone:
            old = [given for given in kernel.hooks.services() if given.plugin == name]
            undo.push_async_callback(_again, services.start, old)
            await services.end(name)
        for name in self.plan.rebuild:
            try:
                self._hooks.take_over(name, mine[name])
            except SipxError as error:
                raise ReloadError(str(error)) from error
        come = [given for given in self._hooks.services() if given.plugin in self._new]
        for name in self._new:
            undo.push_async_callback(_again, services.end, name)
        for state in await services.start(come):
            if state.status == "failed":
                raise ReloadError(
                    f"service {state.name} of plugin {state.plugin} failed: {state.error}"
                )
            if state.status == "starting":
                raise ReloadError(
                    f"service {state.name} of plugin {state.plugin} does not get ready"
                )

    @property
    def _new(self) -> tuple[str, ...]:
        return (*self.plan.start, *self.plan.rebuild)

    # ------------------------------------------------------------ the step that cannot fail

    def _commit(self) -> None:
        kernel, settings = self._kernel, self._settings
        config = settings.kernel
        kernel.settings, kernel.config = settings, config
        domains = frozenset(domain.encode() for domain in config.domains)
        proxy = kernel.proxy
        kernel.domains = proxy.domains = proxy.admission.domains = proxy.targets.domains = domains
        self._forget_troubles()
        kernel.hooks.become(self._hooks)
        kernel.proxy.understand(kernel.hooks.option_tags())
        kernel.proxy.discoveries.ask(kernel.hooks.discoveries())
        kernel.certificates.become(self._certificates)
        kernel.proxy.routing.know(kernel.certificates.partners)
        kernel.take_up_limits()
        self._take_up_interfaces()
        kernel.advertising.forget(kernel.hooks.plugins())
        kernel.advertising.apply()
        kernel.flows.forget_accounts({interface.name for interface in kernel.interfaces.all})

    def _forget_troubles(self) -> None:
        """What was wrong with what is not there any more is wrong no more."""
        partners = {partner.name for partner in self._certificates.partners}
        there = {
            "partner": partners,
            "trust": {"[trust]", *partners},
            "certificate": set(self._settings.kernel.certificate),
            "interface": {interface.name for interface in self._wanted if interface.enabled},
        }
        plugins = {"", *self._hooks.plugins()}
        self._kernel.troubles.forget(
            lambda trouble: (
                trouble.owner not in plugins
                or (trouble.kind in there and trouble.name not in there[trouble.kind])
            )
        )

    def _take_up_interfaces(self) -> None:
        kernel = self._kernel
        for new, old in self._kept.items():
            old.take(new)
        going = [old for old in self._leaving if kernel.listeners.has(old)]
        kernel.interfaces.all[:] = [*(self._kept.get(new, new) for new in self._wanted), *going]

    def _close(self) -> None:
        """What nobody wants any more lets its transactions finish."""
        for old in self._leaving:
            if not old.draining:
                self._let_go(old)

    def _let_go(self, old: Interface) -> None:
        kernel = self._kernel
        if kernel.listeners.has(old):
            kernel.listeners.drain_aside(old, kernel.config.service.stop_timeout)


async def _again(undone: Any, *args: Any) -> None:
    """Undoing is not interrupted by what made it necessary, and does not last for ever."""
    with trio.move_on_after(UNDO_PATIENCE, shield=True):
        await undone(*args)


def _plugins(kernel: Kernel, settings: Settings) -> dict[str, object]:
    """The plugins of the new configuration: those whose table is the same stay as they are.

    What a plugin computed from the domains is wrong when these are others; transports, on which
    connections depend, do not ask for them.
    """
    old = kernel.settings
    moved = old.kernel.domains != settings.kernel.domains
    transports = kernel.hooks.bringing("transports")
    kept = {
        name: plugin
        for name, plugin in kernel.hooks.plugins().items()
        if old.plugins.get(name) == settings.plugins.get(name) and (name in transports or not moved)
    }
    made = kernel.registry.make(settings, kernel.handle, kept)
    # What no configuration ever named (the demonstration's observer) keeps its place.
    others = [n for n in kernel.hooks.plugins() if n not in old.plugins]
    first = list(kernel.hooks.plugins())[: len(others)] == others
    unnamed = {name: kernel.hooks.plugins()[name] for name in others}
    return {**unnamed, **made} if first else {**made, **unnamed}


def _ask_everything(hooks: Hooks) -> None:
    """Every plugin gives what it has to give; one that does not is found out now."""
    hooks.transports()
    hooks.discoveries()
    hooks.services()
    hooks.log_handlers()
    hooks.control_methods()
    hooks.console_panels()
    hooks.accounts()
    hooks.option_tags()


def _leaves(path: KeyPath, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, object]]:
    """Every value by its key. A table without keys says nothing."""
    for key, item in values.items():
        if isinstance(item, dict):
            yield from _leaves((*path, key), item)
        else:
            yield (*path, key), item
