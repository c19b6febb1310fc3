"""What is told in an answer need not stand in the log as well."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def silent(name: str) -> Iterator[None]:
    """Without the lines of one logger that come from this thread; others have theirs written."""
    logger, here = logging.getLogger(name), get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return get_ident() != here

    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)
