"""The typed façade: order of asking, compiled hooks, and results that break the contract."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from sipx import Done, hookspecs
from sipx.errors import PluginError
from sipx.hooks import COMPILED, Hooks
from sipx.plugin import hookimpl


class Named:
    """A transport as far as its name."""

    def __init__(self, name: str) -> None:
        self.name = name


def plugin(**methods) -> object:
    """A plugin with these hooks; functions take ``self`` first."""
    return type("Plugin", (), {name: hookimpl(method) for name, method in methods.items()})()


def hooks_with(**plugins: object) -> Hooks:
    hooks = Hooks(plugins)
    for name, item in plugins.items():
        hooks.register(name, item)
    return hooks


# ---------------------------------------------------------------- compiled hooks


def test_a_hook_that_nobody_implements_is_an_empty_tuple():
    hooks = Hooks()
    assert all(getattr(hooks, hook) == () for hook in COMPILED)
    assert set(hookspecs.HOT) < set(COMPILED)


def test_a_method_of_the_full_signature_is_called_without_anything_between():
    item = plugin(validate_request=lambda self, request, flow: (request, flow))
    (function,) = hooks_with(a=item).validate_request
    assert function == item.validate_request
    assert function("r", "f") == ("r", "f")


@pytest.mark.parametrize(
    ("method", "result"),
    [
        (lambda self: "none", "none"),
        (lambda self, flow: flow, "f"),
        (lambda self, direction, message: (direction, message), ("d", "m")),
        (lambda self, direction, flow, message: direction + flow + message, "dfm"),
        (lambda self, message, flow, direction, extra="x": extra + direction, "xd"),
        (lambda self, message, flow="own": message + flow, "mown"),
    ],
)
def test_fewer_or_reordered_arguments_are_adapted_by_name(method, result):
    hooks = hooks_with(a=plugin(message_traced=method))
    (function,) = hooks.message_traced
    assert function("m", "f", "d") == result
    assert hooks.owner(function) == "a"


def test_the_order_of_asking_is_that_of_the_configuration_not_of_registration():
    hooks = Hooks(["a", "b", "c"])
    for name in "cab":
        hooks.register(name, plugin(flow_opened=lambda self, flow: None))
    assert [hooks.owner(function) for function in hooks.flow_opened] == ["a", "b", "c"]
    assert list(hooks.plugins()) == ["a", "b", "c"]


def test_a_plugin_that_comes_back_has_its_place_again():
    one = plugin(flow_closed=lambda self, flow, reason: 1)
    hooks = hooks_with(a=one, b=plugin(flow_closed=lambda self, flow, reason: 2))
    assert hooks.unregister("a") is one
    assert [f("", "") for f in hooks.flow_closed] == [2]
    assert hooks.implementations() == {"b": ("flow_closed",)}
    hooks.register("a", one)
    assert [f("", "") for f in hooks.flow_closed] == [1, 2]


def test_a_function_of_a_plugin_that_was_replaced_has_its_old_owner_once_more():
    hooks = hooks_with(a=plugin(authenticate_peer=lambda self, flow: None))
    (function,) = hooks.authenticate_peer
    hooks.become(hooks.with_plugins({}))
    assert hooks.owner(function) == "a"
    hooks.become(hooks.with_plugins({}))
    assert hooks.owner(function) == "that was replaced"


def test_who_watches_messages_sees_them_after_a_reload_too():
    def watch(message, flow, direction):
        """The kernel's own trace."""

    hooks = hooks_with(a=plugin(message_traced=lambda self, message, flow, direction: None))
    hooks.watch_messages(watch)
    hooks.become(hooks.with_plugins({}))
    assert hooks.message_traced == (watch,)
    hooks.watch_messages(None)
    hooks.become(hooks.with_plugins({}))
    assert hooks.message_traced == ()


def test_a_plugin_is_asked_once_for_what_lasts_and_again_when_it_is_made_anew():
    asked = []

    def transports(self):
        asked.append(self)
        return []

    hooks = hooks_with(a=plugin(transports=transports))
    one = hooks.plugins()["a"]
    hooks.transports()
    hooks.transports()
    same = hooks.with_plugins({"a": one})
    same.transports()
    assert len(asked) == 1
    hooks.with_plugins({"a": plugin(transports=transports)}).transports()
    assert len(asked) == 2


def test_an_unregistered_plugin_is_not_known():
    hooks = hooks_with(a=plugin(authenticate_peer=lambda self, flow: None))
    hooks.unregister("a")
    with pytest.raises(KeyError):
        hooks.unregister("a")


