"""For ``sipx check``: what would keep the control socket from being there for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.control.place import check_length, group_number
from sipx.errors import StartError
from sipx.plugin import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.config.model import ServiceConfig


def control_findings(service: ServiceConfig) -> Iterator[Finding]:
    """What is wrong with ``service.control_socket`` and ``service.control_group``."""
    if service.control_socket is not None:
        try:
            check_length(service.control_socket)
        except StartError as error:
            text, _, remedy = str(error).partition("; ")
            yield Finding("SIPX-C003", Severity.FAILURE, f"service.control_socket: {text}", remedy)
    _, trouble = group_number(service.control_group)
    if trouble:
        text, _, remedy = trouble.partition("; ")
        yield Finding("SIPX-C004", Severity.WARNING, f"service.control_group: {text}", remedy)
