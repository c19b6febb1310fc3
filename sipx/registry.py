"""From entry points to plugins: what is installed, what is listed, and what cannot be used.

Nothing that is not listed is ever imported. Every mistake that can be seen on a class is found
here, before a plugin is made: a plugin that starts is one whose hooks will be called.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sipx import hookspecs
from sipx.config.errors import did_you_mean
from sipx.config.model import KERNEL_KEYS
from sipx.errors import PluginError
from sipx.hooks import Hooks
from sipx.plugin import Config, PluginInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sipx.config.load import Settings
    from sipx.plugin import Proxy

GROUP: Final = "sipx"
"""The entry-point group in which a distribution names its plugins."""

RESERVED: Final = KERNEL_KEYS
"""Names that a plugin cannot have: they are the kernel's tables and keys."""

PluginClass = Any
"""A class with ``Config`` and hooks; called with its configuration and a Proxy."""


@dataclass(frozen=True, slots=True)
class PluginProblem:
    """Why a listed plugin cannot be used, and what to do."""

    name: str
    wrong: str
    remedy: str = ""

    def __str__(self) -> str:
        said = f"plugin '{self.name}': {self.wrong}"
        return f"{said}; {self.remedy}" if self.remedy else said


class Registry:
    """The plugins that are installed. ``found`` replaces the entry points of this environment."""

    def __init__(self, found: Iterable[EntryPoint] | None = None) -> None:
        self._given = None if found is None else tuple(found)
        self._classes: dict[str, PluginClass] = {}

    @cached_property
    def _entries(self) -> dict[str, list[EntryPoint]]:
        """Entry points by name; several only where distributions compete for a name."""
        found = entry_points(group=GROUP) if self._given is None else self._given
        entries: dict[str, list[EntryPoint]] = {}
        for entry in found:
            same = entries.setdefault(entry.name, [])
            if all((entry.value, _origin(entry)) != (e.value, _origin(e)) for e in same):
                same.append(entry)
        return entries

    @cached_property
    def _installed(self) -> tuple[PluginInfo, ...]:
        return tuple(
            PluginInfo(name, *_origin(entry))
            for name, entries in sorted(self._entries.items())
            for entry in entries
        )

    def installed(self) -> list[PluginInfo]:
        """All installed plugins by name, without importing them. Files are read once."""
        return list(self._installed)

    def examine(
        self, names: Sequence[str]
    ) -> tuple[dict[str, PluginClass], tuple[PluginProblem, ...]]:
        """Import the classes of the listed plugins, in that order, and tell what is wrong."""
        classes: dict[str, PluginClass] = {}
        problems: list[PluginProblem] = []
        for name in names:
            if name in self._classes:
                classes[name] = self._classes[name]
                continue
            try:
                cls = self._import(name)
            except _Refused as refused:
                problems.append(PluginProblem(name, *refused.args))
                continue
            wrong = [PluginProblem(name, *said) for said in _class_problems(cls)]
            if not wrong:
                classes[name] = self._classes[name] = cls
            problems += wrong
        return classes, tuple(problems)

    def load(self, names: Sequence[str]) -> dict[str, PluginClass]:
        """The classes of the listed plugins. Raises PluginError with everything wrong."""
        classes, problems = self.examine(names)
        if problems:
            raise PluginError("\n".join(map(str, problems)))
        return classes

    def start(self, settings: Settings, proxy_for: Callable[[str], Proxy]) -> Hooks:
        """Make the plugins that are listed and enabled. Raises PluginError.

        Their order in the file is the order in which they are asked.
        """
        hooks = Hooks(settings.plugins)
        for name, plugin in self.make(settings, proxy_for).items():
            hooks.register(name, plugin)
        return hooks

    def make(
        self,
        settings: Settings,
        proxy_for: Callable[[str], Proxy],
        kept: Mapping[str, object] = MappingProxyType({}),
    ) -> dict[str, object]:
        """The plugins that are listed and enabled; those in ``kept`` are not made anew.

        Raises PluginError.
        """
        classes = self.load(list(settings.plugins))
        return {
            name: kept[name]
            if name in kept
            else _made(name, classes[name], config, proxy_for(name))
            for name, config in settings.plugins.items()
            if config.enabled
        }

    def _import(self, name: str) -> PluginClass:
        if name in RESERVED:
            raise _Refused(
                "this name is one of the kernel's own tables and cannot be a plugin's",
                f"reserved: {', '.join(sorted(RESERVED))}",
            )
        entries = self._entries.get(name)
        if not entries:
            raise _Refused("not installed", self._not_installed(name))
        if len(entries) > 1:
            origins = " and ".join(sorted(_origin(entry)[0] for entry in entries))
            raise _Refused(f"{origins} both bring a plugin of this name", "uninstall one of them")
        entry = entries[0]
        try:
            return entry.load()
        except Exception as error:
            raise _Refused(
                f"{entry.value} of {_origin(entry)[0]} cannot be imported: "
                f"{type(error).__name__}: {error}",
                f"repair or reinstall {_origin(entry)[0]}",
            ) from error

    def _not_installed(self, name: str) -> str:
        known = sorted(self._entries)
        have = f"installed: {', '.join(known)}" if known else "no plugin is installed"
        meant = did_you_mean(name, known)
        # What is installed is read once: a process that runs does not see what came later.
        remedy = f"try: pip install sipx-{name}; a sipx that runs has to be started anew for it"
        return f"{have}; {meant or remedy}"


