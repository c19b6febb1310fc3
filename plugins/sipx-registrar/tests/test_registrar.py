"""The plugin in a running proxy: REGISTERs over the network, reloads, what can be asked."""

from __future__ import annotations

import pytest
import trio
from sipx_registrar.events import Registered
from sipx_registrar.registrations_state import RegistrationsParams, RemoveParams

from sipx import Accept, Caller, ControlError, Sender, hookimpl
from sipx.testing import RefusedError, check_plugin, register

from .desk import an_account

ALICE, BOB = "sip:alice@home.example", "sip:bob@home.example"
ME = Caller("tester")


class Logons:
    """Who comes from an address is the account that was given to it."""

    def __init__(self, proxy):
        self._proxy = proxy
        self._accounts = {}

    def add(self, address, account):
        self._accounts[address] = account

    @hookimpl
    def accounts(self):
        return list(self._accounts.values())

    @hookimpl
    def authenticate_request(self, request, flow):
        account = self._accounts.get(flow.address)
        if account is None:
            return None
        flow.account = account.name
        sender = Sender(
            account.kind, account.name, self._proxy.domains, trusted=True, account=account
        )
        return Accept(sender)


class Scene:
    """A proxy with a registrar, and UC servers that log on from their addresses."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.logons = Logons(proxy.kernel.handle("logons"))
        proxy.kernel.hooks.register("logons", self.logons)

    def server(self, name, transport="tcp", **account):
        agent = self.proxy.peer("home.example", transport=transport, routed=False, user=name)
        self.logons.add(agent.place[0], an_account(name, logon=b"uc-" + name.encode(), **account))
        return agent

    @property
    def registrar(self):
        return self.proxy.plugin("registrar")

    async def ask(self, method, params):
        for found in self.proxy.kernel.hooks.control_methods():
            if found.name == method:
                return await found.call(params, ME)
        raise KeyError(method)

    async def listed(self, **params):
        return await self.ask("registrar.registrations", RegistrationsParams(**params))


@pytest.fixture
async def scene(sipx_proxy):
    return Scene(await sipx_proxy(registrar={"store": "memory"}))


def test_the_contract():
    check_plugin("registrar", registrar={"store": "memory"})


async def test_a_server_registers_its_users(scene, autojump_clock):
    berlin = scene.server("berlin")
    alice = await register(berlin, ALICE, sender="sip:uc-berlin@home.example", expires=600)
    assert alice.granted == 600
    assert alice.service_route == [b"<sip:127.0.0.1:5060;transport=tcp;lr>"]
    (binding,) = scene.registrar.bindings.of(b"alice@home.example")
    assert (binding.owner, binding.transport, binding.interface) == ("berlin", "tcp", "tcp")
    assert binding.flow.account_until == pytest.approx(trio.current_time() + 600, abs=1)
    await alice.unregister()
    assert await alice.query() == []


async def test_what_is_refused_is_said_why(scene, autojump_clock):
    berlin = scene.server("berlin")
    with pytest.raises(RefusedError) as refused:
        await register(berlin, "sip:carol@home.example")
    assert refused.value.response.status == 403
    assert scene.proxy.kernel.journal.refused_for["registration"] == 1


async def test_a_closed_connection_leaves_the_binding(scene, autojump_clock):
    berlin = scene.server("berlin")
    await register(berlin, ALICE)
    (binding,) = scene.registrar.bindings.of(b"alice@home.example")
    binding.flow.close("the test")
    await trio.sleep(0)
    assert binding.flow is None
    assert len(scene.registrar.bindings) == 1


async def test_a_registration_that_is_not_refreshed_ends(scene, autojump_clock):
    berlin = scene.server("berlin", "udp")
    await register(berlin, ALICE, expires=60)
    await trio.sleep(62)
    assert scene.registrar.bindings.count() == 0


async def test_a_reload_keeps_registrations_and_flows(scene, autojump_clock):
    berlin = scene.server("berlin")
    alice = await register(berlin, ALICE)
    before = scene.registrar
    await scene.proxy.reload(registrar={"store": "memory", "max_bindings": 1})
    assert scene.registrar is not before
    (binding,) = scene.registrar.bindings.of(b"alice@home.example")
    assert binding.flow is not None
    await alice.refresh()
    with pytest.raises(RefusedError):
        await register(berlin, ALICE, contact="sip:alice@10.0.0.99")
    assert binding.flow.account_until > trio.current_time()


async def test_what_is_registered_can_be_asked(scene, autojump_clock):
    berlin, paris = scene.server("berlin"), scene.server("paris", "udp", users=["zoe.paris"])
    await register(berlin, ALICE, params=";q=0.5")
    await register(berlin, "sip:uc-berlin@home.example")
    await register(paris, "sip:zoe.paris@home.example", expires=600)
    everything = await scene.listed()
    assert [(one.user, one.owner) for one in everything.registrations] == [
        ("alice@home.example", "berlin"),
        ("", "berlin"),
        ("zoe.paris@home.example", "paris"),
    ]
    (alice,) = (await scene.listed(user="alice")).registrations
    assert (alice.q, alice.source) == (0.5, f"tcp:127.0.1.1:{_port(scene)}")
    assert alice.flow is not None
    (zoe,) = (await scene.listed(user="*.PARIS")).registrations
    assert (zoe.owner, round(zoe.expires), zoe.interface) == ("paris", 600, "udp")
    assert (await scene.listed(owner="berlin")).total == 2
    assert (await scene.listed(user="nobody@home.example")).total == 0
    paged = await scene.listed(limit=1, offset=1)
    assert ([one.user for one in paged.registrations], paged.total) == ([""], 3)
    with pytest.raises(ControlError, match="stars"):
        await scene.listed(user="a*b*c*")


def _port(scene):
    (binding,) = scene.registrar.bindings.of(b"alice@home.example")
    return binding.port


async def test_an_operator_ends_a_registration(scene, autojump_clock):
    berlin = scene.server("berlin")
    await register(berlin, ALICE, contact="sip:alice@10.0.0.1")
    alice = await register(berlin, ALICE, contact="sip:alice@10.0.0.2")
    ended = await scene.ask(
        "registrar.remove", RemoveParams(user="Alice", contact="sip:alice@10.0.0.1")
    )
    assert [one.contact for one in ended.registrations] == ["sip:alice@10.0.0.1"]
    assert len(await alice.query()) == 1
    with pytest.raises(ControlError, match=r"not registered at sip:x; registered at: sip:alice@10"):
        await scene.ask("registrar.remove", RemoveParams(user="alice", contact="sip:x"))
    await scene.ask("registrar.remove", RemoveParams(user="alice@home.example"))
    with pytest.raises(ControlError, match="alice is not registered"):
        await scene.ask("registrar.remove", RemoveParams(user="alice"))
    await alice.refresh()


async def test_a_user_of_two_domains_is_named_in_full(sipx_proxy, autojump_clock):
    domains = ["home.example", "office.example"]
    scene = Scene(await sipx_proxy(domains=domains, registrar={"store": "memory"}))
    berlin = scene.server("berlin")
    await register(berlin, ALICE)
    await register(berlin, "sip:alice@office.example")
    with pytest.raises(ControlError, match=r"alice@home\.example and alice@office\.example"):
        await scene.ask("registrar.remove", RemoveParams(user="alice"))
    assert (await scene.listed(user="alice")).total == 2


async def test_the_status_counts(scene, autojump_clock):
    berlin = scene.server("berlin")
    await register(berlin, ALICE)
    await register(berlin, "sip:uc-berlin@home.example")
    shown = scene.proxy.kernel.handle("x").status().sections["registrations"]
    assert shown == {"store": "memory", "users": 1, "registrations": 2}


async def test_events_reach_those_who_watch(scene, autojump_clock):
    berlin = scene.server("berlin")
    await register(berlin, ALICE)
    told = [event for _, event in scene.proxy.events if isinstance(event, Registered)]
    assert [event.user for event in told] == ["alice@home.example"]


async def test_only_lan_and_local_users_register(scene, autojump_clock):
    stranger = scene.proxy.peer("away.example", transport="tcp")
    with pytest.raises(RefusedError) as refused:
        await register(stranger, ALICE, sender="sip:x@away.example")
    assert refused.value.response.status in (403, 405)


async def test_many_requests_for_a_list_do_not_hold_up_the_rest(scene, autojump_clock):
    from sipx import BindingChange

    from .desk import a_binding

    bindings = [a_binding(b"user%d@home.example" % n) for n in range(10_000)]
    scene.registrar.bindings.apply([BindingChange(b.aor, b.key, b) for b in bindings])
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await trio.lowlevel.checkpoint()
            ticks += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        found = await scene.listed(user="*9999")
        nursery.cancel_scope.cancel()
    assert (found.total, ticks >= 3) == (1, True)
