"""The control method that shows why a request went where it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from sipx import ControlError
from sipx_monitor.traffic.models import FROZEN, CaptureParams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipx_monitor.traffic.store import Store
    from sipx_monitor.traffic.traffic import Traffic
    from sipx_monitor.traffic.transactions import Transaction


class DecisionParams(CaptureParams):
    """Of which request: one of both."""

    seq: int | None = None
    """Any message of its transaction, on either side."""
    transaction: str = ""
    """The id of the transaction, or a branch of one of its Vias."""


class DecisionStep(BaseModel):
    """One step."""

    model_config = FROZEN

    time: float
    """Seconds since 1970."""
    step: str
    """refused, sender, route, served, targets, hops, branch, failover or answer."""
    text: str
    data: dict[str, Any]


class DecisionTrace(BaseModel):
    """All steps of one request, in order."""

    model_config = FROZEN

    transaction: str
    method: str
    steps: tuple[DecisionStep, ...]
    complete: bool
    """Whether it has its final answer."""


class DecisionMethods:
    """``monitor.decision``."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """By name."""
        return {"monitor.decision": self.decision}

    async def decision(self, params: DecisionParams) -> DecisionTrace:
        """Why a request went where it went: the sender and its trust, rules, DNS answers, hops."""
        store = await self._traffic.store(params.capture)
        found = self._find(store, params)
        return DecisionTrace(
            transaction=found.id,
            method=found.method,
            steps=tuple(
                DecisionStep(time=step.wall, step=step.step, text=step.text, data=step.data)
                for step in found.steps
            ),
            complete=found.done,
        )

    def _find(self, store: Store, params: DecisionParams) -> Transaction:
        if (params.seq is None) == (not params.transaction):
            raise ControlError("params", "give either seq or transaction")
        if params.seq is None:
            found = store.transactions.get(params.transaction)
        else:
            message = store.get(params.seq)
            found = None if message is None else message.transaction
        if found is None:
            raise ControlError("not found", "no message of this transaction is kept")
        return found
