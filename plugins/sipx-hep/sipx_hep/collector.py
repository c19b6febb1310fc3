"""The way to the collector: found again for as long as it takes, never waited for by SIP."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from sipx import ResolveError, host_port, parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipx import Proxy
    from sipx_hep.config import HepConfig
    from sipx_hep.outbox import Outbox
    from sipx_hep.packets import Packets

KIND: Final = "collector"
"""What ``sipx status`` calls it among the troubles."""
SLICE: Final = 8
"""Packets that are made before others get their turn."""
PATIENCE: Final = 10.0
"""Seconds for a connection to come about, and for the collector to take what is sent."""
RENEW: Final = 60.0
"""Seconds after which datagrams go where the name leads then."""
CALM: Final = 5.0
"""Seconds without a refusal after which datagrams are believed to arrive."""
FIRST, LONGEST = 1.0, 60.0
"""Seconds between two attempts, doubled each time."""


class Lost(Exception):  # noqa: N818  # an outcome that is expected
    """The collector cannot be reached, and why."""


class Collector:
    """Sends what waits in the outbox; ``state`` is what ``sipx status`` shows."""

    def __init__(self, config: HepConfig, proxy: Proxy, outbox: Outbox, packets: Packets) -> None:
        self._config = config
        self._proxy = proxy
        self._outbox = outbox
        self._packets = packets
        self._pause = FIRST
        self.state = "starting" if config.server else "off"
        self.error = ""
        self._told = float("-inf")
        self.sent = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled. The collector need not be there."""
        task_status.started()
        once = self._datagrams if self._config.protocol == "udp" else self._connection
        try:
            while True:
                try:
                    await once()
                except Lost as lost:
                    self._failed(str(lost))
                    await trio.sleep(self._pause)
                    self._pause = min(2 * self._pause, LONGEST)
        finally:
            self.state = "off"
            self._proxy.note_trouble(KIND, self._config.server, None)

    # ------------------------------------------------------------ datagrams

    async def _datagrams(self) -> None:
        """For as long as the name is not looked up again."""
        (address, *_) = await self._addresses()
        with _connected(address, self._config.address.port) as sock:
            self.state = "sending"
            refused = trio.current_time()
            renew = refused + RENEW
            while True:
                await self._outbox.filled()
                now = trio.current_time()
                if now >= renew:
                    return
                for one in self._outbox.take(SLICE):
                    self.sent += 1
                    why = await _sent(sock, self._packets.of(one))
                    if why:
                        # Of this one, or, if ICMP says it, of the one before.
                        self.sent -= 1
                        self._outbox.lost += 1
                        self._failed(why)
                        refused = now
                if self.error and now - refused >= CALM:
                    self._works("sending")
                await trio.lowlevel.checkpoint()

    # ------------------------------------------------------------ connections

    async def _connection(self) -> None:
        """One connection, from its beginning to its end."""
        stream = await self._connect()
        self._works("connected")
        why = "the connection was ended at the other end"
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_the_end, stream, nursery.cancel_scope)
                why = await self._send_all(stream)
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)
        raise Lost(why)

    async def _send_all(self, stream: trio.abc.Stream) -> str:
        """Send until that fails; why it did."""
        while True:
            await self._outbox.filled()
            batch = self._outbox.take(SLICE)
            done = False
            try:
                with trio.fail_after(PATIENCE):
                    await stream.send_all(b"".join(map(self._packets.of, batch)))
                done = True
            except trio.TooSlowError:
                return f"it took nothing for {PATIENCE:.0f} s"
            except (OSError, trio.BrokenResourceError) as error:
                return words(error)
            finally:
                if done:
                    self.sent += len(batch)
                else:
                    self._outbox.lost += len(batch)

    async def _connect(self) -> trio.abc.Stream:
        config = self._config
        why = ""
        context = await self._context() if config.protocol == "tls" else None
        for address in await self._addresses():
            try:
                with trio.fail_after(PATIENCE):
                    stream = await opened(address, config.address.port)
                    if context is None:
                        return stream
                    return await self._secured(stream, context)
            except trio.TooSlowError:
                why = f"no answer for {PATIENCE:.0f} s"
            except (OSError, trio.BrokenResourceError) as error:
                why = words(error)
        raise Lost(why)

    async def _context(self) -> ssl.SSLContext:
        """Whom to trust, as their file says now: read in a thread, those of the system are many."""
        ca = self._config.ca_file
        try:
            return await trio.to_thread.run_sync(lambda: ssl.create_default_context(cafile=ca))
        except OSError as error:
            raise Lost(f"the authorities of hep.ca cannot be read: {words(error)}") from None

    async def _secured(self, stream: trio.SocketStream, context: ssl.SSLContext) -> trio.abc.Stream:
        secured = trio.SSLStream(
            stream, context, server_hostname=self._config.address.host, https_compatible=True
        )
        try:
            await secured.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secured

    # ------------------------------------------------------------ where, and how it goes

    async def _addresses(self) -> Sequence[str]:
        host = self._config.address.host
        if parse_address(host) is not None:
            return (host,)
        try:
            return await self._proxy.resolver.addresses(host)
        except ResolveError as error:
            raise Lost(str(error)) from None

    def _works(self, state: str) -> None:
        self.state, self.error, self._pause = state, "", FIRST
        self._proxy.note_trouble(KIND, self._config.server, "")

    def _failed(self, why: str) -> None:
        config, now = self._config, trio.current_time()
        # Each datagram may be refused: the same need not be told for each.
        if why == self.error and now < self._told + CALM:
            return
        self.state, self.error, self._told = "unreachable", why, now
        self._proxy.note_trouble(
            KIND,
            config.server,
            f"messages do not arrive there by {config.protocol}: {why}; start what listens there, "
            "or correct hep.server",
        )


async def opened(address: str, port: int) -> trio.SocketStream:
    """A connection. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


def _connected(address: str, port: int) -> socket.socket:
    """A datagram socket that hears what ICMP says. Raises Lost."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect((address, port))
    except OSError as error:
        sock.close()
        raise Lost(f"{host_port(address, port).decode()}: {words(error)}") from None
    return sock


async def _sent(sock: socket.socket, data: bytes) -> str:
    """Send one datagram; what ICMP said of an earlier one, or why this one cannot be sent."""
    why = ""
    for _ in range(2):
        try:
            sock.send(data)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
        except OSError as error:
            why = words(error)
        else:
            break
    return why


async def _until_the_end(stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
    """End the scope when the other end does; collectors say nothing on a connection."""
    with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        while await stream.receive_some(4096):
            pass
    scope.cancel()


def words(error: BaseException) -> str:
    """What an exception says, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not taken: {error.verify_message}"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        # trio puts more before it than people need.
        return os.strerror(error.errno).lower()
    # trio wraps what happened to a stream.
    return words(error.__cause__) if error.__cause__ is not None else str(error)
