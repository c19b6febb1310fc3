"""Two people with telephones who talk through the proxy, which tests drive; and a DNS."""

from __future__ import annotations

import threading
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import trio

from sipx.testing import UdpCarrier, UserAgent, running
from sipx.testing.dns import DnsServer, dns_server

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0
HERE = "127.0.0.1"
ALICE, BOB = "sip:alice@partner.example", "sip:bob@example.com"


class People:
    """Alice at partner.example and Bob at example.com, each with a socket of its own.

    Tests are plain functions, because Playwright's API blocks; what a person does is run in the
    thread, and waited for.
    """

    def __init__(self) -> None:
        self.alice = UserAgent(ALICE, UdpCarrier(HERE))
        self.bob = UserAgent(BOB, UdpCarrier(HERE))
        self.dns = DnsServer()
        """What the world's name servers say: nothing until a test loads it."""
        self._token: trio.lowlevel.TrioToken | None = None
        self._end = trio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._live,), name="people")

    def __enter__(self) -> People:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        self._token.run_sync_soon(self._end.set)
        self._thread.join(PATIENCE)

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            for person in (self.alice, self.bob):
                await stack.enter_async_context(running(person))
            self.dns = await stack.enter_async_context(dns_server())
            self._token = trio.lowlevel.current_trio_token()
            self._ready.set()
            await self._end.wait()

    def through(self, proxy: tuple[str, int]) -> None:
        """From now on both send to the proxy."""
        self.alice.proxy = self.bob.proxy = proxy

    def do(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run something in the thread and wait for it."""
        assert self._token is not None
        return trio.from_thread.run(self._in_time, fn, *args, trio_token=self._token)

    @staticmethod
    async def _in_time(fn: Callable[..., Any], *args: Any) -> Any:
        with trio.fail_after(PATIENCE):
            return await fn(*args)

    # ------------------------------------------------------------ what they do

    def message(self, text: str = "hello", to: str = BOB) -> int:
        """Alice writes to somebody; the status of the answer."""
        status: int = self.do(self.alice.message, to, text).status
        return status

    def call(self, to: str = BOB) -> str:
        """A whole call: it rings, is answered, and ended. The Call-ID."""
        call = self.talk(to)
        assert self.do(call.hangup).status == 200
        return call.dialog.call_id.decode()

    def talk(self, to: str = BOB) -> Any:
        """A call that goes on."""
        return self.do(self.alice.call, to)

    def options(self, to: str = BOB) -> int:
        status: int = self.do(self.alice.request, "OPTIONS", to).status
        return status
