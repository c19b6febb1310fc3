"""What operators want of servers: kept across restarts, in the state directory of the plugin."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from sipx import ControlError
from sipx_registrar.states import Order

if TYPE_CHECKING:
    from pathlib import Path

    from sipx import Proxy


class Orders:
    """Draining and maintenance by the name of the server; whoever is not named serves.

    The file is small, and not there before somebody has wanted something. It is read once, when
    the service begins and nobody waits for it, and written in a thread.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._orders: dict[str, Order] = {}
        self._loaded = False

    def of(self, name: str) -> Order:
        """What is wanted of a server, as far as it has been loaded."""
        return self._orders.get(name, Order.SERVE)

    def load(self) -> None:
        """Read the file, once."""
        if not self._loaded:
            self._orders = self.read()
            self._loaded = True

    async def note(self, name: str, order: Order) -> None:
        """Something else is wanted of a server; it is in the file when this returns.

        Raises ControlError, and then nothing has changed.
        """
        self.load()
        orders: dict[str, Order] = {**self._orders, name: order}
        if order is Order.SERVE:
            del orders[name]
        try:
            await self._save(orders)
        except OSError as error:
            raise ControlError(
                "failed",
                f"{error.filename or 'the state directory'} cannot be written ({error.strerror}), "
                "so a restart would forget this; nothing is changed",
            ) from error
        self._orders = orders

    def _path(self) -> Path:
        return self._proxy.state_dir / "servers.json"

    def read(self) -> dict[str, Order]:
        """What stands in the file; a file that cannot be read is told of, and none."""
        try:
            text = self._path().read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._proxy.log.warning("%s cannot be read: %s", error.filename, error.strerror)
            return {}
        try:
            return {str(name): Order(what) for name, what in json.loads(text).items()}
        except (ValueError, AttributeError):
            self._proxy.log.warning(
                "%s is damaged and not read; all servers serve: `sipx servers drain` and "
                "`disconnect` write it anew",
                self._path(),
            )
            return {}

    async def _save(self, orders: dict[str, Order]) -> None:
        await trio.to_thread.run_sync(self._write, orders)

    def _write(self, orders: dict[str, Order]) -> None:
        path = self._path()
        beside = path.with_suffix(".new")
        text = json.dumps({name: order.value for name, order in sorted(orders.items())}, indent=1)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
                file.write(text + "\n")
                file.flush()
                os.fsync(descriptor)
            beside.replace(path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise
