"""Another configuration for a running proxy: what stays, what is made anew, and what is undone."""

import errno
import math

import pytest
import trio

from sipx.config import ConfigError
from sipx.errors import ReloadError
from sipx.interfaces import Status
from sipx.reasons import Refusal
from sipx.reload import Plan
from sipx.testing import Authority
from sipx.testing.memory import MemoryUdp

UDP = {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"}
MORE = {"bind": "127.0.0.1", "port": 5070, "protocol": "udp"}
TCP = {"bind": "127.0.0.1", "port": 5060, "protocol": "tcp"}


def route(server, **settings):
    return {"server": server, "trusted": True, "protocol": "udp", **settings}


# ---------------------------------------------------------------- what stays


async def test_nothing_changed_is_an_empty_plan_and_everything_stays(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    await stage.passes(home, away)
    flows, plugins = list(stage.kernel.flows), stage.kernel.hooks.plugins()
    plan = await stage.proxy.reload()
    assert plan.empty
    assert plan.lines() == []
    assert list(stage.kernel.flows) == flows
    assert stage.kernel.hooks.plugins() == plugins
    await stage.passes(home, away)
    assert (stage.kernel.reloads.count, stage.kernel.reloads.failed) == (1, 0)
    assert stage.kernel.reloads.error == ""
    assert stage.kernel.reloads.last == stage.kernel.reloads.last_success == stage.kernel.wall()


async def test_an_interface_is_added_beside_the_others_and_taken_away_again(scene, autojump_clock):
    stage = await scene(interface={"one": UDP})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    await stage.passes(home, away)
    flows = list(stage.kernel.flows)
    plan = await stage.proxy.reload(interface={"one": UDP, "two": MORE})
    assert plan.listen == ("two",)
    assert plan.added == tuple(f"interface.two.{key}" for key in ("bind", "port", "protocol"))
    assert stage.states() == {"one": "listening", "two": "listening"}
    assert (b"127.0.0.1", 5070) in stage.kernel.interfaces.own
    assert list(stage.kernel.flows) == flows
    plan = await stage.proxy.reload(interface={"one": UDP})
    assert plan.close == ("two",)
    await trio.sleep(0.1)
    assert stage.states() == {"one": "listening"}
    assert (b"127.0.0.1", 5070) not in stage.kernel.interfaces.own
    assert list(stage.kernel.flows) == flows
    await stage.proxy.reload(limits={"body": 4096})
    assert set(stage.kernel.flows.traffic()) == {"one"}
    await stage.passes(home, away)


async def test_transactions_go_on_over_a_reload(scene, autojump_clock):
    stage = await scene(interface={"one": UDP, "two": MORE})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    await stage.proxy.reload(
        domains=["home.example", "more.example"], interface={"one": UDP}, limits={"body": 4096}
    )
    away.answer(request, 200)
    await home.next(200)


async def test_the_domains_that_are_served_change(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    guest = stage.raw("guest.example")
    guest.ask("MESSAGE", "sip:alice@new.example")
    await guest.next(403)  # a relay: neither end is ours
    stage.raw("new.example")
    plan = await stage.proxy.reload(domains=["home.example", "new.example"])
    assert plan.changed == ("domains",)
    assert "testing-peers" in plan.rebuild
    assert stage.kernel.proxy.domains == {b"home.example", b"new.example"}
    guest.ask("MESSAGE", "sip:alice@home.example")
    home.answer(await home.next("MESSAGE"), 200)
    await guest.next(200)


async def test_limits_hold_at_once(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    away = stage.raw("away.example")
    await stage.proxy.reload(limits={"body": 10})
    home.ask("MESSAGE", "sip:bob@away.example", body="x" * 11)
    await home.next(513)
    await stage.proxy.reload(limits={"body": 20})
    home.ask("MESSAGE", "sip:bob@away.example", body="x" * 11)
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)


async def test_keys_of_the_process_itself_wait_for_its_next_start(scene, autojump_clock, tmp_path):
    stage = await scene()
    plan = await stage.proxy.reload(service={"control_socket": str(tmp_path / "other.sock")})
    assert plan.restart == ("service.control_socket",)
    assert plan.lines()[-1] == "only at the next start of the process: service.control_socket"


# ---------------------------------------------------------------- routes


async def test_routes_come_change_and_go_without_touching_the_others(scene, autojump_clock):
    stage = await scene(interface={"one": UDP}, **{"static-routes": {"route": {}}})
    home = stage.raw("home.example")
    away = stage.raw("away.example", routed=False)
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(403)
    plan = await stage.proxy.reload(
        **{"static-routes": {"route": {"away.example": route(away.place[0])}}}
    )
    assert plan.rebuild == ("static-routes",)
    assert plan.added[0] == 'static-routes.route."away.example".server'
    await stage.passes(home, away)
    elsewhere = stage.raw("elsewhere.example", routed=False)
    await stage.proxy.reload(
        **{"static-routes": {"route": {"away.example": route(elsewhere.place[0])}}}
    )
    await stage.passes(home, elsewhere)
    plan = await stage.proxy.reload(**{"static-routes": {"enabled": False, "route": {}}})
    assert plan.stop == ("static-routes",)
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(403)


async def test_what_names_resolved_to_is_known_to_the_new_routes(scene, autojump_clock):
    def routes(trusted):
        return {"route": {"away.example": route("sip.away.example", trusted=trusted)}}

    silent = {"servers": ["127.0.0.1:1"]}  # a name server that is not there proves nothing
    stage = await scene(dns=silent, **{"static-routes": routes(trusted=True)})
    stage.proxy.plugin("static-routes").table.learn("sip.away.example", ["127.0.9.9"])
    await stage.proxy.reload(**{"static-routes": routes(trusted=False)})
    table = stage.proxy.plugin("static-routes").table
    assert [row.route.trusted for row in table.from_source("udp", "127.0.9.9")] == [False]


# ---------------------------------------------------------------- listeners that go


async def test_a_listener_that_goes_takes_nothing_new_and_finishes_what_it_has(
    scene, autojump_clock
):
    stage = await scene(interface={"one": UDP, "two": MORE})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    plan = await stage.proxy.reload(interface={"two": MORE})
    assert plan.close == ("one",)
    await trio.sleep(0)
    assert stage.states() == {"two": "listening", "one": "draining"}
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(503)
    away.answer(request, 200)
    await home.next(200)
    await trio.sleep(0.1)
    assert stage.states() == {"two": "listening"}


async def test_a_listener_that_goes_waits_for_the_stop_timeout_at_most(scene, autojump_clock):
    stage = await scene(interface={"one": UDP, "two": MORE}, service={"stop_timeout": "3s"})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 180)
    await stage.proxy.reload(interface={"two": MORE})
    await trio.sleep(2.5)
    assert "one" in stage.states()
    await trio.sleep(1)
    assert "one" not in stage.states()


async def test_a_listener_that_comes_back_while_it_drains_goes_on(scene, autojump_clock):
    stage = await scene(interface={"one": UDP, "two": MORE})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    one = stage.kernel.interfaces.named("one")
    await stage.proxy.reload(interface={"two": MORE})
    plan = await stage.proxy.reload(interface={"one": UDP, "two": MORE})
    assert plan.listen == plan.rebind == ()
    assert stage.kernel.interfaces.named("one") is one
    away.answer(request, 200)
    await home.next(200)
    await trio.sleep(20)
    assert stage.states() == {"one": "listening", "two": "listening"}
    await stage.passes(home, away)


async def test_a_listener_that_replaced_one_that_still_drains_is_not_touched(scene, autojump_clock):
    stage = await scene(interface={"one": UDP})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 180)
    moved = {"one": {**UDP, "port": 5080}}
    await stage.proxy.reload(interface=moved)
    new = stage.kernel.interfaces.named("one")
    assert [(i.port, i.state) for i in stage.kernel.interfaces.all] == [
        (5080, "listening"),
        (5060, "draining"),
    ]
    plan = await stage.proxy.reload(interface=moved, limits={"body": 4096})
    assert (plan.listen, plan.rebind, plan.close) == ((), (), ())
    assert stage.kernel.interfaces.named("one") is new
    assert stage.kernel.listeners.has(new)
    # Back to the first port: the one that drains goes on, and the other one may go.
    plan = await stage.proxy.reload(interface={"one": UDP})
    assert stage.kernel.interfaces.named("one").port == 5060
    await trio.sleep(1)
    assert [(i.port, i.state) for i in stage.kernel.interfaces.all] == [(5060, "listening")]


async def test_a_rebind_that_is_given_up_in_the_middle_leaves_the_old_listener(
    scene, autojump_clock
):
    stage = await scene(interface={"one": UDP, "two": MORE})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    old = stage.kernel.interfaces.named("one")
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    away.answer(invite, 180)
    with trio.move_on_after(1):
        await stage.proxy.reload(interface={"one": {**UDP, "role": "lan"}, "two": MORE})
    assert stage.kernel.interfaces.named("one") is old
    assert stage.states() == {"one": "listening", "two": "listening"}
    await trio.sleep(30)
    assert stage.states() == {"one": "listening", "two": "listening"}
    await stage.passes(home, away)


async def test_a_listener_that_was_going_when_the_service_stopped_does_not_come_back(
    scene, autojump_clock
):
    stage = await scene(interface={"one": UDP, "two": MORE})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 180)
    await stage.proxy.reload(interface={"two": MORE})
    assert stage.states() == {"two": "listening", "one": "draining"}
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(503)
    assert stage.kernel.journal.refused_for == {Refusal.STOPPING: 1}
    await stage.kernel.stop_proxy(now=True)
    await stage.kernel.start_proxy()
    assert stage.states() == {"two": "listening"}


