"""What stands in messages in the place of our own address, and what happens when it changes."""

from __future__ import annotations

import socket

import pytest
import trio

from sipx.advertising import LOOK, Advertising
from sipx.events import PublicAddressChanged
from sipx.flows import FlowTable
from sipx.former import FILE, FormerFile
from sipx.interfaces import Interface, Interfaces
from sipx.lookup import ResolveError
from sipx.plugin import hookimpl
from sipx.public_address import PublicAddress
from sipx.testing.memory import MemoryUdp

from .test_proxy_routes import Dialog
from .wire import answer, start, two, values

LAN = {"bind": "127.0.0.1", "port": 5060, "protocol": "udp", "role": "lan"}
OUTSIDE = {"bind": "127.0.0.9", "port": 5060, "protocol": "udp"}
BOTH = {"lan": LAN, "outside": OUTSIDE}
AUTO = {"use_public_address": True, "public_address": "auto"}
PLACE = ("127.0.0.9", 5060)


async def call(home, away):
    """A dialog that somebody outside has begun, through the interface ``outside``."""
    await away.send(away.request("INVITE"), PLACE)
    await away.receive()
    request = await home.receive()
    await home.send(answer(request, 200))
    return Dialog(home, away, request, await away.receive())


def hosts(message, name="Record-Route"):
    return [value.partition("@")[2].partition(";")[0] for value in values(message, name)]


def watch(proxy):
    """What is reported of public addresses from now on."""
    told = []

    def watcher(_, event):
        if isinstance(event, PublicAddressChanged):
            told.append(event)

    proxy.kernel.watchers.append(watcher)
    return told


async def test_auto_is_what_a_plugin_found_by_the_bind_of_the_interface(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy, interface=BOTH, wan=AUTO)
    held, told = proxy.kernel.handle("stun"), watch(proxy)
    assert hosts((await call(home, away)).request) == ["127.0.0.1:5060", "127.0.0.9:5060"]
    held.note_public_addresses({"127.0.0.9": "198.51.100.7", "*": "198.51.100.8"})
    made = await call(home, away)
    assert hosts(made.request) == ["127.0.0.1:5060", "198.51.100.7:5060"]
    held.note_public_addresses({"*": "198.51.100.8"})
    assert hosts((await call(home, away)).request) == ["127.0.0.1:5060", "127.0.0.9:5060"]
    assert told == [
        PublicAddressChanged("outside", "", "198.51.100.7:5060"),
        PublicAddressChanged("outside", "198.51.100.7:5060", ""),
    ]


async def test_the_public_address_is_never_told_towards_the_lan(sipx_proxy, autojump_clock):
    wan = {"use_public_address": True, "public_address": "198.51.100.7", "public_port": 6060}
    _, home, away = await two(sipx_proxy, interface=BOTH, wan=wan)
    made = await call(home, away)
    await home.send(made.from_home("INFO"))
    info = await away.receive()
    assert values(info, "Via")[0].startswith("SIP/2.0/UDP 198.51.100.7:6060;rport")
    await away.send(made.from_away("INFO"), PLACE)
    info = await home.receive()
    assert values(info, "Via")[0].startswith("SIP/2.0/UDP 127.0.0.1:5060;rport")


async def test_an_interface_names_another_address_than_wan(sipx_proxy, autojump_clock):
    interface = {**BOTH, "outside": {**OUTSIDE, "advertise": "sip.home.example:7060"}}
    _, home, away = await two(sipx_proxy, interface=interface)
    assert hosts((await call(home, away)).request)[1] == "sip.home.example:7060"


async def test_an_interface_that_does_not_advertise_stays_itself(sipx_proxy, autojump_clock):
    interface = {**BOTH, "outside": {**OUTSIDE, "advertise": False}}
    wan = {"use_public_address": True, "public_address": "198.51.100.7"}
    _, home, away = await two(sipx_proxy, interface=interface, wan=wan)
    assert hosts((await call(home, away)).request)[1] == "127.0.0.9:5060"


