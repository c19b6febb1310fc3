"""What a plugin holds of the kernel, and nothing more."""

from __future__ import annotations

import pytest

from sipx.errors import PluginError
from sipx.plugin import NextHop, SendError, Target, hookimpl
from sipx.sip import Request

PUBLIC = {
    "accounts",
    "config",
    "console_panels",
    "control",
    "domains",
    "flows",
    "in_dialog",
    "location_store",
    "log",
    "note_public_addresses",
    "note_trouble",
    "now",
    "open_flow",
    "random",
    "report",
    "resolver",
    "send_request",
    "state_dir",
    "status",
    "tls",
    "trouble",
    "wall",
    "watch",
}


@pytest.fixture
async def proxy(sipx_proxy):
    return await sipx_proxy(domains=("home.example",))


def handle(proxy):
    return proxy.kernel.handle("lab")


async def test_it_offers_what_the_protocol_names_and_nothing_else(proxy):
    offered = {name for name in dir(handle(proxy)) if not name.startswith("_")}
    assert offered == PUBLIC


async def test_it_shows_the_kernels_own_things(proxy):
    held = handle(proxy)
    assert held.config is proxy.kernel.config
    assert held.domains == frozenset({b"home.example"})
    assert held.flows is proxy.kernel.flows
    assert held.now() <= proxy.kernel.clock()


async def test_each_plugin_has_a_directory_of_its_own(proxy):
    directory = handle(proxy).state_dir
    assert directory.is_dir()
    assert directory.name == "lab"
    assert proxy.kernel.state_directory in directory.parents


async def test_an_event_reaches_those_who_watch_with_the_plugins_name(proxy):
    seen = []
    proxy.kernel.watchers.append(lambda plugin, event: seen.append((plugin, event)))
    handle(proxy).report("news")
    assert seen == [("lab", "news")]


async def test_its_log_lines_carry_the_plugins_name(proxy, caplog):
    with caplog.at_level("INFO", logger="sipx.plugin.lab"):
        handle(proxy).log.info("hello")
    assert [(r.name, r.getMessage()) for r in caplog.records] == [("sipx.plugin.lab", "hello")]


async def test_a_request_of_its_own_is_answered(proxy, autojump_clock):
    peer = proxy.peer("partner.example")
    host, port = peer.place
    request = Request.build(
        b"OPTIONS",
        b"sip:partner.example",
        [(b"From", b"<sip:home.example>;tag=1"), (b"To", b"<sip:partner.example>")],
    )
    target = Target(hops=(NextHop(host, port, "udp"),))
    response = await handle(proxy).send_request(request, target)
    assert response.status == 200
    assert peer.received["OPTIONS"] == 1


async def test_without_an_answer_it_is_told_so(proxy, autojump_clock):
    request = Request.build(
        b"OPTIONS",
        b"sip:nobody.example",
        [(b"From", b"<sip:home.example>;tag=1"), (b"To", b"<sip:nobody.example>")],
    )
    with pytest.raises(SendError) as caught:
        await handle(proxy).send_request(
            request, Target(hops=(NextHop("127.0.1.99", 5060, "udp"),))
        )
    assert caught.value.status == 408


async def test_what_does_not_work_is_noted_until_it_works(proxy):
    held = handle(proxy)
    held.note_trouble("log files", "sipx.log", "no space left")
    [trouble] = proxy.kernel.troubles
    assert (trouble.kind, trouble.name, trouble.text) == ("log files", "sipx.log", "no space left")
    held.note_trouble("log files", "sipx.log", "")
    assert list(proxy.kernel.troubles) == []


async def test_the_wall_clock_is_the_kernels(proxy):
    assert handle(proxy).wall() == pytest.approx(proxy.kernel.wall(), abs=5)


class Watcher:
    """Counts the messages that pass."""

    def __init__(self) -> None:
        self.messages = 0

    @hookimpl
    def message_traced(self, message: object) -> None:
        self.messages += 1


class Judge:
    """No observer: it decides."""

    @hookimpl
    def validate_request(self, request: object) -> None:
        return None

    @hookimpl
    async def flow_opened(self, flow: object) -> None:
        return None


async def test_an_observer_watches_for_as_long_as_it_wants(proxy):
    watcher = Watcher()
    with handle(proxy).watch(watcher):
        assert len(proxy.kernel.hooks.message_traced) == 1
        await proxy.reload(domains=("home.example", "other.example"))
        assert len(proxy.kernel.hooks.message_traced) == 1
    assert proxy.kernel.hooks.message_traced == ()
    assert "lab" not in proxy.kernel.hooks.plugins()


async def test_who_decides_is_no_observer(proxy):
    with pytest.raises(PluginError) as refused, handle(proxy).watch(Judge()):
        pass
    assert str(refused.value).splitlines() == [
        "plugin 'lab': hook 'flow_opened' is async def; a hook answers now: return Later(fn) where "
        "that is allowed, or bring a service",
        "plugin 'lab': hook 'validate_request' decides; who only watches can only observe",
    ]


async def test_panels_are_those_of_all_plugins(proxy):
    assert handle(proxy).console_panels() == {}
