"""Another configuration for a running proxy: its plugins and their services."""

import pytest
import trio

from sipx.errors import ReloadError
from sipx.kernel import Kernel
from sipx.plugin import Config, hookimpl

UDP = {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"}
MORE = {"bind": "127.0.0.1", "port": 5070, "protocol": "udp"}


def route(server, **settings):
    return {"server": server, "trusted": True, "protocol": "udp", **settings}


class MemoConfig(Config):
    """[memo]"""

    text: str = "one"
    broken: str = ""


class Memo:
    """Keeps what it is told; its service lasts as long as it does."""

    Config = MemoConfig

    def __init__(self, config, proxy):
        if config.broken == "init":
            raise RuntimeError("cannot be made")
        self.config = config
        self.kept = []
        self.running = 0
        self.starts = 0

    @hookimpl
    def take_over(self, old):
        if self.config.broken == "take_over":
            raise RuntimeError("nothing to take")
        assert old.running == 0
        self.kept = old.kept

    @hookimpl
    def services(self):
        return [self.serve]

    async def serve(self, *, task_status=trio.TASK_STATUS_IGNORED):
        if self.config.broken == "service":
            raise OSError("its port is taken")
        if self.config.broken == "hangs":
            await trio.sleep_forever()
        if self.config.broken == "slow":
            await trio.sleep(5)
        self.running += 1
        self.starts += 1
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self.running -= 1


@pytest.fixture
def memo(install):
    source = "from tests_memo import Memo, MemoConfig\n"
    install("sipx-memo", {"memo": "sipx_memo:Memo"}, sipx_memo=source)
    import sys
    import types

    module = types.ModuleType("tests_memo")
    module.Memo, module.MemoConfig = Memo, MemoConfig
    sys.modules["tests_memo"] = module
    yield
    del sys.modules["tests_memo"]


async def test_troubles_go_with_what_they_are_about(scene, autojump_clock, memo):
    routes = {f"{name}.example": route("127.0.9.9", protocol="tls") for name in "ab"}
    stage = await scene(
        interface={"one": UDP, "two": MORE}, memo={}, **{"static-routes": {"route": routes}}
    )
    kernel = stage.kernel
    for name in routes:
        kernel.troubles.note("partner", name, "refused")
    for name in ("one", "two"):
        kernel.troubles.note("interface", name, "handshakes fail")
    kernel.handle("memo").note_trouble("memo", "its file", "is full")
    del routes["b.example"]
    await stage.proxy.reload(
        interface={"one": UDP},
        memo={"enabled": False},
        **{"static-routes": {"route": routes}},
    )
    assert [(trouble.kind, trouble.name) for trouble in kernel.troubles] == [
        ("partner", "a.example"),
        ("interface", "one"),
    ]


async def test_a_plugin_made_anew_keeps_what_it_takes_over(scene, autojump_clock, memo):
    stage = await scene(memo={"text": "one"})
    old = stage.proxy.plugin("memo")
    old.kept.append("a binding")
    plan = await stage.proxy.reload(memo={"text": "two"})
    new = stage.proxy.plugin("memo")
    assert (plan.rebuild, plan.changed) == (("memo",), ("memo.text",))
    assert new is not old
    assert new.kept == ["a binding"]
    assert (old.running, new.running) == (0, 1)
    assert [state.plugin for state in stage.kernel.services] == ["memo"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("init", "plugin 'memo': cannot be made: RuntimeError: cannot be made"),
        ("take_over", "plugin 'memo': hook 'take_over' raised RuntimeError: nothing to take"),
        ("service", "service serve of plugin memo failed: OSError: its port is taken"),
    ],
)
async def test_a_plugin_that_fails_undoes_the_reload_and_the_old_one_serves_on(
    scene, autojump_clock, memo, broken, why
):
    stage = await scene(interface={"one": UDP}, memo={})
    stage.forgive()
    old = stage.proxy.plugin("memo")
    old.kept.append("a binding")
    with pytest.raises(ReloadError) as failure:
        await stage.proxy.reload(
            interface={"one": UDP, "two": MORE}, memo={"broken": broken}, limits={"body": 10}
        )
    assert str(failure.value) == why
    assert stage.proxy.plugin("memo") is old
    assert (old.running, old.kept) == (1, ["a binding"])
    assert stage.states() == {"one": "listening"}
    assert [state.status for state in stage.kernel.services] == ["running"]
    await stage.passes(stage.raw("home.example"), stage.raw("away.example"))


async def test_a_reload_does_not_wait_for_ever_for_a_service(scene, autojump_clock, memo):
    stage = await scene(memo={})
    old = stage.proxy.plugin("memo")
    with pytest.raises(ReloadError, match=r"service serve of plugin memo does not get ready"):
        await stage.proxy.reload(memo={"broken": "hangs"})
    assert stage.proxy.plugin("memo") is old
    assert old.running == 1
    assert [state.status for state in stage.kernel.services] == ["running"]
    assert stage.kernel.reloads.error == "service serve of plugin memo does not get ready"


