"""The kernel's methods, on a real kernel: what is so, start, stop, reload, and what happens."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import partial

import pytest
import tomlkit
import trio
import trio.testing

from sipx.control.client import Client
from sipx.control.errors import ControlError
from sipx.control.kernel import Event, api_of, described, serve_control
from sipx.control.methods import Caller, Done
from sipx.errors import PluginError
from sipx.plugin import hookimpl
from sipx.reload import Plan
from sipx.status import ProxyStatus

ME = Caller("ada", 1000, 7)


def ask(kernel, name, params=None):
    """Call a method of a kernel."""
    return api_of(kernel).call(name, params, ME)


def edit(kernel, **tables):
    """Change tables of the configuration file of a running kernel."""
    path = kernel.settings.path
    values = tomllib.loads(path.read_text())
    path.write_text(tomlkit.dumps({**values, **tables}))


# ---------------------------------------------------------------- what is so


async def test_the_status_and_its_parts(scene, autojump_clock):
    kernel = (await scene()).kernel
    status = await ask(kernel, "status")
    assert isinstance(status, ProxyStatus)
    assert status.healthy
    assert (await ask(kernel, "interfaces.list")).interfaces == status.interfaces
    assert (await ask(kernel, "plugins.list")).plugins == status.plugins
    assert (await ask(kernel, "certificates.list")).certificates == ()


async def test_plugins_that_are_installed_are_told_without_being_imported(scene, autojump_clock):
    kernel = (await scene()).kernel
    found = {one.name: one for one in (await ask(kernel, "plugins.available")).plugins}
    listed = await ask(kernel, "plugins.list")
    assert {one.name for one in listed.plugins} == {n for n, one in found.items() if one.listed}
    assert all(one.summary for one in listed.plugins)
    assert found["stun"].summary
    assert not found["stun"].listed


async def test_the_hooks_of_plugins_are_listed(scene, autojump_clock):
    kernel = (await scene()).kernel
    found = await ask(kernel, "plugins.list")
    assert "transports" in found.hooks["udp"]
    assert "determine_targets" in found.hooks["testing-peers"]
    assert found.hooks.keys() <= {plugin.name for plugin in found.plugins}


async def test_plugins_are_measured_for_a_moment(scene, nursery, autojump_clock):
    kernel = (await scene()).kernel
    results = []

    async def measure():
        results.append(await ask(kernel, "plugins.measure", {"seconds": 2}))

    for _ in range(4):
        nursery.start_soon(measure)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(ControlError, match="4 others measure"):
        await ask(kernel, "plugins.measure")
    await trio.sleep(3)
    assert [one.seconds for one in results] == [2] * 4
    measured = {(one.plugin, one.hook): one for one in results[0].hooks}
    assert measured["testing-peers", "determine_targets"].calls == 0
    assert measured["testing-peers", "determine_targets"].mean is None
    assert kernel.hooks.measurements == 0


def test_every_method_is_described_without_a_kernel():
    methods = described().methods()
    assert methods.keys() >= {"status", "transactions.show", "flows.show", "reload", "events"}
    assert all(method.help for method in methods.values())
    changing = {name for name, method in methods.items() if method.changing}
    assert changing >= {"service.start", "service.stop", "process.stop", "reload", "log.level"}
    assert not changing & {"status", "reload.plan", "transactions.show", "control.unsubscribe"}
    assert {name for name, method in methods.items() if method.stream} >= {"events", "log.follow"}


# ---------------------------------------------------------------- start and stop


async def test_the_proxy_service_stops_and_starts_while_the_process_stays(scene, autojump_clock):
    kernel = (await scene()).kernel
    assert await ask(kernel, "service.stop") == Done(text="the proxy service has stopped")
    status = await ask(kernel, "status")
    assert (status.service.state, status.healthy) == ("stopped", False)
    assert status.problems[0].remedy
    assert {i.state for i in status.interfaces} == {"off"}
    assert (await ask(kernel, "service.stop")).text == "the proxy service was stopped already"
    assert (await ask(kernel, "service.start")).text == "the proxy service has started"
    assert (await ask(kernel, "status")).healthy
    assert (await ask(kernel, "service.start")).text == "the proxy service runs already"
    assert (await ask(kernel, "service.restart")).text == "the proxy service has started again"
    assert (await ask(kernel, "status")).healthy


async def test_what_is_under_way_may_finish_unless_now(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 180)
    began = trio.current_time()
    await ask(stage.kernel, "service.stop", {"now": True})
    assert trio.current_time() - began < 1


async def test_the_process_ends_after_its_answer(scene, autojump_clock):
    stage = await scene()
    answer = await ask(stage.kernel, "process.stop")
    assert "what is under way has 15 s" in answer.text
    await stage.proxy.ended.wait()
    assert stage.kernel.state == "stopped"


# ---------------------------------------------------------------- reload


async def test_a_reload_takes_up_the_file_and_tells_what_is_different(scene, autojump_clock):
    kernel = (await scene()).kernel
    edit(kernel, limits={"max_transactions": 7})
    plan = await ask(kernel, "reload.plan")
    assert plan == Plan(added=("limits.max_transactions",))
    assert kernel.transactions.limit == 200_000
    assert await ask(kernel, "reload") == plan
    assert kernel.transactions.limit == 7
    assert (await ask(kernel, "status")).service.reload.count == 1


async def test_an_invalid_file_is_refused_with_line_and_key_and_noted(scene, autojump_clock):
    kernel = (await scene()).kernel
    edit(kernel, limits={"max_transactoins": 7})
    for method, failed in (("reload.plan", 0), ("reload", 1)):
        with pytest.raises(ControlError, match="did you mean 'max_transactions'") as caught:
            await ask(kernel, method)
        assert caught.value.kind == "configuration"
        [problem] = caught.value.problems
        assert problem.key == "limits.max_transactoins"
        assert problem.line is not None
        assert problem.file == str(kernel.settings.path)
        assert kernel.reloads.failed == failed
    status = await ask(kernel, "status")
    assert status.healthy
    assert "the configuration before it runs on" in status.problems[0].text


async def test_a_reload_that_cannot_be_done_leaves_everything(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    kernel = proxy.kernel
    before = tomllib.loads(kernel.settings.path.read_text())["interface"]
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        more = {"bind": "127.0.0.1", "port": port, "protocol": "tcp"}
        edit(kernel, interface={**before, "more": more})
        with pytest.raises(ControlError, match="interface more: cannot listen") as caught:
            await ask(kernel, "reload")
    assert caught.value.kind == "reload"
    status = await ask(kernel, "status")
    assert [i.name for i in status.interfaces] == list(before)
    assert status.service.reload.failed == 1


# ---------------------------------------------------------------- what happens


@dataclass(frozen=True)
class Happened:
    """An event of a plugin."""

    what: bytes
    where: tuple[str, ...]


class Watching:
    """Takes the events of a kernel."""

    def __init__(self, kernel, nursery):
        self.found: list[Event] = []
        nursery.start_soon(self._run, kernel)

    async def _run(self, kernel):
        async for event in api_of(kernel).events("events", None, ME):
            self.found.append(event)

    async def told(self):
        """What came since the last time, as (plugin, kind, data)."""
        await trio.testing.wait_all_tasks_blocked()
        found = [(event.plugin, event.kind, event.data) for event in self.found]
        self.found.clear()
        return found


async def test_events_of_plugins_and_of_the_kernel_are_streamed(scene, nursery, autojump_clock):
    kernel = (await scene()).kernel
    watching = Watching(kernel, nursery)
    await trio.testing.wait_all_tasks_blocked()
    kernel.report("lab", Happened(b"a\x1b\xff", ("x",)))
    [(plugin, kind, data)] = await watching.told()
    assert (plugin, kind, data["where"]) == ("lab", "Happened", ["x"])
    assert data["what"] == "a\\x1b\\xff"

    kernel.interfaces.named("udp").failed("gone")
    kernel.interfaces_changed()
    assert await watching.told() == [
        ("", "InterfaceChanged", {"name": "udp", "state": "failed", "reason": "gone"})
    ]
    kernel.interfaces_changed()
    assert await watching.told() == []


async def test_start_stop_and_reloads_are_events(scene, nursery, autojump_clock):
    kernel = (await scene()).kernel
    watching = Watching(kernel, nursery)
    await trio.testing.wait_all_tasks_blocked()
    await kernel.stop_proxy()
    await kernel.start_proxy()
    states = [data["state"] for _, kind, data in await watching.told() if kind == "ProxyChanged"]
    assert states == ["draining", "stopped", "running"]
    edit(kernel, limits={"max_transactions": 7})
    await ask(kernel, "reload")
    assert await watching.told() == [
        ("", "Reloaded", {"changes": ["added: limits.max_transactions"], "error": ""})
    ]
    edit(kernel, limits={"nonsense": 7})
    with pytest.raises(ControlError):
        await ask(kernel, "reload")
    [(_, kind, data)] = await watching.told()
    assert kind == "Reloaded"
    assert "nonsense" in data["error"]


async def test_who_does_not_take_events_loses_the_oldest_and_is_told(scene, autojump_clock):
    kernel = (await scene()).kernel
    events = api_of(kernel).events("events", None, ME)
    kernel.report("lab", "before")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_later, kernel, 1500)
        first = await anext(events)
    assert (first.dropped, first.data) == (500, "500")
    assert (await anext(events)).dropped == 0
    await events.aclose()
    assert len(kernel.watchers) == 1  # that of the test's own proxy


async def _later(kernel, count):
    await trio.testing.wait_all_tasks_blocked()
    for number in range(count):
        kernel.report("lab", str(number))


# ---------------------------------------------------------------- methods of plugins


class Counting:
    """A plugin with a method."""

    def __init__(self):
        self.given = {"counting.read": self.read}

    @hookimpl
    def control_methods(self):
        """One method, or what the test says."""
        return self.given

    def read(self) -> Done:
        """How much was counted."""
        return Done(text="7")

    def bug(self) -> Done:
        """Break."""
        raise ValueError("no")


async def test_methods_of_plugins_come_and_go_with_them(scene, autojump_clock):
    stage = await scene()
    api = api_of(stage.kernel)
    with pytest.raises(ControlError, match="there is no method"):
        await api.call("counting.read", None, ME)
    stage.plug("counting", Counting())
    assert await api.call("counting.read", None, ME) == Done(text="7")
    assert api.methods()["counting.read"].owner == "counting"
    stage.kernel.hooks.unregister("counting")
    with pytest.raises(ControlError, match="there is no method"):
        await api.call("counting.read", None, ME)


async def test_a_bug_of_a_plugin_counts_as_its_fault(scene, autojump_clock):
    stage = await scene()
    stage.forgive()
    plugin = Counting()
    plugin.given["counting.bug"] = plugin.bug
    stage.plug("counting", plugin)
    with pytest.raises(ControlError, match="of the plugin counting failed"):
        await ask(stage.kernel, "counting.bug")
    assert stage.kernel.journal.faults["counting"] == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"counting.read": lambda: None}, "its result has no annotation"),
        ({"status": Counting.read}, "of the form area.verb"),
        ({"control.version": Counting().read}, "is there already: sipx itself brings it"),
    ],
)
async def test_what_a_plugin_gives_wrongly_is_told_at_the_start(scene, autojump_clock, given, said):
    stage = await scene()
    plugin = Counting()
    plugin.given = given
    stage.plug("counting", plugin)
    with pytest.raises(PluginError, match=f"plugin 'counting': .*({said})"):
        api_of(stage.kernel)


# ---------------------------------------------------------------- the socket of a service


async def test_a_service_answers_on_its_socket(sipx_proxy, nursery, tmp_path):
    proxy = await sipx_proxy(service={"control_socket": str(tmp_path / "c.sock")})
    await nursery.start(partial(serve_control, proxy.kernel))

    def work():
        with Client(tmp_path / "c.sock") as client:
            return client.call("status", None, ProxyStatus), client.call_json("control.schema")

    status, schema = await trio.to_thread.run_sync(work)
    assert status.healthy
    assert schema["document"]["openrpc"]


async def test_a_second_service_on_a_socket_runs_without_and_says_how_to_get_one(
    sipx_proxy, nursery, tmp_path
):
    place = {"control_socket": str(tmp_path / "c.sock")}
    first, second = await sipx_proxy(service=place), await sipx_proxy(service=place)
    await nursery.start(partial(serve_control, first.kernel))
    await nursery.start(partial(serve_control, second.kernel))
    assert list(first.kernel.troubles) == []
    [trouble] = second.kernel.troubles
    assert "listens on the control socket" in trouble.text
    assert "service.control_socket" in trouble.text


async def test_an_unknown_group_is_a_trouble_and_the_socket_serves_its_owner(
    sipx_proxy, nursery, tmp_path
):
    place = {"control_socket": str(tmp_path / "c.sock"), "control_group": "no-such-group"}
    proxy = await sipx_proxy(service=place)
    await nursery.start(partial(serve_control, proxy.kernel))
    [trouble] = proxy.kernel.troubles
    assert "there is no group 'no-such-group'" in trouble.text

    def work():
        with Client(tmp_path / "c.sock") as client:
            return client.call_json("control.version")["protocol"]

    assert await trio.to_thread.run_sync(work) == 1
