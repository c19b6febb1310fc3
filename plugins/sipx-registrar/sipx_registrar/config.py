"""The TOML table ``[registrar]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sipx import Config, Duration, refuse


class RegistrarConfig(Config):
    """The TOML table ``[registrar]``: who registers whom, and how UC servers are watched."""

    store: Literal["sqlite", "memory"] = "sqlite"
    """Where registrations live: "sqlite" outlives a restart of sipx, "memory" does not."""
    min_expires: Duration = 60.0
    """A registration for a shorter time is refused (423)."""
    default_expires: Duration = 3600.0
    """How long a registration lasts that does not say it."""
    max_expires: Duration = 86400.0
    """A registration for a longer time is shortened to this."""
    max_bindings: Annotated[int, Field(ge=1, le=1000)] = 10
    """How many places one user can be registered at. Those whose connection has gone make room for
    new ones."""
    register_rate: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """REGISTER requests per second and account; ten times as many may come at once."""
    moved: Literal["refuse", "replace", "both"] = "refuse"
    """When a server registers a user of another live server: "refuse", "replace" it, or "both"."""
    fork: Literal["serial", "parallel"] = "serial"
    """INVITE and MESSAGE go to the places of a user one after the other, or all in "parallel"."""
    partner_users: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """How many different users a partner that is not trusted may ask for in a day; 0: any."""
    ping_interval: Duration = 30.0
    """How often a UC server is asked for signs of life by OPTIONS; 0 asks never."""
    ping_timeout: Duration = 5.0
    """How long the answer to such a question may take."""
    down_after: Annotated[int, Field(ge=1, le=100)] = 3
    """So many questions without an answer, one after the other, and a server is down."""
    up_after: Annotated[int, Field(ge=1, le=100)] = 2
    """So many answers, one after the other, and a server that was down is up again."""
    slow_start: Duration = 30.0
    """How long a server that is up again takes to get back its whole share of the users."""
    retry_after: Duration = 30.0
    """What Retry-After says where a user's server cannot be reached, or a rate is too high."""
    flow_timer: Duration = 120.0
    """Within which time clients that keep their connection alive have to do so (RFC 5626)."""

    @model_validator(mode="after")
    def _in_order(self) -> RegistrarConfig:
        if self.min_expires < 1:
            raise refuse(
                "min_expires is less than a second",
                "one second or more; a client counts in whole seconds",
            )
        if not self.min_expires <= self.default_expires <= self.max_expires:
            raise refuse(
                "min_expires, default_expires and max_expires are not in this order",
                "min_expires is at most default_expires, and that at most max_expires",
            )
        if self.ping_interval and self.ping_timeout > self.ping_interval:
            raise refuse(
                "ping_timeout is longer than ping_interval",
                "at most ping_interval, so that one question ends before the next begins",
            )
        return self