class _Refused(Exception):  # noqa: N818  # carries (wrong, remedy) a few lines up, no further
    """A plugin that does not get as far as being a class."""


def _origin(entry: EntryPoint) -> tuple[str, str]:
    """(distribution, version) that an entry point comes from."""
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("?", "?")


def _made(name: str, cls: PluginClass, config: Config, proxy: Proxy) -> object:
    try:
        plugin: object = cls(config, proxy)
    except Exception as error:
        raise PluginError(
            f"plugin '{name}': cannot be made: {type(error).__name__}: {error}"
        ) from error
    return plugin


# ---------------------------------------------------------------- what can be seen on the class

Said = tuple[str, str]
_OF_SEVERAL: Final = frozenset(
    {
        "transports",
        "interfaces",
        "discoveries",
        "services",
        "log_handlers",
        "commands",
        "checks",
        "console_panels",
    }
)
"""Hooks that give several things, and may be generators."""


def specifications() -> dict[str, tuple[str, ...]]:
    """The hooks there are, with the names of their arguments in order."""
    return {
        name: tuple(inspect.signature(function).parameters)
        for name, function in vars(hookspecs).items()
        if hasattr(function, "sipx_spec")
    }


@dataclass(frozen=True, slots=True)
class Implementation:
    """A method marked with ``@hookimpl``; ``arguments`` leave out ``self``."""

    method: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    arguments: tuple[inspect.Parameter, ...]

    @property
    def hook(self) -> str:
        """The hook that it implements."""
        return self.options.get("specname") or self.method


def hooks_of(cls: type) -> list[Implementation]:
    """The methods of a class that are marked with ``@hookimpl``."""
    found: list[Implementation] = []
    for name in dir(cls):
        method = inspect.getattr_static(cls, name)
        bound = isinstance(method, (staticmethod, classmethod))
        options = getattr(method.__func__ if bound else method, "sipx_impl", None)
        if isinstance(options, dict) and callable(method):
            function = getattr(cls, name)
            arguments = tuple(inspect.signature(function).parameters.values())
            found.append(Implementation(name, function, options, arguments[0 if bound else 1 :]))
    return found


def _class_problems(cls: object) -> Iterator[Said]:
    if not isinstance(cls, type):
        yield f"the entry point leads to {cls!r}, which is no class", "name the plugin's class"
        return
    config = getattr(cls, "Config", None)
    if not (isinstance(config, type) and issubclass(config, Config)):
        wrong = "has no Config" if config is None else "its Config is not a sipx.Config"
        yield (
            f"{cls.__name__} {wrong}" if config is None else f"{cls.__name__}: {wrong}",
            "write: class MyConfig(sipx.Config) for its TOML table, and Config = MyConfig",
        )
    yield from hook_problems(cls)


def hook_problems(cls: type, allowed: Collection[str] = ()) -> Iterator[Said]:
    """What is wrong with the hooks of a class. Without ``allowed`` it may have any."""
    hooks = hooks_of(cls)
    if not hooks:
        yield f"{cls.__name__} has no hook", "mark the methods that are hooks with @hookimpl"
    known = specifications()
    for implementation in hooks:
        if allowed and implementation.hook in known and implementation.hook not in allowed:
            yield f"hook '{implementation.hook}' decides", "who only watches can only observe"
        else:
            yield from _hook_problems(implementation, known)


def _hook_problems(
    implementation: Implementation, known: Mapping[str, tuple[str, ...]]
) -> Iterator[Said]:
    hook, function = implementation.hook, implementation.function
    if hook not in known:
        if not implementation.options.get("optionalhook"):
            meant = did_you_mean(hook, known)
            yield f"there is no hook '{hook}'", meant or f"known: {', '.join(sorted(known))}"
        return
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield (
            f"hook '{hook}' is async def",
            "a hook answers now: return Later(fn) where that is allowed, or bring a service",
        )
        return
    if inspect.isgeneratorfunction(function) and hook not in _OF_SEVERAL:
        yield f"hook '{hook}' is a generator", "return the answer, do not yield it"
    for option in ("wrapper", "hookwrapper", "tryfirst", "trylast"):
        if implementation.options.get(option):
            yield (
                f"hook '{hook}' is marked {option}",
                "the order of plugins in the configuration is the order of asking",
            )
    yield from _argument_problems(implementation, known[hook])


def _argument_problems(implementation: Implementation, allowed: tuple[str, ...]) -> Iterator[Said]:
    hook = implementation.hook
    takes = ", ".join(allowed) or "nothing"
    for parameter in implementation.arguments:
        if parameter.default is not parameter.empty:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield f"hook '{hook}' takes *{parameter.name}", f"allowed: {takes}, each by its name"
        elif parameter.kind is parameter.KEYWORD_ONLY:
            yield (
                f"hook '{hook}' takes '{parameter.name}' by keyword only",
                "hooks are called with positional arguments",
            )
        elif parameter.name not in allowed:
            meant = did_you_mean(parameter.name, allowed)
            remedy = f"allowed: {takes}" + (f"; {meant}" if meant else "")
            yield f"hook '{hook}' has no argument '{parameter.name}'", remedy
