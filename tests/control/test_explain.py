"""What a running proxy says it would do."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipx.accounts import Account
from sipx.control.errors import ControlError
from sipx.control.explain import ExplainMethods, ExplainParams
from sipx.plugin import NextHop, Refuse, Target, Targets, hookimpl
from sipx.testing import Authority
from sipx.trust import SenderKind


class Choosing:
    """Leads everybody to one place, and says why; refuses nobody@home.example."""

    def __init__(self):
        self.senders = []
        self.flows = []

    @hookimpl
    def accounts(self):
        return [Account("berlin", SenderKind.UC_SERVER), Account("phone", SenderKind.USER)]

    @hookimpl
    def authenticate_request(self, request, flow):
        self.flows.append(flow)

    @hookimpl
    def determine_targets(self, request, sender):
        self.senders.append(sender)
        if request.uri == b"sip:nobody@home.example":
            return Refuse(480, "his server is down")
        target = Target(hops=(NextHop("10.0.0.11", 5060, "udp"),), name="munich")
        return Targets(((target,),))

    @hookimpl
    def explain_targets(self, request, sender):
        return [f"asked by {sender.name} from {request.from_.uri.decode()}"]


async def test_it_is_asked_live_and_tells_why(scene, autojump_clock):
    stage = await scene()
    stage.plug("choosing", Choosing())
    explain = ExplainMethods(stage.kernel).explain
    found = await explain(ExplainParams(uri="sip:alice@home.example"))
    assert found.live
    assert found.status == 0
    [target] = found.targets
    assert (target.name, target.hops[0].address, target.hops[0].interface) == (
        "munich",
        "10.0.0.11",
        "udp",
    )
    # Whoever writes is the one who is written to, so that his server is found.
    assert found.reasons == ("asked by a UC server of ours from sip:alice@home.example",)
    assert found.from_uri == "sip:alice@home.example"
    found = await explain(ExplainParams(uri="sip:bob@away.example"))
    assert found.from_uri == "sip:explain@home.example"


async def test_a_refusal_of_a_plugin_is_told(scene, autojump_clock):
    stage = await scene()
    stage.plug("choosing", Choosing())
    found = await ExplainMethods(stage.kernel).explain(ExplainParams(uri="sip:nobody@home.example"))
    assert (found.status, found.why) == (480, "his server is down")
    assert found.targets == ()
    assert found.reasons


async def test_an_account_is_who_asks(scene, autojump_clock):
    stage = await scene()
    stage.plug("choosing", chooser := Choosing())
    explain = ExplainMethods(stage.kernel).explain
    await explain(ExplainParams(uri="sip:alice@home.example", account="berlin"))
    await explain(ExplainParams(uri="sip:alice@home.example", account="phone"))
    told = [(s.name, s.kind, s.trusted, s.account.name) for s in chooser.senders]
    assert told == [
        ("berlin", SenderKind.UC_SERVER, True, "berlin"),
        ("phone", SenderKind.USER, False, "phone"),
    ]
    with pytest.raises(ControlError, match="no account 'paris'; there are: berlin, phone"):
        await explain(ExplainParams(uri="sip:alice@home.example", account="paris"))


async def test_nothing_is_changed_and_plugins_can_tell(scene, autojump_clock):
    stage = await scene()
    stage.plug("choosing", chooser := Choosing())
    before = stage.kernel.flows.statistics()
    found = await ExplainMethods(stage.kernel).explain(
        ExplainParams(uri="sip:alice@home.example", address="203.0.113.9", port=5070)
    )
    assert (found.status, found.targets) == (403, ())
    assert [arrival.interface for arrival in found.arrivals] == ["udp", "tcp"]
    assert not any(arrival.accepted for arrival in found.arrivals)
    assert stage.kernel.flows.statistics() == before
    assert {flow.id for flow in chooser.flows} == {0}, "by its id it is seen to be no flow"
    assert not stage.kernel.journal.refused_for


async def test_only_one_interface(scene, autojump_clock):
    stage = await scene()
    explain = ExplainMethods(stage.kernel).explain
    asked = ExplainParams(uri="sip:a@home.example", address="203.0.113.9", interface="tcp")
    assert [arrival.interface for arrival in (await explain(asked)).arrivals] == ["tcp"]
    with pytest.raises(ControlError, match="there are: udp, tcp"):
        await explain(ExplainParams(uri="sip:a@home.example", interface="lan"))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"uri": "mailto:alice"}, "mailto:alice"),
        ({"uri": "sip:alice@home.example", "address": "somewhere"}, "no IP address"),
        ({"uri": "sip:alice@home.example", "certificate": "nonsense"}, "certificate"),
        ({"uri": "sip:alice@home.example\r\nVia: x"}, "Malformed"),
    ],
)
async def test_what_cannot_be_asked(scene, autojump_clock, params, said):
    stage = await scene()
    with pytest.raises(ControlError, match=said) as raised:
        await ExplainMethods(stage.kernel).explain(ExplainParams(**params))
    assert raised.value.kind == "params"


async def test_the_certificate_comes_as_text(scene, autojump_clock):
    stage = await scene()
    certificate = Authority().leaf(dns=["away.example"]).certificate
    pem = certificate.public_bytes(Encoding.PEM).decode()
    found = await ExplainMethods(stage.kernel).explain(
        ExplainParams(uri="sip:a@home.example", address="203.0.113.9", certificate=pem)
    )
    assert found.status == 403


async def test_who_shows_a_certificate_is_told_of_where_it_is_looked_at(sites):
    a = await sites.site("a.example")
    await sites.site("b.example")
    stranger = Authority().leaf(dns=["sip.c.example"]).certificate
    pem = stranger.public_bytes(Encoding.PEM).decode()
    found = await ExplainMethods(a.kernel).explain(
        ExplainParams(
            uri="sip:x@a.example", address="127.0.0.9", from_uri="sip:x@b.example", certificate=pem
        )
    )
    assert (found.status, "asked to log on" in found.why) == (403, False)
    assert all("a.example" not in answer.name for answer in found.dns)


async def test_of_the_cache_only_what_is_about_the_question_is_told(scene, autojump_clock):
    stage = await scene()
    resolver = stage.kernel.resolver
    await resolver.addresses("localhost")
    found = await ExplainMethods(stage.kernel).explain(ExplainParams(uri="sip:a@home.example"))
    assert found.dns == ()