async def test_another_port_is_bound_before_the_old_one_is_closed(scene, autojump_clock):
    stage = await scene(interface={"one": UDP})
    plan = await stage.proxy.reload(interface={"one": {**UDP, "port": 5080}})
    assert plan.rebind == ("one",)
    await trio.sleep(0.1)
    assert stage.proxy.place("one") == ("127.0.0.1", 5080)
    assert stage.states() == {"one": "listening"}


async def test_the_same_port_with_another_role_is_bound_in_place_of_the_old_one(
    scene, autojump_clock
):
    stage = await scene(interface={"one": UDP, "two": MORE})
    before = stage.kernel.interfaces.named("one")
    plan = await stage.proxy.reload(interface={"one": {**UDP, "role": "lan"}, "two": MORE})
    assert plan.rebind == ("one",)
    after = stage.kernel.interfaces.named("one")
    assert after is not before
    assert (after.role, after.state, before.state) == ("lan", "listening", "off")
    await stage.passes(stage.raw("home.example"), stage.raw("away.example"))


async def test_an_interface_is_switched_off_and_on(scene, autojump_clock):
    stage = await scene(interface={"one": UDP, "two": MORE})
    await stage.proxy.reload(interface={"one": UDP, "two": {**MORE, "enabled": False}})
    await trio.sleep(0.1)
    assert stage.states() == {"one": "listening", "two": "off"}
    plan = await stage.proxy.reload(interface={"one": UDP, "two": MORE})
    assert plan.listen == ("two",)
    assert stage.states() == {"one": "listening", "two": "listening"}


