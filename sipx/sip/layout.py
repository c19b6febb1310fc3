"""Where each header stands: found once for a sequence of names, then remembered.

The programs of one peer write their headers in the same few orders. So the ids of a message's
header lines, as a tuple, lead by one dict look-up to a Layout that knows the index of each
header the proxy reads and has already been checked for duplicates (SEC-04).
"""

from __future__ import annotations

from typing import Final

from sipx.sip import names

_KEPT: Final = 4096


class Layout:
    """The order of the header lines of a message; -1 stands for "not there".

    ``ids[i]`` is the id of header line ``i`` (see sipx.sip.names).
    """

    __slots__ = (
        "_without_top_via",
        "border",
        "call_id",
        "complete",
        "content_length",
        "credentials",
        "cseq",
        "from_",
        "ids",
        "lengths",
        "max_breadth",
        "max_forwards",
        "met",
        "proxy_require",
        "record_route",
        "route",
        "routes",
        "to",
        "twice",
        "via",
        "vias",
    )

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.ids = ids
        self.via = self.find(names.VIA)
        self.vias = ids.count(names.VIA)
        self.from_ = self.find(names.FROM)
        self.to = self.find(names.TO)
        self.call_id = self.find(names.CALL_ID)
        self.cseq = self.find(names.CSEQ)
        self.max_forwards = self.find(names.MAX_FORWARDS)
        self.content_length = self.find(names.CONTENT_LENGTH)
        self.route = self.find(names.ROUTE)
        self.record_route = self.find(names.RECORD_ROUTE)
        self.proxy_require = self.find(names.PROXY_REQUIRE)
        self.met = 0
        """How many messages were read the careful way with this layout."""
        self.lengths = ids.count(names.CONTENT_LENGTH)
        self.routes = ids.count(names.ROUTE) + ids.count(names.RECORD_ROUTE)
        self.twice = next((i for i in names.SINGLETONS if ids.count(i) > 1), 0)
        """A header that stands twice and may not: one of two parsers would believe the other."""
        self.complete = min(self.via, self.from_, self.to, self.call_id, self.cseq) >= 0
        """Whether the headers are there that every message has (RFC 3261 §8.1.1, §8.2.6)."""
        self.max_breadth = self.find(names.MAX_BREADTH)
        self.border = not names.BORDER.isdisjoint(ids)
        """Whether a header stands here that does not cross a border of trust."""
        self.credentials = not names.CREDENTIALS.isdisjoint(ids)
        """Whether there are credentials (RFC 3261 §22), for whomever."""
        self._without_top_via: Layout | None = None

    def find(self, header: int) -> int:
        """The index of the first line of ``header``, -1 when there is none."""
        try:
            return self.ids.index(header)
        except ValueError:
            return -1

    def all(self, header: int) -> list[int]:
        """The indexes of all lines of ``header``, in order."""
        return [i for i, found in enumerate(self.ids) if found == header]

    def without_top_via(self) -> Layout:
        """The layout of the same message after its first Via line has gone."""
        rest = self._without_top_via
        if rest is None:
            rest = self._without_top_via = layout_of(
                self.ids[: self.via] + self.ids[self.via + 1 :]
            )
        return rest


_LAYOUTS: Final[dict[tuple[int, ...], Layout]] = {}


def layout_of(ids: tuple[int, ...]) -> Layout:
    """The Layout for a sequence of header ids."""
    found = _LAYOUTS.get(ids)
    if found is None:
        if len(_LAYOUTS) >= _KEPT:
            _LAYOUTS.clear()
        found = _LAYOUTS[ids] = Layout(ids)
    return found
