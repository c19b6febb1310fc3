"""Lines of what passes now: made once, and written down once, for all who follow it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipx_monitor.traffic.message import Message
    from sipx_monitor.traffic.models import MessageSummary
    from sipx_monitor.traffic.showing import Shower

MOST: Final = 1000
"""Lines that are kept: what passes while two who follow are served one behind the other."""

State = tuple[int, str, str, str, bool | None]
"""What may become another thing after a message was read."""


class Lines:
    """The newest ones, as they are for those who see bodies and for viewers."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, bool], tuple[State, MessageSummary]] = OrderedDict()

    def line(self, shower: Shower, message: Message, *, viewer: bool) -> MessageSummary:
        """The line of a message as it is now."""
        key = (message.seq, viewer)
        state = (message.twin, message.peer, message.marked, message.note, message.trusted)
        known = self._made.get(key)
        if known is None or known[0] != state:
            known = self._made[key] = state, shower.summary(message, viewer=viewer)
            if len(self._made) > MOST:
                # One by one: to forget them all at once would take milliseconds.
                self._made.popitem(last=False)
        return known[1]