async def test_a_listener_that_never_came_up_can_be_taken_away(scene, autojump_clock, monkeypatch):
    fail_to_listen(monkeypatch, "two")
    stage = await scene(interface={"one": UDP, "two": MORE})
    assert stage.states()["two"] == "failed"
    plan = await stage.proxy.reload(interface={"one": UDP})
    await trio.sleep(0.1)
    assert plan.close == ("two",)
    assert stage.states() == {"one": "listening"}


async def test_the_public_address_changes_for_flows_that_are_open(scene, autojump_clock):
    stage = await scene(interface={"one": UDP})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    await stage.passes(home, away)
    wan = {"use_public_address": True, "public_address": "192.0.2.77"}
    plan = await stage.proxy.reload(wan=wan)
    assert plan.rebind == ()
    assert plan.added == ("wan.use_public_address", "wan.public_address")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    assert request.get(b"Via").startswith(b"SIP/2.0/UDP 192.0.2.77:5060;")
    away.answer(request, 200)
    await home.next(200)
    plan = await stage.proxy.reload(wan={})
    assert plan.removed == ("wan.use_public_address", "wan.public_address")
    # What was written while the address was another one still leads to us.
    interfaces = stage.kernel.interfaces
    assert {(b"192.0.2.77", 5060), (b"127.0.0.1", 5060)} <= interfaces.own_routes
    assert b" 192.0.2.77:5060 " in interfaces.own_sent_by
    assert (b"192.0.2.77", 5060) not in interfaces.own


# ---------------------------------------------------------------- all or nothing


def fail_to_listen(monkeypatch, *names):
    """The memory transport cannot bind these interfaces."""
    listen = MemoryUdp.listen

    async def tried(transport, interface, receiver, *, task_status):
        if interface.name in names:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        await listen(transport, interface, receiver, task_status=task_status)

    monkeypatch.setattr(MemoryUdp, "listen", tried)


async def test_an_address_in_use_undoes_the_reload_as_a_whole(
    scene, autojump_clock, monkeypatch, caplog
):
    fail_to_listen(monkeypatch, "bad")
    tables = {"static-routes": {"route": {}}}
    stage = await scene(interface={"one": UDP}, **tables)
    home, away = stage.raw("home.example"), stage.raw("away.example")
    plugins, settings = stage.kernel.hooks.plugins(), stage.kernel.settings
    tables = {"static-routes": {"route": {"x.example": route("127.0.9.9")}}}
    bad = {"bind": "127.0.0.3", "port": 5060, "protocol": "udp"}
    with pytest.raises(
        ReloadError, match=r"interface bad: cannot listen on 127\.0\.0\.3 port"
    ) as refused:
        await stage.proxy.reload(interface={"one": UDP, "good": MORE, "bad": bad}, **tables)
    (problem,) = refused.value.problems
    assert problem.key == "interface.bad.port"
    assert problem.line is not None
    assert stage.kernel.settings is settings
    assert stage.kernel.hooks.plugins() == plugins
    assert stage.states() == {"one": "listening"}
    assert stage.kernel.reloads.failed == 1
    assert "Address already in use" in stage.kernel.reloads.error
    assert "the old configuration runs on" in caplog.text
    await stage.passes(home, away)
    # ... and the next one succeeds.
    await stage.proxy.reload(interface={"one": UDP, "good": MORE})
    assert stage.states() == {"one": "listening", "good": "listening"}
    assert stage.kernel.reloads.error == ""


