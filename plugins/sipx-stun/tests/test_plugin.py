"""The plugin within a running proxy."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import trio
from sipx_stun.codec import CHANGE_IP, Attr, Kind, decode, encode
from sipx_stun.control import StunMethods
from sipx_stun.detection import Detector, PublicAddressFound
from sipx_stun.testing import stun_server

from sipx import ControlError
from sipx.testing import check_plugin, dns_server

from .conftest import ONE, World, settings

HERE = "127.0.0.1"
ID = bytes(range(12))


@pytest.fixture
def eventually():
    """Wait for something to become true; the deadline is far."""

    async def wait(condition):
        with trio.fail_after(20):
            while not condition():
                await trio.sleep(0.01)

    return wait


def wan(**more):
    """Tables of a proxy that advertises what is found at 127.0.0.1."""
    return {
        "wan": {"use_public_address": True},
        "interface": {"udp": {"bind": HERE, "port": 0, "protocol": "udp"}},
        **more,
    }


# ---------------------------------------------------------------- the public address


async def test_what_servers_see_stands_in_messages(sipx_on_loopback, eventually, monkeypatch):
    monkeypatch.setattr("sipx_stun.detection.CONFIRM_AFTER", 0)
    async with stun_server("127.0.0.1", "127.0.0.2") as server:
        proxy = await sipx_on_loopback(**wan(stun={"servers": [server.name]}))
        plugin = proxy.plugin("stun")
        await eventually(lambda: plugin.state().sources and plugin.state().sources[0].nat)
    [source] = plugin.state().sources
    assert (source.bind, source.public, source.local) == (HERE, HERE, HERE)
    assert source.nat == "Open Internet"
    assert proxy.events == [("stun", PublicAddressFound(HERE, "", HERE, server.name))]
    [shown] = proxy.kernel.interfaces.all
    assert shown.advertised_text == f"{HERE}:{proxy.place('udp')[1]}"
    file = proxy.kernel.state_directory / "plugins" / "stun" / "found.json"
    await eventually(file.exists)
    assert json.loads(file.read_text())["sources"][0]["public"] == HERE


async def test_a_reload_keeps_what_was_found(sipx_on_loopback, eventually, monkeypatch):
    monkeypatch.setattr("sipx_stun.detection.CONFIRM_AFTER", 0)
    async with stun_server("127.0.0.1", "127.0.0.2") as server:
        proxy = await sipx_on_loopback(**wan(stun={"servers": [server.name]}))
        old = proxy.plugin("stun")
        await eventually(lambda: old.detector.addresses())
        await proxy.reload(stun={"servers": [server.name], "interval": "1h"})
        new = proxy.plugin("stun")
        assert new is not old
        assert new.detector.addresses() == {HERE: HERE}
        await proxy.reload(stun={})
        await eventually(lambda: proxy.kernel.advertising.found == {})


async def test_a_reload_that_advertises_on_other_interfaces(
    sipx_on_loopback, eventually, monkeypatch
):
    monkeypatch.setattr("sipx_stun.detection.CONFIRM_AFTER", 0)
    async with stun_server("127.0.0.1", "127.0.0.2") as server:
        tables = wan(stun={"servers": [server.name]}) | {"wan": {"use_public_address": False}}
        proxy = await sipx_on_loopback(**tables)
        detector = proxy.plugin("stun").detector
        await eventually(lambda: detector.addresses() == {"*": HERE})
        await proxy.reload(wan={"use_public_address": True})
        await eventually(lambda: detector.addresses() == {HERE: HERE})


async def test_a_record_that_leads_elsewhere_is_in_the_status(
    sipx_on_loopback, eventually, monkeypatch
):
    monkeypatch.setattr("sipx_stun.detection.CONFIRM_AFTER", 0)
    zone = (
        "_sipfederationtls._tcp.home.example. 300 IN SRV 0 0 5061 sip.home.example.\n"
        "sip.home.example. 300 IN A 198.51.100.9\n"
    )
    async with dns_server(zone) as dns, stun_server("127.0.0.1", "127.0.0.2") as server:
        tables = wan(stun={"servers": [server.name]}, dns={"servers": [dns.server]})
        proxy = await sipx_on_loopback(**tables)
        await eventually(lambda: proxy.plugin("stun").state().records)
    told = [(one.kind, one.name, one.text) for one in proxy.plugin("stun")._proxy.status().troubles]
    [(kind, name, text)] = told
    assert (kind, name) == ("SRV record", "home.example")
    assert "leads to 198.51.100.9 (sip.home.example)" in text


# ---------------------------------------------------------------- Binding requests of others


async def asked(proxy, data):
    """What comes back to a datagram from a socket of ours, and where that is."""
    sock = trio.socket.socket(type=trio.socket.SOCK_DGRAM)
    with sock:
        await sock.bind((HERE, 0))
        await sock.sendto(data, proxy.place("udp"))
        with trio.fail_after(10):
            answer, _ = await sock.recvfrom(1000)
        return decode(answer), sock.getsockname()


async def test_a_binding_request_at_the_sip_port_is_answered(sipx_on_loopback):
    proxy = await sipx_on_loopback(stun={})
    answer, source = await asked(proxy, encode(Kind.REQUEST, ID, []))
    assert answer.kind is Kind.SUCCESS
    assert answer.mapped == source
    refused, _ = await asked(
        proxy,
        encode(Kind.REQUEST, ID, [(Attr.CHANGE_REQUEST, CHANGE_IP.to_bytes(4, "big"))]),
    )
    assert refused.kind is Kind.ERROR
    counted = proxy.plugin("stun").state().bindings
    assert (counted.answered, counted.refused) == (1, 1)


async def test_unless_that_is_switched_off(sipx_on_loopback):
    proxy = await sipx_on_loopback(stun={"answer": False})
    plugin = proxy.plugin("stun")
    flow = SimpleNamespace(address=HERE, port=40000)
    assert plugin.serve_datagram(encode(Kind.REQUEST, ID, []), flow) is None
    assert plugin.state().bindings.answered == 0


# ---------------------------------------------------------------- seen and steered


async def test_the_status_has_a_section(sipx_on_loopback):
    proxy = await sipx_on_loopback(stun={})
    shown = proxy.plugin("stun").status_sections()
    assert shown["stun"].model_dump() == {
        "servers": (), "sources": (), "records": (), "runs": {"answered": 0, "silent": 0},
        "changes": 0, "history": (), "bindings": {"answered": 0, "refused": 0},
    }  # fmt: skip


async def test_the_methods_of_the_control_api(kernel, autojump_clock):
    detector = Detector(settings(), kernel, find=World(ONE))
    methods = StunMethods(detector, detector.state).methods()
    assert methods["stun.status"]().sources == ()
    found = await methods["stun.detect"]()
    assert found.sources[0].public == ONE
    assert methods["stun.status"]() == found


async def test_a_run_that_a_reload_ends_is_told(kernel, monkeypatch):
    detector = Detector(settings(), kernel)

    async def look_now():
        return False

    monkeypatch.setattr(detector, "look_now", look_now)
    methods = StunMethods(detector, detector.state).methods()
    with pytest.raises(ControlError, match="has changed meanwhile"):
        await methods["stun.detect"]()


async def test_nobody_can_be_asked_without_servers(sipx_on_loopback):
    proxy = await sipx_on_loopback(stun={})
    plugin = proxy.plugin("stun")
    with pytest.raises(ControlError, match=r"set stun\.servers"):
        await plugin.control_methods()["stun.detect"]()


async def test_other_addresses_of_the_machine_are_a_reason_to_look(sipx_on_loopback):
    proxy = await sipx_on_loopback(stun={})
    plugin = proxy.plugin("stun")
    plugin.addresses_changed(frozenset({HERE}))
    assert plugin.detector._wanted.is_set()
    plugin.detector._wanted = trio.Event()
    # As a container brings along with its pair of devices.
    plugin.addresses_changed(frozenset({HERE, "fe80::5", "169.254.7.7"}))
    assert not plugin.detector._wanted.is_set()
    plugin.addresses_changed(frozenset({HERE, "fe80::5", "2001:db8::5"}))
    assert plugin.detector._wanted.is_set()


def test_the_contract():
    check_plugin("stun", stun={"servers": ["192.0.2.1"]})
