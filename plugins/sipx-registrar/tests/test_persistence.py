"""What was acknowledged outlives ``kill -9``, restarts and reloads; what the disk does is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sipx_registrar.sqlite import FILE, SqliteStore

from sipx import Accept, Sender, hookimpl
from sipx.testing import RefusedError, TcpCarrier, UserAgent, register, running

from .desk import an_account

PROGRAM = """
import sys, trio
from pathlib import Path
sys.path.insert(0, {tests!r})
from desk import Desk, FakeProxy, CONTACT

async def main():
    desk = Desk(FakeProxy(Path({directory!r})), store="sqlite", register_rate=1000000)
    desk.plugin.writing.store = None
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.plugin.writing.registrations)

        async def one(number):
            later = desk.register(f"sip:+49{{number}}@home.example", CONTACT, call_id=str(number))
            if (await later.fn()).status == 200:
                print(number, flush=True)

        async def client(first):
            for number in range(first, 10**9, 20):
                await one(number)

        for first in range(20):
            nursery.start_soon(client, first)

trio.run(main)
"""


async def test_a_process_that_is_killed_loses_nothing_it_acknowledged(tmp_path):
    program = PROGRAM.format(tests=str(Path(__file__).parent), directory=str(tmp_path))
    acknowledged = []
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged.append(line)
            if len(acknowledged) == 500:
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    numbers = {int(line) for line in acknowledged if line.endswith("\n")}
    assert len(numbers) >= 500
    store = SqliteStore(lambda: tmp_path, pytest.fail)
    await store.open()
    held = {each.aor async for piece in store.load() for each in piece}
    await store.close()
    assert {b"+49%d@home.example" % number for number in numbers} <= held


class OneAccount:
    """Everybody is the account berlin."""

    def __init__(self, proxy):
        self._proxy = proxy
        self.account = an_account()

    @hookimpl
    def accounts(self):
        return [self.account]

    @hookimpl
    def authenticate_request(self, request, flow):
        account = self.account
        flow.account = account.name
        return Accept(
            Sender(account.kind, "berlin", self._proxy.domains, trusted=True, account=account)
        )


def logs_on(proxy):
    proxy.kernel.hooks.register("one", OneAccount(proxy.kernel.handle("one")))


async def test_registrations_outlive_a_restart(sipx_on_loopback, nursery, tmp_path):
    state = {"state_dir": str(tmp_path / "kept")}
    proxy = await sipx_on_loopback(registrar={}, service=state)
    logs_on(proxy)
    berlin = UserAgent("sip:uc@home.example", TcpCarrier("127.0.0.1"), proxy=proxy.place("tcp"))
    async with running(berlin):
        await register(berlin, "sip:alice@home.example", contact="sip:alice@10.0.0.1")
        gone = await register(berlin, "sip:bob@home.example", contact="sip:bob@10.0.0.1")
        await gone.unregister()
        (before,) = proxy.plugin("registrar").bindings.of(b"alice@home.example")
    await proxy.stop()
    again = await sipx_on_loopback(registrar={}, service=state)
    registrar = again.plugin("registrar")
    (after,) = registrar.bindings.of(b"alice@home.example")
    assert (after.contact, after.expires, after.owner) == (
        before.contact, before.expires, "berlin"
    )  # fmt: skip
    assert after.flow is None
    assert len(registrar.bindings) == 1
    assert (tmp_path / "kept" / "plugins" / "registrar" / FILE).stat().st_mode & 0o777 == 0o600


async def test_a_reload_changes_the_store_and_keeps_what_is_registered(
    sipx_on_loopback, nursery, tmp_path
):
    proxy = await sipx_on_loopback(registrar={"store": "memory"})
    logs_on(proxy)
    berlin = UserAgent("sip:uc@home.example", TcpCarrier("127.0.0.1"), proxy=proxy.place("tcp"))
    async with running(berlin):
        alice = await register(berlin, "sip:alice@home.example")
        for store in ("sqlite", "memory", "sqlite"):
            await proxy.reload(registrar={"store": store})
            registrar = proxy.plugin("registrar")
            assert registrar.writing.store is registrar.store
            assert registrar.store.name == store
            assert len(await alice.query()) == 1
            await alice.refresh()
        held = [each.aor async for piece in registrar.store.load() for each in piece]
        assert held == [b"alice@home.example"]
        (binding,) = registrar.bindings.of(b"alice@home.example")
        assert binding.flow is not None
        assert binding.flow.account_until > proxy.kernel.clock()


async def test_a_damaged_file_costs_the_registrations_and_not_the_proxy(
    sipx_on_loopback, nursery, tmp_path, caplog
):
    folder = tmp_path / "kept" / "plugins" / "registrar"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"no database" * 1000)
    state = {"state_dir": str(tmp_path / "kept")}
    proxy = await sipx_on_loopback(registrar={}, service=state)
    logs_on(proxy)
    berlin = UserAgent("sip:uc@home.example", TcpCarrier("127.0.0.1"), proxy=proxy.place("tcp"))
    async with running(berlin):
        await register(berlin, "sip:alice@home.example")
    (trouble,) = proxy.kernel.troubles
    assert (trouble.kind, trouble.name) == ("store", "damaged file")
    assert "registrations are lost" in trouble.text
    assert any(each.levelname == "ERROR" for each in caplog.records)
    assert len(list(folder.glob(FILE + ".damaged-*"))) == 1


async def test_a_full_disk_refuses_what_is_new_and_keeps_what_is_there(
    sipx_on_loopback, nursery, tmp_path
):
    proxy = await sipx_on_loopback(registrar={})
    logs_on(proxy)
    berlin = UserAgent("sip:uc@home.example", TcpCarrier("127.0.0.1"), proxy=proxy.place("tcp"))
    async with running(berlin):
        alice = await register(berlin, "sip:alice@home.example")
        registrar = proxy.plugin("registrar")
        limit = registrar.store._connection.execute
        (pages,) = limit("PRAGMA page_count").fetchone()
        limit(f"PRAGMA max_page_count = {pages}")
        statuses = []
        for number in range(200):
            try:
                await register(berlin, f"sip:+49{number:0>200}@home.example")
            except RefusedError as refused:
                statuses.append(refused.response.status)
                break
        assert statuses == [500]
        assert "full" in proxy.kernel.troubles.of("store", "registrations").text
        assert len(await alice.query()) == 1
        limit(f"PRAGMA max_page_count = {pages + 1000}")
        await register(berlin, "sip:+49@home.example")
        assert proxy.kernel.troubles.of("store", "registrations") is None