async def test_the_end_of_the_process_does_not_wait_for_a_reload(
    scene, nursery, autojump_clock, memo
):
    stage = await scene(interface={"one": UDP}, memo={})
    old = stage.proxy.plugin("memo")
    failed = []

    async def reload():
        with pytest.raises(ReloadError) as failure:
            await stage.proxy.reload(interface={"one": UDP, "two": MORE}, memo={"broken": "hangs"})
        failed.append(str(failure.value))

    nursery.start_soon(reload)
    await trio.sleep(1)
    began = trio.current_time()
    await stage.proxy.stop()
    assert trio.current_time() - began < 1
    assert failed == ["the process is being stopped"]
    assert stage.proxy.plugin("memo") is old


async def test_a_service_that_never_gets_ready_does_not_keep_the_proxy_from_starting(
    scene, autojump_clock, memo
):
    stage = await scene(memo={"broken": "hangs"})
    assert [state.status for state in stage.kernel.services] == ["starting"]
    await stage.passes(stage.raw("home.example"), stage.raw("away.example"))


async def test_the_process_can_be_ended_while_a_service_gets_ready(scene, autojump_clock, memo):
    stage = await scene()
    kernel = Kernel(
        stage.proxy._configured._replace(tables={"memo": {"broken": "hangs"}}).settings(),
        stage.kernel.registry,
    )
    async with trio.open_nursery() as process:
        process.start_soon(kernel.run)
        await trio.sleep(1)
        began = trio.current_time()
        kernel.stop()
    assert trio.current_time() - began < 1


async def test_a_listener_that_has_gone_while_it_was_to_come_back_listens(
    scene, autojump_clock, memo
):
    stage = await scene(interface={"one": UDP, "two": MORE}, memo={})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    await stage.proxy.reload(interface={"two": MORE}, memo={})
    assert stage.states() == {"two": "listening", "one": "draining"}

    async with trio.open_nursery() as nursery:

        async def answer():
            await trio.sleep(1)
            away.answer(request, 200)
            await home.next(200)

        nursery.start_soon(answer)
        await stage.proxy.reload(interface={"one": UDP, "two": MORE}, memo={"broken": "slow"})
    await trio.sleep(20)
    assert stage.states() == {"one": "listening", "two": "listening"}
    assert stage.kernel.listeners.has(stage.kernel.interfaces.named("one"))


async def test_a_listener_that_was_to_come_back_goes_on_going_when_that_fails(
    scene, autojump_clock, memo
):
    stage = await scene(interface={"one": UDP, "two": MORE}, memo={})
    stage.forgive()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    await stage.proxy.reload(interface={"two": MORE}, memo={})
    with pytest.raises(ReloadError):
        await stage.proxy.reload(interface={"one": UDP, "two": MORE}, memo={"broken": "service"})
    assert stage.states() == {"two": "listening", "one": "draining"}
    away.answer(request, 200)
    await home.next(200)
    await trio.sleep(1)
    assert stage.states() == {"two": "listening"}


async def test_a_bug_undoes_a_reload_and_is_told(scene, autojump_clock, memo, monkeypatch):
    stage = await scene(interface={"one": UDP})

    async def broken(self, undo):
        raise KeyError("oops")

    monkeypatch.setattr("sipx.reload.Reload._serve", broken)
    with pytest.raises(ReloadError, match="internal error: KeyError: 'oops'"):
        await stage.proxy.reload(interface={"one": UDP, "two": MORE})
    assert stage.states() == {"one": "listening"}
    assert stage.kernel.reloads.error == "internal error: KeyError: 'oops'"


async def test_a_plugin_is_switched_off_and_on_with_its_services(scene, autojump_clock, memo):
    stage = await scene(memo={})
    old = stage.proxy.plugin("memo")
    plan = await stage.proxy.reload(memo={"enabled": False})
    assert (plan.stop, old.running, stage.kernel.services) == (("memo",), 0, [])
    plan = await stage.proxy.reload(memo={})
    assert (plan.start, stage.proxy.plugin("memo").running) == (("memo",), 1)


async def test_who_asks_to_be_told_is_told_of_what_succeeded_only(scene, autojump_clock, memo):
    stage = await scene(memo={})
    stage.forgive()
    told = []
    stage.kernel.after_reload.append(told.append)
    with pytest.raises(ReloadError):
        await stage.proxy.reload(memo={"broken": "init"})
    plan = await stage.proxy.reload(memo={"text": "two"})
    assert told == [plan]


async def test_a_transport_that_is_made_anew_binds_its_interfaces_anew(sipx_on_loopback, tmp_path):
    proxy = await sipx_on_loopback(udp={})
    peer = await proxy.open_peer("away.example")
    home = await proxy.open_peer("home.example")
    assert (await home.message("sip:bob@away.example", "hello")).status == 200
    plan = await proxy.reload(udp={"max_peers": 7})
    assert (plan.rebuild, plan.rebind) == (("udp",), ("udp",))
    for agent in (home, peer):
        agent.proxy = proxy.place("udp")
    assert (await home.message("sip:bob@away.example", "hello")).status == 200
