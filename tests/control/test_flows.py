"""Flows as they are shown."""

from __future__ import annotations

import pytest
import trio

from sipx.control.errors import ControlError
from sipx.control.flows import FlowMethods, FlowParams, FlowsParams
from sipx.identity import Examination, Proof, certificate_facts
from sipx.plugin import Peer
from sipx.testing import Authority


async def talking(scene):
    """A proxy over which two peers talk."""
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)
    return stage, FlowMethods(stage.kernel)


async def test_flows_are_listed_the_newest_first(scene, autojump_clock):
    _, methods = await talking(scene)
    await trio.sleep(5)
    found = await methods.list(FlowsParams())
    assert found.total == 2
    towards, came = found.flows
    assert (came.address, came.port, came.protocol) == ("127.0.2.1", 5060, "udp")
    assert (came.interface, came.outbound, came.messages_in) == ("udp", False, 1)
    assert (towards.address, towards.messages_out) == ("127.0.2.2", 1)
    assert towards.age == pytest.approx(5, abs=0.1)
    assert towards.idle == pytest.approx(5, abs=0.1)


async def test_a_list_is_bounded_and_may_be_of_one_interface(scene, autojump_clock):
    _, methods = await talking(scene)
    assert len((await methods.list(FlowsParams(limit=1))).flows) == 1
    assert (await methods.list(FlowsParams(limit=1))).total == 2
    assert (await methods.list(FlowsParams(interface="tcp"))).total == 0
    with pytest.raises(ControlError, match="there is no interface 'ucp'; known: udp, tcp"):
        await methods.list(FlowsParams(interface="ucp"))


async def test_one_flow_is_shown_with_what_is_known_of_its_peer(scene, autojump_clock):
    stage, methods = await talking(scene)
    flow = next(iter(stage.kernel.flows))
    shown = methods.show(FlowParams(id=flow.id))
    assert (shown.bound, shown.certificate, shown.proofs) == ("127.0.0.1 port 5060", "", ())
    facts = certificate_facts(Authority().leaf(dns=["away.example"]).certificate)
    flow.peer = Peer("away\x1b.example")
    flow.examined = Examination(
        facts, True, {"away.example": Proof("direct", b"away.example", "a wildcard")}
    )
    shown = methods.show(FlowParams(id=flow.id))
    assert shown.peer == "away\\x1b.example"
    assert shown.fingerprint == facts.fingerprint
    assert "CN=away.example" in shown.certificate
    assert shown.trusted
    [proof] = shown.proofs
    assert (proof.partner, proof.profile, proof.name, proof.weakness) == (
        "away.example",
        "direct",
        "away.example",
        "a wildcard",
    )


async def test_a_flow_that_is_gone_is_not_found(scene, autojump_clock):
    _, methods = await talking(scene)
    with pytest.raises(ControlError, match="there is no flow 999, or it has ended"):
        methods.show(FlowParams(id=999))
