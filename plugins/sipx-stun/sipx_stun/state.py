"""What is shown of the public address: the section of the status, and ``stun.status``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class SourceShown(_Shown):
    """One address of ours that was asked from. Empty text: not known."""

    bind: str
    """That of the interfaces, "*" or "::" for all of a family."""
    family: int
    """4 or 6."""
    server: str = ""
    """Who was asked last, as it stands in the configuration."""
    local: str = ""
    """The address of this machine that the question went out from."""
    public: str = ""
    """The public address that two runs agree on: the one in use."""
    since: float | None = None
    """Since when it is: seconds since 1970."""
    candidate: str = ""
    """What the last run found in its place, not confirmed yet."""
    nat: str = ""
    """The kind of the NAT in words."""
    mapping: str = ""
    """How it maps (RFC 5780 §4.3)."""
    filtering: str = ""
    """What it lets in (RFC 5780 §4.4)."""
    when: float | None = None
    """When the last run ended: seconds since 1970; None: none has."""
    error: str = ""
    """What was wrong with the last run."""


class AddressFound(_Shown):
    """A public address that came into use."""

    time: float
    """When: seconds since 1970."""
    bind: str
    """Of which interfaces: "*" or "::" for all of a family."""
    public: str
    server: str = ""
    """Who said it last."""


class Runs(_Shown):
    """How often servers were asked for the address, and what came of it."""

    answered: int = 0
    silent: int = 0
    """Runs in which no server gave an address."""


class Bindings(_Shown):
    """STUN requests of others that this proxy has answered."""

    answered: int = 0
    """With the address they came from."""
    refused: int = 0
    """With an error, as they asked for what is not done here."""


class StunState(_Shown):
    """The public address of this machine, as STUN servers see it."""

    servers: tuple[str, ...] = ()
    sources: tuple[SourceShown, ...] = ()
    records: tuple[str, ...] = ()
    """SRV records of our domains that lead elsewhere, a sentence each."""
    runs: Runs = Runs()
    changes: int = 0
    """How often another address came into use in the place of one."""
    history: tuple[AddressFound, ...] = ()
    """The last addresses that came into use, the oldest first."""
    bindings: Bindings = Bindings()