async def test_a_listener_that_made_room_is_bound_again_when_the_reload_is_undone(
    scene, autojump_clock, monkeypatch
):
    fail_to_listen(monkeypatch, "bad")
    stage = await scene(interface={"one": UDP})
    bad = {"bind": "127.0.0.3", "port": 5060, "protocol": "udp"}
    with pytest.raises(ReloadError):
        await stage.proxy.reload(interface={"one": {**UDP, "role": "lan"}, "bad": bad})
    assert stage.states() == {"one": "listening"}
    assert stage.kernel.interfaces.named("one").role == "wan"
    await stage.passes(stage.raw("home.example"), stage.raw("away.example"))


async def test_a_certificate_that_cannot_be_used_refuses_the_reload(
    scene, autojump_clock, tmp_path
):
    authority = Authority()
    cert, key = authority.leaf("home.example").write(tmp_path, "home")
    table = {"cert_file": str(cert), "key_file": str(key)}
    stage = await scene(certificate={"main": table})
    generation = stage.kernel.certificates.generation
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(ReloadError, match=r"certificate other: "):
        await stage.proxy.reload(
            certificate={"main": table, "other": {**table, "cert_file": str(broken)}}
        )
    assert stage.kernel.certificates.generation == generation
    plan = await stage.proxy.reload(certificate={"other": table})
    assert plan.removed == ("certificate.main.cert_file", "certificate.main.key_file")
    assert [state.name for state in stage.kernel.certificates.states()] == ["other"]
    assert stage.kernel.certificates.generation > generation


async def test_a_file_that_is_wrong_never_gets_as_far_as_a_reload(scene, autojump_clock):
    stage = await scene()
    with pytest.raises(ConfigError):
        await stage.proxy.reload(limits={"bodies": 1})
    assert stage.kernel.reloads.count == 0


# ---------------------------------------------------------------- the plan


async def test_a_plan_changes_nothing(scene, autojump_clock):
    stage = await scene(interface={"one": UDP})
    configured = stage.proxy._configured._replace(
        tables={"interface": {"one": {**UDP, "port": 5080}, "two": MORE}}
    )
    before = stage.states()
    plan = await stage.kernel.plan(configured.settings())
    assert (plan.listen, plan.rebind) == (("two",), ("one",))
    assert stage.states() == before
    assert stage.proxy.place("one") == ("127.0.0.1", 5060)
    assert stage.kernel.reloads.count == 0


def test_a_plan_reads_like_a_list_of_what_happens():
    plan = Plan(added=("a.b",), rebuild=("memo",), rebind=("one",))
    assert plan.lines() == [
        "added: a.b",
        "plugins made anew: memo",
        "interfaces bound anew, their connections end: one",
    ]


# ---------------------------------------------------------------- again and again


async def test_a_thousand_reloads_under_load_lose_no_message_and_leave_nothing_behind(
    scene, autojump_clock, nursery
):
    stage = await scene(interface={"one": UDP}, **{"static-routes": {"route": {}}})
    kernel = stage.kernel
    home, away = stage.raw("home.example"), stage.raw("away.example")
    variants = [
        stage.proxy._configured._replace(
            tables={
                "interface": {"one": UDP, "two": MORE} if number % 2 else {"one": UDP},
                "static-routes": {"route": {f"d{number}.example": route("127.0.9.9")}},
            }
        ).settings()
        for number in range(4)
    ]

    async def answer():
        while True:
            away.answer(await away.next("MESSAGE", within=math.inf), 200)

    nursery.start_soon(answer)
    for number in range(1000):
        home.ask("MESSAGE", "sip:bob@away.example")
        await kernel.reload(variants[number % 4])
        home.ask("MESSAGE", "sip:bob@away.example")
        await trio.sleep(0.01)
    for _ in range(2000):
        await home.next(200)
    assert kernel.journal.answers == {(b"MESSAGE", 200): 2000}
    assert (kernel.reloads.count, kernel.reloads.failed) == (1000, 0)
    await trio.sleep(60)
    assert stage.states() == {"one": "listening", "two": "listening"}
    assert all(kernel.listeners.has(interface) for interface in kernel.interfaces.all)
    assert kernel.interfaces.named("one").status is Status.LISTENING
    assert len(kernel.services) == 0
    assert len(kernel.flows) == 2
    assert len(kernel.paths._ready) <= 2
    assert kernel.transactions.servers == {}