def test_implementations_are_listed_for_each_plugin():
    hooks = hooks_with(
        a=plugin(services=lambda self: (), validate_request=lambda self: None),
        b=plugin(checks=lambda self: ()),
    )
    assert hooks.implementations() == {"a": ("services", "validate_request"), "b": ("checks",)}


def test_registering_a_name_twice_is_refused():
    hooks = hooks_with(a=plugin(checks=lambda self: ()))
    with pytest.raises(PluginError, match="plugin 'a': is registered already"):
        hooks.register("a", plugin())


@pytest.mark.parametrize(
    "broken",
    [
        plugin(validate_requests=lambda self: None),
        plugin(validate_request=lambda self, peer: None),
    ],
)
def test_a_hook_that_is_not_right_is_refused_and_leaves_no_trace(broken):
    hooks = hooks_with(a=plugin(validate_request=lambda self: 1))
    with pytest.raises(PluginError, match=r"plugin 'b': .*validate_request"):
        hooks.register("b", broken)
    assert list(hooks.plugins()) == ["a"]
    assert len(hooks.validate_request) == 1
    hooks.register("b", plugin(validate_request=lambda self: 2))
    assert [f("", "") for f in hooks.validate_request] == [1, 2]


# ---------------------------------------------------------------- hooks that contribute


def test_contributions_of_all_plugins_come_in_order_with_their_plugin():
    hooks = hooks_with(
        a=plugin(services=lambda self: [print], checks=lambda self: ("c1", "c2")),
        b=plugin(services=lambda self: (len for _ in "x"), commands=lambda self: ["cmd"]),
    )
    assert hooks.services() == (("a", print), ("b", len))
    assert hooks.services()[1].plugin == "b"
    assert [given.item for given in hooks.checks()] == ["c1", "c2"]
    assert hooks.commands() == (("b", "cmd"),)


def test_transports_discoveries_interfaces_and_log_handlers_are_flat():
    handler = logging.NullHandler()
    udp, tcp, dns = Named("udp"), Named("tcp"), Named("dns")
    dns.discover = print
    hooks = hooks_with(
        a=plugin(transports=lambda self: [udp], discoveries=lambda self: [dns]),
        b=plugin(
            transports=lambda self: [tcp],
            log_handlers=lambda self: [handler],
            interfaces=lambda self: ["lan"],
        ),
    )
    assert hooks.transports() == (udp, tcp)
    assert hooks.discoveries() == (dns,)
    assert hooks.owner(print) == "a"
    assert hooks.log_handlers() == (handler,)
    assert hooks.interfaces() == ("lan",)


def test_the_first_plugin_with_a_location_store_wins():
    hooks = hooks_with(
        a=plugin(location_store=lambda self: None),
        b=plugin(location_store=lambda self: "memory"),
        c=plugin(location_store=lambda self: "sqlite"),
    )
    assert hooks.location_store() == "memory"
    assert Hooks().location_store() is None


def test_two_transports_of_one_name_are_refused():
    item = plugin(transports=lambda self: [Named("tcp")])
    hooks = hooks_with(a=item, b=plugin(transports=lambda self: [Named("tcp")]))
    with pytest.raises(PluginError) as caught:
        hooks.transports()
    assert str(caught.value) == (
        "plugins 'a' and 'b' both bring the transport 'tcp'; take one of them out of plugins"
    )


def done() -> Done:
    """A method."""
    return Done()


def test_control_methods_are_joined_and_two_of_one_name_are_refused():
    hooks = hooks_with(
        a=plugin(control_methods=lambda self: {"routes.list": done}),
        b=plugin(control_methods=lambda self: {"flows.list": done}),
    )
    methods = [(method.owner, method.name) for method in hooks.control_methods()]
    assert methods == [("a", "routes.list"), ("b", "flows.list")]
    hooks.register("c", plugin(control_methods=lambda self: {"routes.list": done}))
    with pytest.raises(
        PluginError, match=r"plugins 'a' and 'c' both bring the control method 'routes\.list'"
    ):
        hooks.control_methods()


def test_a_control_method_says_what_it_takes_and_gives():
    hooks = hooks_with(a=plugin(control_methods=lambda self: {"routes.list": lambda: None}))
    with pytest.raises(PluginError, match=r"plugin 'a': control method 'routes\.list': its result"):
        hooks.control_methods()


