"""What operators want of servers: kept across restarts, in the state directory of the plugin."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from sipx import ControlError
from sipx_registrar.server import Order

if TYPE_CHECKING:
    from pathlib import Path

    from sipx import Proxy


class Orders:
    """Draining and maintenance by the name of the server; whoever is not named serves.

    The file is read when it is first asked for, and is not there as long as all servers serve.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._orders: dict[str, Order] | None = None

    def of(self, name: str) -> Order:
        """What is wanted of a server."""
        return self._known().get(name, Order.SERVE)

    def note(self, name: str, order: Order) -> None:
        """Something else is wanted of it; it is in the file when this returns.

        Raises ControlError, and then nothing has changed.
        """
        orders = {**self._known(), name: order}
        kept: dict[str, Order] = {
            each: what for each, what in orders.items() if what is not Order.SERVE
        }
        try:
            self._write(kept)
        except OSError as error:
            raise ControlError(
                "internal",
                f"{error.filename or 'the state directory'} cannot be written ({error.strerror}), "
                "so a restart would forget this; nothing is changed",
            ) from error
        self._orders = kept

    def _known(self) -> dict[str, Order]:
        if self._orders is None:
            self._orders = self._read()
        return self._orders

    def _path(self) -> Path:
        return self._proxy.state_dir / "servers.json"

    def _read(self) -> dict[str, Order]:
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
