"""The control API as plugins call it: from within, without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from sipx.control.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from pydantic import BaseModel

    from sipx.control.methods import Caller, Method
    from sipx.kernel import Kernel


class InsideApi:
    """sipx.plugin.ControlApi of a kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def methods(self) -> Mapping[str, Method]:
        """All methods by name."""
        return self._kernel.api.methods()

    def schema(self) -> dict[str, Any]:
        """All methods with their schemas."""
        return self._kernel.api.schema()

    def events(self, name: str, params: object, caller: Caller) -> AsyncGenerator[BaseModel, None]:
        """The events of a stream."""
        return self._kernel.api.events(name, params, caller)

    async def call(self, name: str, params: object, caller: Caller) -> BaseModel:
        """The result of a method."""
        api, nursery = self._kernel.api, self._kernel.process
        if nursery is None or not api.named(name).changing:
            return await api.call(name, params, caller)
        # A reload may end the service that asks for it. In its task the reload would be cancelled
        # by that, and taken back: nobody could change the settings of a plugin through itself.
        answers: list[BaseModel | ControlError] = []
        ended = trio.Event()

        async def run() -> None:
            try:
                answers.append(await api.call(name, params, caller))
            except ControlError as error:
                answers.append(error)
            finally:
                ended.set()

        nursery.start_soon(run)
        await ended.wait()
        if not answers:
            raise ControlError("not now", "the process ends")
        answer = answers.pop()
        if isinstance(answer, ControlError):
            raise answer
        return answer
