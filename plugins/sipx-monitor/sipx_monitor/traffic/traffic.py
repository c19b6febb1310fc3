"""The traffic of the proxy: recorded, searched, shown. What the rest of the plugin uses of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from sipx import ControlError
from sipx_monitor.traffic.captures.opened import Captures
from sipx_monitor.traffic.filters import FilterError, compile_filter
from sipx_monitor.traffic.live import Live
from sipx_monitor.traffic.rotation import CaptureFile
from sipx_monitor.traffic.showing import Shower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from sipx import Caller, Proxy
    from sipx_monitor.traffic.live import Recorded
    from sipx_monitor.traffic.message import Message
    from sipx_monitor.traffic.store import Store

    Wanted = Callable[[Message], bool]


class Traffic:
    """Everything about messages. ``run`` is the service that records; nothing else has to run."""

    def __init__(self, config: Recorded, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self.live = Live(config, proxy)
        self.captures = Captures()

    @property
    def shower(self) -> Shower:
        """What shows messages now: the domains served may change."""
        return Shower(self._proxy.domains, self._config.capture_bodies)

    def take_over(self, other: Traffic) -> None:
        """Go on with the recording, and the captures, of a plugin that is replaced."""
        self.live = other.live
        self.captures = other.captures

    def watching(self) -> AbstractContextManager[None]:
        """Somebody watches: messages are recorded, and for a few seconds more."""
        return self.live.watching()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record whenever it is wanted, until cancelled."""
        config, live = self._config, self.live
        live.configure(config)
        live.on_message.clear()
        async with trio.open_nursery() as nursery:
            if config.pcap_file is not None:
                file = CaptureFile(
                    config.pcap_file, config.pcap_size, config.pcap_keep, self._proxy
                )
                live.on_message.append(file.add)
                nursery.start_soon(file.run)
            await live.run(task_status=task_status)

    def filter(self, text: str, *, bodies: bool = True) -> Wanted:
        """What tells whether a message is wanted. Raises FilterError."""
        return compile_filter(text, bodies=bodies, now=self._proxy.wall)

    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """The methods ``monitor.*``, by name."""
        from sipx_monitor.traffic.captures.methods import CaptureMethods
        from sipx_monitor.traffic.comparing import CompareMethods
        from sipx_monitor.traffic.deciding import DecisionMethods
        from sipx_monitor.traffic.exporting import ExportMethods
        from sipx_monitor.traffic.filtering import FilterMethods
        from sipx_monitor.traffic.methods import MessageMethods
        from sipx_monitor.traffic.recording import RecordingMethods

        return {
            **MessageMethods(self).methods(),
            **CompareMethods(self).methods(),
            **DecisionMethods(self).methods(),
            **ExportMethods(self).methods(),
            **CaptureMethods(self).methods(),
            **FilterMethods(self).methods(),
            **RecordingMethods(self).methods(),
        }

    # ------------------------------------------------------------ what the methods share

    async def store(self, capture: str) -> Store:
        """The messages of what passes now, up to date, or of a capture. Raises ControlError."""
        if capture:
            return self.captures.get(capture).store
        await self.live.settle()
        return self.live.store

    async def message(self, capture: str, seq: int) -> Message:
        """One message. Raises ControlError."""
        store = await self.store(capture)
        found = store.get(seq)
        if found is None:
            raise ControlError("not found", _missing(store, seq))
        return found

    def wanted(self, text: str, caller: Caller) -> Wanted:
        """A filter that somebody gave. Raises ControlError."""
        with wrong_filters():
            return self.filter(text, bodies=sees_bodies(caller))


@contextmanager
def wrong_filters() -> Iterator[None]:
    """A filter that is wrong, or takes too long, is a wrong parameter."""
    try:
        yield
    except FilterError as error:
        raise ControlError("params", f"filter: {error}") from None


def sees_bodies(caller: Caller) -> bool:
    """Whether bodies are shown: not to viewers."""
    return caller.may("operator")


def _missing(store: Store, seq: int) -> str:
    if not len(store):
        return f"message {seq} is not kept; nothing is"
    return f"message {seq} is not kept; those from {store.first} to {store.last} are"
