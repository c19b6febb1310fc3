"""What forms for a configuration are made from: ``config.schema`` and ``interfaces.available``."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import trio
from pydantic import BaseModel, ConfigDict, JsonValue

from sipx.addresses import is_private
from sipx.config.machine import device_addresses
from sipx.config.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.kernel import Kernel


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class AvailableAddress(_Frozen):
    """An address of this machine, which a listener can be bound to."""

    device: str
    """The network device."""
    address: str
    up: bool
    """Whether the device is up."""
    private: bool
    """Whether it cannot be reached from the internet: RFC 1918 and its like, loopback."""
    loopback: bool
    link_local: bool
    """Whether it is good on its own link only."""


class AvailableAddresses(_Frozen):
    """All addresses of this machine, as the system lists its devices."""

    addresses: tuple[AvailableAddress, ...]


class SchemaParams(_Frozen):
    """Whose tables."""

    installed: bool = False
    """Also of the plugins that are installed and not listed: they are imported for it."""


class ConfigurationSchema(_Frozen):
    """What may stand in the file."""

    document: dict[str, JsonValue]
    """A JSON schema. ``x-sipx`` of a key: ``widget`` (certificate, interface, address, file,
    domain, secret, duration, size) and ``applies`` (rebind, restart; live without it)."""
    problems: tuple[str, ...]
    """Why the table of a plugin is not in it, a line for each."""


class FormMethods:
    """The methods. ``kernel`` is the one whose file it is."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name, for the Api."""
        return {"interfaces.available": self.available, "config.schema": self.schema}

    async def available(self) -> AvailableAddresses:
        """The addresses of this machine that an interface can be bound to."""
        found = await trio.to_thread.run_sync(device_addresses)
        return AvailableAddresses(
            addresses=tuple(
                AvailableAddress(
                    device=one.device,
                    address=one.address,
                    up=one.up,
                    private=is_private(one.address),
                    loopback=ip_address(one.address).is_loopback,
                    link_local=ip_address(one.address).is_link_local,
                )
                for one in found
            )
        )

    async def schema(self, params: SchemaParams) -> ConfigurationSchema:
        """A JSON schema of the whole file: types, defaults, what each key means."""
        return await trio.to_thread.run_sync(self._schema, params.installed)

    def _schema(self, installed: bool) -> ConfigurationSchema:
        registry = self._kernel.registry
        names = list(self._kernel.settings.plugins)
        if installed:
            names += [info.name for info in registry.installed() if info.name not in names]
        classes, problems = registry.examine(list(dict.fromkeys(names)))
        return ConfigurationSchema(
            document=json_schema(classes), problems=tuple(str(problem) for problem in problems)
        )
