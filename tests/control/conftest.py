"""A control socket with methods of the test's own."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from pydantic import BaseModel, Field

from sipx.control.api import Api
from sipx.control.errors import ControlError
from sipx.control.methods import Caller, Done, Method, changing
from sipx.control.server import serve
from sipx.errors import StartError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


class Word(BaseModel):
    """Parameters."""

    word: str
    times: int = Field(1, ge=1)


class Said(BaseModel):
    """A result."""

    said: str
    user: str = ""


class Limit(BaseModel):
    """How many events."""

    limit: int = 3
    size: int = 1


class Event(BaseModel):
    """One of them."""

    number: int
    text: str = ""


class Ours:
    """Methods of a test."""

    def __init__(self) -> None:
        self.tick = trio.Event()
        self.faults: list[tuple[str, str, Exception]] = []
        self.asked: Callable[[], None] = int

    def methods(self) -> dict[str, Any]:
        """All of them."""
        return {
            "echo": self.echo,
            "plain": self.plain,
            "who": self.who,
            "change": self.change,
            "fail.refused": self.refused,
            "fail.start": self.start,
            "fail.bug": self.bug,
            "fail.lie": self.lie,
            "count": self.count,
            "forever": self.forever,
            "wait": self.wait,
            "broken-stream": self.broken_stream,
            "fail.half": self.half,
            "half-stream": self.half_stream,
        }

    def echo(self, params: Word) -> Said:
        """Say a word again.

        As often as it is wanted.
        """
        return Said(said=params.word * params.times)

    async def plain(self) -> Done:
        """Do nothing."""
        await trio.lowlevel.checkpoint()
        return Done()

    def who(self, caller: Caller) -> Said:
        """Say who asks."""
        self.asked()
        return Said(said=str(caller.pid), user=caller.user)

    @changing
    def change(self, params: Word, caller: Caller) -> Done:
        """Change something."""
        return Done(text=f"{params.word} by {caller.user}")

    def refused(self) -> Done:
        """Say no."""
        raise ControlError("not now", "not now; later")

    def start(self) -> Done:
        """Fail as the machine does."""
        raise StartError("no right")

    def bug(self) -> Done:
        """Fail as a bug does."""
        raise ValueError("secret inner state")

    def lie(self) -> Done:
        """Break its promise."""
        return 5  # type: ignore[return-value]

    async def count(self, params: Limit) -> AsyncIterator[Event]:
        """Count without waiting."""
        for number in range(params.limit):
            yield Event(number=number, text="x" * params.size)

    async def forever(self) -> AsyncIterator[Event]:
        """One event, then silence."""
        yield Event(number=0)
        await trio.sleep_forever()

    async def wait(self) -> Done:
        """Come back when the test says so."""
        await self.tick.wait()
        return Done()

    def half(self) -> Said:
        """Text that nobody can write."""
        return Said.model_construct(said="\ud800")

    async def half_stream(self) -> AsyncIterator[Event]:
        """The same as an event."""
        yield Event.model_construct(number=0, text="\ud800")

    async def broken_stream(self) -> AsyncIterator[Event]:
        """One event, then a bug."""
        yield Event(number=0)
        raise ValueError("secret inner state")


class Raw:
    """A client that speaks bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._waiting = b""

    async def send(self, *values: Any) -> None:
        """Each as a line: bytes as they are, others as JSON."""
        lines = [v if isinstance(v, bytes) else json.dumps(v).encode() for v in values]
        await self.stream.send_all(b"".join(line + b"\n" for line in lines))

    async def next(self, within: float = 10) -> Any:
        """The next line, as JSON; None at the end."""
        with trio.fail_after(within):
            while b"\n" not in self._waiting:
                data = await self.stream.receive_some()
                if not data:
                    return None
                self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        return json.loads(line)

    async def ask(self, method: str, params: Any = None, id_: Any = 1) -> Any:
        """Call a method; its whole answer."""
        request = {"jsonrpc": "2.0", "id": id_, "method": method}
        await self.send(request if params is None else {**request, "params": params})
        return await self.next()


class Running:
    """A server and its methods."""

    def __init__(self, path: Path, ours: Ours, api: Api) -> None:
        self.path = path
        self.ours = ours
        self.api = api
        self.raws: list[Raw] = []

    async def raw(self) -> Raw:
        """A connection."""
        made = Raw(await trio.open_unix_socket(str(self.path)))
        self.raws.append(made)
        return made


@pytest.fixture
def ours() -> Ours:
    return Ours()


@pytest.fixture
def api(ours: Ours) -> Api:
    return Api(ours.methods(), fault=lambda *fault: ours.faults.append(fault))


@pytest.fixture
async def running(
    nursery: trio.Nursery, tmp_path: Path, ours: Ours, api: Api
) -> AsyncIterator[Running]:
    path = tmp_path / "run" / "control.sock"
    await nursery.start(partial(serve, api, path))
    made = Running(path, ours, api)
    yield made
    for raw in made.raws:
        await raw.stream.aclose()


def method(function: Any, name: str = "lab.do", owner: str = "lab") -> Method:
    """A method of a plugin."""
    return Method.of(name, function, owner)