async def test_a_listener_for_remote_uc_servers_names_what_they_see(sipx_proxy, autojump_clock):
    wan = {"use_public_address": True, "public_address": "198.51.100.7"}
    interface = {**BOTH, "lan": {**LAN, "advertise": "198.51.100.7:6070"}}
    _, home, away = await two(sipx_proxy, interface=interface, wan=wan)
    assert hosts((await call(home, away)).request)[0] == "198.51.100.7:6070"


async def test_what_a_plugin_found_goes_with_it(sipx_proxy, autojump_clock):
    proxy, _, _ = await two(sipx_proxy, interface=BOTH, wan=AUTO)
    proxy.kernel.handle("stun").note_public_addresses({"127.0.0.9": "198.51.100.7"})
    status = proxy.kernel.handle("x").status
    assert status().public.found == {"127.0.0.9": "198.51.100.7"}
    assert status().public.addresses == ("198.51.100.7",)
    await proxy.reload(interface=BOTH, wan=AUTO)
    assert status().public.found == {}
    assert [i.advertised for i in status().interfaces] == ["", ""]
    assert proxy.kernel.interfaces.named("outside").sent_by == b"127.0.0.9:5060"


async def test_what_a_plugin_found_is_an_address_in_canonical_form(sipx_proxy, autojump_clock):
    proxy, _, _ = await two(sipx_proxy, interface=BOTH, wan=AUTO)
    held = proxy.kernel.handle("stun")
    held.note_public_addresses({"::": "2001:DB8:0::7", "127.0.0.9": "::ffff:198.51.100.7"})
    assert proxy.kernel.advertising.found == {"::": "2001:db8::7", "127.0.0.9": "198.51.100.7"}
    for wrong in ("sip.home.example", "198.51.100.7\r\nX: y", "255.255.255.255", "auto", ""):
        with pytest.raises(ValueError, match=r"."):
            held.note_public_addresses({"127.0.0.9": wrong})
    assert proxy.kernel.interfaces.named("outside").sent_by == b"198.51.100.7:5060"


async def test_an_address_of_the_other_family_leads_nobody_here(sipx_proxy, autojump_clock):
    wan = {"use_public_address": True, "public_address": "2001:db8::7"}
    proxy, home, away = await two(sipx_proxy, interface=BOTH, wan=wan)
    assert hosts((await call(home, away)).request)[1] == "127.0.0.9:5060"
    (problem,) = [p for p in proxy.kernel.handle("x").status().problems if "public" in p.text]
    assert "peers are told its own, 127.0.0.9 port 5060" in problem.text


async def test_dialogs_of_before_go_on_when_the_address_has_changed(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy, interface=BOTH, wan=AUTO)
    held = proxy.kernel.handle("stun")
    held.note_public_addresses({"127.0.0.9": "198.51.100.7"})
    made = await call(home, away)
    held.note_public_addresses({"127.0.0.9": "203.0.113.9"})
    await away.send(made.from_away("INFO"), PLACE)
    info = await home.receive()
    assert start(info).startswith("INFO ")
    await home.send(answer(info, 200))
    assert start(await away.receive()).startswith("SIP/2.0 200")
    await home.send(made.from_home("INFO"))
    info = await away.receive()
    assert values(info, "Via")[0].startswith("SIP/2.0/UDP 203.0.113.9:5060;")
    await away.send(answer(info, 200), PLACE)
    assert start(await home.receive()).startswith("SIP/2.0 200")


async def test_a_former_address_is_ours_only_in_what_we_have_signed(sipx_proxy, autojump_clock):
    proxy, home, _ = await two(sipx_proxy, interface=BOTH, wan=AUTO)
    held = proxy.kernel.handle("stun")
    held.note_public_addresses({"127.0.0.9": "198.51.100.7"})
    held.note_public_addresses({"127.0.0.9": "203.0.113.9"})
    interfaces = proxy.kernel.interfaces
    # Somebody else may have it by now.
    assert (b"198.51.100.7", 5060) not in interfaces.own
    assert (b"198.51.100.7", 5060) in interfaces.own_routes
    await home.send(home.request("OPTIONS", uri="sip:198.51.100.7:5060"))
    assert not start(await home.receive()).startswith("SIP/2.0 200")


