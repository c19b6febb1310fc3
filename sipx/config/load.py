"""From a file to settings: everything validated, and everything wrong told in one run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from sipx.config.document import Document, dotted
from sipx.config.errors import ConfigError, Problem, did_you_mean
from sipx.config.machine import interface_problems, machine_addresses
from sipx.config.model import KERNEL_KEYS, InterfaceConfig, KernelConfig
from sipx.config.values import kind, show
from sipx.config.wording import Complaint, complaints, is_written
from sipx.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path

    from sipx.plugin import Config
    from sipx.registry import Registry

M = TypeVar("M", bound=BaseModel)
_TOP = ("config_version", "domains", "plugins")
Addresses = Callable[[], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration that can be used. ``plugins`` holds the listed plugins' tables, in order."""

    kernel: KernelConfig
    plugins: Mapping[str, Config]
    document: Document
    path: Path


def load(
    path: Path, registry: Registry, *, addresses: Addresses | None = machine_addresses
) -> Settings:
    """Read and check a configuration file. Raises ConfigError with every problem in it.

    ``addresses`` tells this machine's own; None reads the file without looking at the machine:
    neither addresses nor the files and variables that hold secrets.
    """
    return check(Document.read(path), registry, addresses=addresses)


def check(
    document: Document,
    registry: Registry,
    *,
    addresses: Addresses | None = machine_addresses,
    elsewhere: bool = False,
) -> Settings:
    """Like ``load``, for a document that has been read or made already.

    ``elsewhere`` when a service will use it that has another environment and other rights than
    this process: secrets that cannot be seen from here are no mistake, and come out empty.
    """
    return _Check(document, registry, addresses, elsewhere=elsewhere).settings()


