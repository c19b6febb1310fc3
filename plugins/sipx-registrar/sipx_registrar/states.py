"""In which states a UC server can be, and by which rules it changes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Health(Enum):
    """What sipx found out about a server."""

    NEVER = "never seen"
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


class Order(Enum):
    """What the operator wants of it."""

    SERVE = "serve"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"


@dataclass(slots=True)
class Rules:
    """What the configuration says of the state machine; ``pings`` whether there are any.

    All servers share one, which a reload changes.
    """

    pings: bool = True
    down_after: int = 3
    up_after: int = 2
    slow_start: float = 30.0