@pytest.mark.parametrize("user", [f"sipx-{'A' * 60}", f"sipx-flow.{'A' * 40}"])
async def test_a_former_address_may_belong_to_another_sipx_by_now(sipx_proxy, autojump_clock, user):
    proxy, home, away = await two(sipx_proxy, interface=BOTH, wan=AUTO)
    held = proxy.kernel.handle("stun")
    held.note_public_addresses({"127.0.0.9": "127.0.1.1"})
    held.note_public_addresses({"127.0.0.9": "203.0.113.9"})
    made = await call(home, away)
    own = values(made.response, "Record-Route")[::-1]
    theirs = f"<sip:{user}@127.0.1.1:5060;lr>"
    await away.send(made.from_away("INFO", routes=[*own, theirs]), PLACE)
    assert values(await home.receive(), "Route") == [theirs]


async def test_a_dialog_outlives_a_restart_at_another_address(sipx_proxy, autojump_clock, tmp_path):
    service = {"state_dir": str(tmp_path / "kept")}
    wan = {"use_public_address": True, "public_address": "198.51.100.7"}
    tables = {"interface": BOTH, "service": service}
    proxy, home, away = await two(sipx_proxy, wan=wan, **tables)
    made = await call(home, away)
    await proxy.reload(wan={**wan, "public_address": "203.0.113.9"})
    await proxy.kernel.advertising.keep()
    after = await sipx_proxy(wan={**wan, "public_address": "203.0.113.9"}, **tables)
    route = values(made.response, "Record-Route")[-1]
    assert "@198.51.100.7:5060" in route
    place = (b"198.51.100.7", 5060)
    assert place in after.kernel.interfaces.own_routes
    assert place not in after.kernel.interfaces.own


async def test_the_old_address_is_ours_when_the_listener_is_bound_anew(sipx_proxy, autojump_clock):
    wan = {"use_public_address": True, "public_address": "198.51.100.7"}
    proxy, home, away = await two(sipx_proxy, interface=BOTH, wan=wan)
    await call(home, away)
    moved = {**BOTH, "outside": {**OUTSIDE, "port": 5070}}
    plan = await proxy.reload(interface=moved, wan={**wan, "public_address": "203.0.113.9"})
    assert plan.rebind == ("outside",)
    await trio.sleep(60)
    interfaces = proxy.kernel.interfaces
    assert (b"203.0.113.9", 5070) in interfaces.own
    assert (b"198.51.100.7", 5060) in interfaces.own_routes
    assert interfaces.at(b"198.51.100.7", 5060, b"udp") is interfaces.named("outside")


# ---------------------------------------------------------------- names


NAME = "sip.home.example"


class Dns:
    """Answers what the test says now."""

    def __init__(self):
        self.answer = ("198.51.100.7",)

    async def addresses(self, name):
        assert name == NAME
        if isinstance(self.answer, ResolveError):
            raise self.answer
        return self.answer


@pytest.fixture
async def named(nursery, autojump_clock, tmp_path):
    """An interface that is advertised by a name, and what looks after that."""
    interface = Interface("out", "127.0.0.9", 5060, MemoryUdp(), public=PublicAddress(NAME))
    interface.bound(("127.0.0.9", 5060))
    interfaces = Interfaces([interface])
    dns, troubles = Dns(), []
    advertising = Advertising(
        interfaces,
        FlowTable(),
        dns,
        FormerFile(tmp_path / FILE),
        changed=interfaces.refresh,
        trouble=lambda kind, name, text: troubles.append((name, text)),
    )
    nursery.start_soon(advertising.run)
    await trio.sleep(1)
    return advertising, interfaces, dns, troubles