class _Check:
    """One run over a document, gathering problems."""

    def __init__(
        self,
        document: Document,
        registry: Registry,
        addresses: Addresses | None,
        *,
        elsewhere: bool,
    ) -> None:
        self._document = document
        self._registry = registry
        self._addresses = addresses
        self._values = document.values()
        self._problems: list[Problem] = []
        self._context: dict[str, Any] = {
            "kernel": None,
            "base": document.path.absolute().parent,
            "offline": addresses is None,
            "elsewhere": elsewhere,
        }

    def settings(self) -> Settings:
        kernel = self._kernel()
        self._context["kernel"] = kernel
        listed = self._listed(kernel)
        classes, refused = self._registry.examine(listed)
        for problem in refused:
            self._add(
                Complaint(
                    ("plugins", self._values["plugins"].index(problem.name)),
                    problem.wrong,
                    problem.remedy,
                )
            )
        plugins: dict[str, Config] = {}
        for name, cls in classes.items():
            config = self._plugin(name, cls.Config)
            if config is not None:
                plugins[name] = config
        self._unknown_tables(listed)
        if kernel is not None:
            for name, config in plugins.items():
                self._cross_check(name, config, kernel)
        if self._problems or kernel is None:
            raise ConfigError(self._problems)
        return Settings(kernel, plugins, self._document, self._document.path)

    # ------------------------------------------------------------ the kernel's tables

    def _kernel(self) -> KernelConfig | None:
        values = {key: self._values[key] for key in KERNEL_KEYS if key in self._values}
        kernel, found = self._validate(KernelConfig, values)
        for complaint in found:
            self._add(complaint)
        tables = values.get("certificate")
        addresses = None if self._addresses is None else self._addresses()
        wan = values.get("wan")
        certificate = wan.get("certificate") if isinstance(wan, dict) else None
        for path, wrong, remedy in interface_problems(
            kernel.interface if kernel is not None else self._valid_interfaces(),
            frozenset(tables if isinstance(tables, dict) else ()),
            certificate if isinstance(certificate, str) else None,
            addresses,
        ):
            self._add(Complaint(path, wrong, remedy))
        return kernel

    def _valid_interfaces(self) -> dict[str, InterfaceConfig]:
        """The listeners as far as they are right, though the file as a whole is not.

        What is wrong in one has been told; in its place stands a value that hurts no other rule.
        """
        tables = self._values.get("interface")
        valid: dict[str, InterfaceConfig] = {}
        for name, values in tables.items() if isinstance(tables, dict) else ():
            if not isinstance(values, dict):
                continue
            interface, found = self._validate(InterfaceConfig, values)
            if interface is None:
                wrong = {complaint.path[0] for complaint in found if complaint.path}
                rest = {key: value for key, value in values.items() if key not in wrong}
                interface = InterfaceConfig.model_validate({"port": 0, "protocol": "udp", **rest})
            valid[name] = interface
        return valid

    def _listed(self, kernel: KernelConfig | None) -> list[str]:
        if kernel is not None:
            return list(kernel.plugins)
        listed = self._values.get("plugins")
        names = [name for name in listed if isinstance(name, str)] if type(listed) is list else []
        return list(dict.fromkeys(names))

    # ------------------------------------------------------------ the plugins' tables

    def _plugin(self, name: str, model: type[Config]) -> Config | None:
        """The validated table of one plugin; None when it is not right."""
        values = self._values.get(name, {})
        if not isinstance(values, dict):
            self._add(Complaint((name,), f"{show(values)} is {kind(values)}", "allowed: a table"))
            return None
        config, found = self._validate(model, values)
        for complaint in found:
            self._add(_below(name, complaint), self._place_in_list(name))
        return None if found else config

    def _cross_check(self, name: str, config: Config, kernel: KernelConfig) -> None:
        """The rules between a plugin's table and the kernel's: its optional ``problems``."""
        rules = getattr(config, "problems", None)
        if not callable(rules):
            return
        try:
            found = tuple(rules(kernel))
        except Exception as error:
            raise PluginError(
                f"plugin '{name}': problems() of its Config raised {type(error).__name__}: {error}"
            ) from error
        for path, wrong, remedy in found:
            self._add(Complaint((name, *path), wrong, remedy), self._place_in_list(name))

    def _unknown_tables(self, listed: list[str]) -> None:
        installed = {info.name for info in self._registry.installed()}
        for key, value in self._values.items():
            if key in KERNEL_KEYS or key in listed:
                continue
            if key in installed:
                names = ", ".join(f'"{name}"' for name in [*listed, key])
                self._add(
                    Complaint(
                        (key,),
                        f"the plugin '{key}' is installed but not listed in plugins, "
                        "so this table does nothing",
                        f"add it: plugins = [{names}]",
                        at_key=True,
                    )
                )
                continue
            known = [*KERNEL_KEYS, *listed, *sorted(installed - set(listed))]
            table = isinstance(value, dict)
            what = "table" if table else "key"
            hint = did_you_mean(key, known)
            if table and not hint:
                hint = "a plugin's table needs the plugin to be installed and listed in plugins"
            allowed = f"known: {', '.join(sorted(known))}"
            self._add(Complaint((key,), f"unknown {what} '{key}'", allowed, hint, at_key=True))

    # ------------------------------------------------------------ validation and places

    def _validate(self, model: type[M], values: dict[str, Any]) -> tuple[M | None, list[Complaint]]:
        """A valid instance, or what is wrong.

        pydantic is asked twice. As strict JSON no value is taken for another type ("5061" is no
        number, 1 is not true), while text still becomes a path or an address; but there defaults
        that are such objects are refused, so only complaints about what is written count. The
        instance itself comes from the plain values.
        """
        found: list[Complaint] = []
        try:
            as_json = json.dumps(values, default=str)
            model.model_validate_json(as_json, strict=True, context=self._context)
        except ValidationError as error:
            written = [item for item in error.errors() if is_written(model, item, values)]
            found = complaints(model, written, values)
        try:
            instance = model.model_validate(values, context=self._context)
        except ValidationError as error:
            known = {complaint.path for complaint in found}
            more = complaints(model, error.errors(), values)
            return None, found + [item for item in more if item.path not in known]
        return (None, found) if found else (instance, found)

    def _add(self, complaint: Complaint, otherwise: tuple[int, int] | None = None) -> None:
        """A complaint, at its place or at the nearest table around it that has one."""
        path = complaint.path
        place = None if complaint.at_key else self._document.value_position(path)
        for length in range(len(path), 0, -1):
            place = place or self._document.position(path[:length])
        line, column = place or otherwise or (None, None)
        self._problems.append(
            Problem(
                str(self._document.path),
                line,
                column,
                dotted(path),
                complaint.wrong,
                complaint.allowed,
                complaint.hint or self._misplaced(complaint),
            )
        )

    def _place_in_list(self, name: str) -> tuple[int, int] | None:
        """Where a plugin is listed: the place of what its absent table does not say."""
        listed = self._values.get("plugins")
        if type(listed) is not list or name not in listed:
            return None
        return self._document.position(("plugins", listed.index(name)))

    def _misplaced(self, complaint: Complaint) -> str:
        """A top-level key that is written below a table header belongs to that table."""
        key = complaint.path[-1] if complaint.path else ""
        if complaint.wrong.startswith("unknown key") and key in (
            "config_version",
            "domains",
            "plugins",
        ):
            return f"'{key}' belongs at the top of the file, before the first table"
        return ""


def _below(name: str, complaint: Complaint) -> Complaint:
    return Complaint(
        (name, *complaint.path),
        complaint.wrong,
        complaint.allowed,
        complaint.hint,
        complaint.at_key,
    )
