"""Loops (RFC 5393 §4.2): a request that comes back unchanged; a spiral comes back changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.sip import names
from sipx.sip.parser import read_via

if TYPE_CHECKING:
    from sipx.sip.message import Request


def is_loop(request: Request, own: frozenset[bytes]) -> bool:
    """§4.2.2: a Via of ours with the same hash means a loop, with another a spiral.

    ``own`` are the sent-by values that we write.
    """
    suffix = b"g" + loop_hash(request)
    for value in request.get_list(b"Via"):
        sent_by, branch = read_via(b":" + value)
        if sent_by.key in own and branch.endswith(suffix):
            return True
    return False


def loop_hash(request: Request) -> bytes:
    """RFC 5393 §4.2.1: over all that decides where the request goes, and not the method.

    The keyed hash of this process is enough: only we compare it, with what we wrote ourselves.
    """
    lines, layout = request.lines, request.layout
    routes: object = None
    if layout.route >= 0:
        routes = tuple(lines[i] for i in layout.all(names.ROUTE))
    seed = hash((request.uri, routes, lines[layout.call_id], request.cseq_number))
    return b"%x" % (seed & 0xFFFFFFFFFFFF)