async def test_a_name_is_looked_up_again_and_again(named, autojump_clock):
    advertising, interfaces, dns, _ = named
    (out,) = interfaces.all
    assert out.sent_by == b"sip.home.example:5060"
    assert advertising.addresses_of(NAME) == ("198.51.100.7",)
    assert {(b"198.51.100.7", 5060), (b"sip.home.example", 5060)} <= interfaces.own
    dns.answer = ("203.0.113.9", "203.0.113.10")
    await trio.sleep(LOOK)
    assert advertising.addresses_of(NAME) == dns.answer
    assert {(b"203.0.113.9", 5060), (b"203.0.113.10", 5060)} <= interfaces.own
    assert (b"198.51.100.7", 5060) not in interfaces.own


async def test_what_a_name_stood_for_stays_while_the_dns_fails(named, autojump_clock):
    _, interfaces, dns, troubles = named
    dns.answer = ResolveError("timeout", "no answer")
    await trio.sleep(LOOK)
    assert troubles[-1] == (NAME, "the public address sip.home.example: no answer")
    assert (b"198.51.100.7", 5060) in interfaces.own
    dns.answer = ("198.51.100.7",)
    await trio.sleep(LOOK)
    assert troubles[-1] == (NAME, "")


async def test_a_name_that_is_used_no_more_is_forgotten(named, autojump_clock):
    advertising, interfaces, _, troubles = named
    interfaces.all[0].public = None
    advertising.apply()
    await trio.sleep(1)
    assert troubles[-1] == (NAME, None)
    assert advertising.addresses_of(NAME) == ()
    assert interfaces.own == {(b"127.0.0.9", 5060)}
    assert (NAME.encode(), 5060) in interfaces.own_routes


# ---------------------------------------------------------------- the machine's addresses


class Watching:
    """A plugin that wants to know of the machine's addresses."""

    def __init__(self):
        self.told = []

    @hookimpl
    def addresses_changed(self, addresses):
        self.told.append(addresses)


async def test_plugins_hear_of_a_change_of_the_machines_addresses(
    sipx_proxy, autojump_clock, monkeypatch
):
    proxy = await sipx_proxy()
    watching = Watching()
    proxy.kernel.hooks.register("watching", watching)
    await trio.sleep(60)
    assert watching.told == []
    there = {socket.AF_INET: ["127.0.0.1", "192.0.2.9"], socket.AF_INET6: ["2001:db8::9"]}
    monkeypatch.setattr("sipx.listeners.machine_addresses", there.get)
    await trio.sleep(60)
    assert watching.told == [frozenset({"127.0.0.1", "192.0.2.9", "2001:db8::9"})]


# ---------------------------------------------------------------- datagrams of another protocol


class Echo:
    """Answers what begins with the byte 1."""

    @hookimpl
    def serve_datagram(self, data, flow):
        if data[1] == 9:
            raise ValueError("nine")
        return data[::-1] if data[0] == 1 else None


@pytest.mark.parametrize("data", [b"\x01\x02\x03", b"\x01" + b"x" * 40])
async def test_another_protocol_is_answered_at_the_sip_port(sipx_proxy, autojump_clock, data):
    proxy, home, _ = await two(sipx_proxy)
    proxy.kernel.hooks.register("echo", Echo())
    assert await home.ask(data) == data[::-1]


async def test_what_no_plugin_knows_is_not_answered(sipx_proxy, autojump_clock):
    proxy, home, _ = await two(sipx_proxy)
    await home.send(b"\x01\x02\x03")
    await home.silence()
    proxy.kernel.hooks.register("echo", Echo())
    await home.send(b"\x00\x02\x03")
    await home.silence()
    await home.send(b"OPTIONS\r\n\r\n")
    await home.silence()


async def test_a_plugin_that_breaks_costs_one_datagram(sipx_proxy, autojump_clock):
    proxy, home, _ = await two(sipx_proxy)
    proxy.kernel.forgive = True
    proxy.kernel.journal.on_fault = None
    proxy.kernel.hooks.register("echo", Echo())
    await home.send(b"\x01\x09")
    await home.silence()
    assert proxy.kernel.journal.faults["echo"] == 1
    assert await home.ask(b"\x01\x02") == b"\x02\x01"