def test_parts_of_the_status_are_not_asked_for_before_somebody_wants_them():
    hooks = hooks_with(a=plugin(status_sections=fails), b=plugin(status_sections=lambda self: {}))
    first, second = hooks.status_sections()
    assert (first.plugin, second.plugin, second.item()) == ("a", "b", {})


async def coroutine() -> None:
    """What a hook must not return."""


def fails(self):
    raise OSError("no disk")


def fails_later(self):
    yield 1
    raise OSError("no disk")


@pytest.mark.parametrize(
    ("hook", "method", "said"),
    [
        ("services", lambda self: None, "returned None; allowed: a list or tuple, () for nothing"),
        ("checks", lambda self: 5, "returned 5; allowed: a list or tuple, () for nothing"),
        ("transports", lambda self: "udp", "returned 'udp'; allowed: a list or tuple, () for "
         "nothing"),
        ("services", lambda self: coroutine(), "returned a coroutine; allowed: an answer now, "
         "nothing to be awaited"),
        ("location_store", lambda self: coroutine(), "returned a coroutine; allowed: an answer "
         "now, nothing to be awaited"),
        ("control_methods", lambda self: [print], "returned [<built-in function print>]; allowed: "
         "a mapping of names to functions"),
        ("commands", fails, "raised OSError: no disk"),
        ("checks", fails_later, "raised OSError: no disk"),
    ],
)  # fmt: skip
def test_a_result_that_breaks_the_contract_names_plugin_and_hook(hook, method, said):
    hooks = hooks_with(lab=plugin(**{hook: method}))
    with pytest.raises(PluginError) as caught:
        getattr(hooks, hook)()
    assert str(caught.value) == f"plugin 'lab': hook '{hook}' {said}"


def test_a_service_that_was_called_already_is_refused():
    hooks = hooks_with(lab=plugin(services=lambda self: [coroutine()]))
    with pytest.raises(PluginError, match="give the async function itself, without calling it"):
        hooks.services()


def test_hooks_that_are_replaced_are_freed_without_the_collector():
    """It is told to come seldom: what a thousand reloads leave behind must not wait for it."""

    class Plugin:
        @hookimpl
        def validate_request(self, request, flow):
            return None

    gc.disable()
    try:
        hooks = Hooks()
        hooks.register("one", Plugin())
        there = weakref.ref(hooks.plugins()["one"])
        assert there() is not None
        del hooks
        assert there() is None
    finally:
        gc.enable()


# ---------------------------------------------------------------- observers for a while


def test_an_observer_is_asked_behind_the_plugins_and_only_within():
    seen = []
    hooks = hooks_with(lab=plugin(flow_closed=lambda self, flow, reason: seen.append("lab")))
    observer = plugin(
        flow_closed=lambda self, reason: seen.append(reason),
        message_traced=lambda self, message: seen.append(message),
    )
    with hooks.watched("monitor", observer):
        for function in hooks.flow_closed:
            function("flow", "gone")
        assert seen == ["lab", "gone"]
        assert [hooks.owner(function) for function in hooks.message_traced] == ["monitor"]
        assert list(hooks.plugins()) == ["lab"]
        assert "flow_closed" in hooks.implementations()["lab"]
    assert len(hooks.flow_closed) == 1
    assert hooks.message_traced == ()


def test_an_observer_stays_when_the_plugins_change():
    hooks = hooks_with(lab=plugin(flow_opened=lambda self, flow: None))
    observer = plugin(message_traced=lambda self, message: None)
    with hooks.watched("monitor", observer):
        hooks.register("other", plugin(flow_opened=lambda self, flow: None))
        hooks.become(hooks.with_plugins({"lab": hooks.plugins()["lab"]}))
        assert len(hooks.message_traced) == 1
        assert len(hooks.flow_opened) == 1
    assert hooks.message_traced == ()


def test_observers_come_and_go_by_themselves():
    hooks = Hooks()
    first, second = (plugin(message_traced=lambda self, message: None) for _ in range(2))
    with hooks.watched("monitor", first):
        with hooks.watched("monitor", second), hooks.watched("demo", second):
            assert len(hooks.message_traced) == 3
        assert len(hooks.message_traced) == 1
    assert hooks.message_traced == ()


def test_an_observer_leaves_also_when_its_block_fails():
    hooks = Hooks()
    with (
        pytest.raises(RuntimeError),
        hooks.watched("monitor", plugin(flow_opened=lambda self, flow: None)),
    ):
        raise RuntimeError
    assert hooks.flow_opened == ()
