"""Why a request went where it did, told step by step, and only to who watches."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import trio

from sipx.plugin import Later, Refuse, hookimpl
from sipx.sip.errors import RemoteError

from .test_static_routes_e2e import ALICE, BOB, Names, delivered, refused, route, routed
from .wire import AWAY, answer, party, status


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps = []
        self.bytes = []
        self.messages = []

    @hookimpl
    def decision_made(self, request, flow, decision) -> None:
        self.steps.append((request.branch, flow.name, decision))

    @hookimpl
    def bytes_traced(self, data, flow, direction, why) -> None:
        self.bytes.append((data, direction.value, why))

    @hookimpl
    def message_traced(self, message, direction) -> None:
        self.messages.append((message.start, direction.value))

    def named(self):
        """The steps by name, in order."""
        return [decision.step for _, _, decision in self.steps]

    def one(self, step):
        """The only step of a name."""
        (found,) = [decision for _, _, decision in self.steps if decision.step == step]
        return found


@contextmanager
def watched(proxy):
    """Somebody watches."""
    watcher = Watcher()
    with proxy.kernel.handle("lab").watch(watcher):
        yield watcher


async def test_every_step_of_a_request_that_is_delivered(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        await delivered(away, home, away.request())
    assert told.named() == ["sender", "targets", "hops", "branch", "answer"]
    assert len({branch for branch, _, _ in told.steps}) == 1
    assert {flow for _, flow, _ in told.steps} == {f"udp:{AWAY}:5060"}
    sender, targets, hops, branch, answered = [decision for _, _, decision in told.steps]
    assert sender.data == {
        "name": "away.example",
        "kind": "partner",
        "trusted": True,
        "row": sender.data["row"],
        "plugin": "static-routes",
        "credentials": False,
        "account": "",
        "peer": "",
        "identities": [],
    }
    assert sender.text == (
        "away.example sends it, accepted as partner, trusted "
        f"(plugin static-routes, row {sender.data['row']} of docs/trust.md)"
    )
    assert targets.data["plugin"] == "static-routes"
    (((target,),),) = (targets.data["groups"],)
    assert target["name"] == "home.example"
    assert target["uri"] == "sip:bob@home.example"
    assert targets.data["reasons"] == []
    assert targets.text.startswith("It goes to home.example (plugin static-routes")
    assert hops.data["hops"] == [
        {"address": "127.0.1.1", "port": 5060, "transport": "udp", "name": "127.0.1.1"}
    ]
    assert not hops.data["waited"]
    assert branch.data["flow"] == "udp:127.0.1.1:5060"
    assert branch.data["branch"].startswith("z9hG4bK")
    assert branch.text == (
        "It is sent to home.example at udp:127.0.1.1:5060 from the interface udp"
    )
    assert answered.data["branch"] == branch.data["branch"]
    assert answered.data["status"] == 200
    assert not answered.data["own"]
    assert answered.text == "200 Because of udp:127.0.1.1:5060 goes back"


async def test_nobody_is_told_when_nobody_watches(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    core = proxy.kernel.proxy
    assert core.decisions is None
    with watched(proxy) as told:
        assert core.decisions is not None
        assert core.forwarder.decisions is core.decisions
        await proxy.reload(domains=("home.example", "other.example"))
        assert core.decisions is not None
    assert core.decisions is None
    assert core.forwarder.decisions is None
    assert proxy.kernel.transactions.on_bytes is None
    await delivered(away, home, away.request())
    assert told.steps == []


async def test_who_is_refused_and_why(sipx_proxy, autojump_clock):
    proxy, _, away = await routed(sipx_proxy)
    stranger = party(proxy, "127.0.1.9")
    with watched(proxy) as told:
        await refused(stranger, stranger.request())
        await refused(away, away.request(sender="sip:eve@elsewhere.example"))
        await refused(away, away.request(uri="sip:carol@elsewhere.example"))
    assert told.named() == ["refused", "answer"] * 2 + ["sender", "refused", "answer"]
    unknown, foreign, relayed = [d for _, _, d in told.steps if d.step == "refused"]
    assert unknown.data["reason"] == "sender-unknown"
    assert (foreign.data["reason"], foreign.data["plugin"]) == ("sender-refused", "static-routes")
    assert foreign.text.startswith("Refused with 403: ")
    assert relayed.data["reason"] == "relay"
    last = told.steps[-1][2]
    assert last.data["own"]
    assert last.data["why"] == "relaying denied"
    assert last.text == "403 Forbidden of the proxy itself goes back: relaying denied"


async def test_the_rules_of_sip_and_the_limits_of_plugins(sipx_proxy, autojump_clock):
    class Limits:
        @hookimpl
        def validate_request(self, request):
            if request.method == b"INFO":
                return request.reply(480)
            return Refuse(488, "not today") if request.method == b"REFER" else None

    proxy, _, away = await routed(sipx_proxy)
    proxy.kernel.hooks.register("limits", Limits())
    with watched(proxy) as told:
        await away.ask(away.request(max_forwards="Max-Forwards: 0"))
        await away.ask(away.request("INFO"))
        await away.ask(away.request("REFER"))
    hops, limit, word = [d.data for _, _, d in told.steps if d.step == "refused"]
    assert (hops["status"], hops["plugin"]) == (483, "")
    assert hops["why"] == "Max-Forwards has run out"
    assert (limit["status"], limit["plugin"], limit["reason"]) == (480, "limits", "plugin")
    assert (word["status"], word["plugin"], word["why"]) == (488, "limits", "not today")


async def test_a_plugin_that_answers_later_is_named(sipx_proxy, autojump_clock):
    class Directory:
        @hookimpl
        def authenticate_request(self, request):
            async def no():
                await trio.sleep(1)
                return Refuse(403, "not in the directory")

            return Later(no) if request.from_domain == b"away.example" else None

    proxy, _, away = await routed(sipx_proxy)
    hooks = proxy.kernel.hooks
    hooks._order.insert(0, "directory")
    hooks.register("directory", Directory())
    with watched(proxy) as told:
        await refused(away, away.request())
    assert told.one("refused").data["plugin"] == "directory"


async def test_the_way_over_the_hops_of_a_target(sipx_proxy, autojump_clock):
    routes = {"away.example": route(["127.0.1.7", AWAY])}
    proxy, home, away = await routed(sipx_proxy, routes=routes)
    busy = party(proxy, "127.0.1.7")
    with watched(proxy) as told:
        await home.send(home.request(uri=ALICE, sender=BOB))
        await busy.send(answer(await busy.receive(), 503))
        await away.send(answer(await away.receive()))
        assert status(await home.receive()) == 200
    assert told.named() == [
        "sender", "targets", "hops", "branch", "failover", "branch", "answer",
    ]  # fmt: skip
    failover = told.one("failover")
    assert (
        failover.text == "udp:127.0.1.7:5060 did not serve it (503): hop 2 of 2, udp:127.0.1.2:5060"
    )
    first, second = [d.data["branch"] for _, _, d in told.steps if d.step == "branch"]
    assert failover.data["branch"] == first
    assert told.one("answer").data["branch"] == second


async def test_a_hop_that_cannot_be_reached(sipx_proxy, autojump_clock):
    routes = {"away.example": route(["127.0.1.7", "127.0.1.8"], "tcp")}
    proxy, home, _ = await routed(sipx_proxy, "tcp", routes)
    with watched(proxy) as told:
        await refused(home, home.request(uri=ALICE, sender=BOB), 500)
    assert told.named() == [
        "sender", "targets", "hops", "branch", "failover", "branch", "answer",
    ]  # fmt: skip
    ended = [d for _, _, d in told.steps if d.step == "branch"]
    assert "Connection refused" in ended[0].data["why"]
    assert ended[0].text.startswith("The way to tcp:127.0.1.7:5060 has ended, as with 503: ")
    assert told.one("answer").data["own"]


async def test_what_the_dns_has_said(sipx_proxy, autojump_clock, monkeypatch):
    names = Names(monkeypatch, uc=((AWAY,), 60))
    proxy, home, away = await routed(sipx_proxy, routes={"away.example": route("uc.away.example")})
    await trio.sleep(1)
    with watched(proxy) as told:
        await delivered(home, away, home.request(uri=ALICE, sender=BOB))
    hops = told.one("hops").data
    assert [(each["name"], each["type"]) for each in hops["dns"]] == [
        ("uc.away.example", "A"),
        ("uc.away.example", "AAAA"),
    ]
    assert hops["dns"][0]["ttl"] == pytest.approx(59, abs=1)
    assert hops["hops"][0]["name"] == "uc.away.example"
    names.names["uc"] = ("nxdomain", 0)
    await trio.sleep(70)
    with watched(proxy) as told:
        await refused(home, home.request(uri=ALICE, sender=BOB), 504)
    assert told.named() == ["sender", "targets", "branch", "answer"]
    assert told.one("branch").data["dns"]


async def test_a_dialog_is_continued_by_its_route(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        await away.send(away.request("SUBSCRIBE", extra=[f"Contact: <sip:alice@{AWAY}:5060>"]))
        asked = await home.receive()
        await home.send(answer(asked, extra=["Contact: <sip:bob@127.0.1.1:5060>"]))
        accepted = await away.receive()
        told.steps.clear()
        routes = [line for line in accepted.decode().split("\r\n") if line.startswith("Record-R")]
        again = away.request(
            "SUBSCRIBE",
            uri="sip:bob@127.0.1.1:5060",
            to="<sip:bob@home.example>;tag=b",
            call_id=asked.partition(b"Call-ID: ")[2].partition(b"\r\n")[0].decode(),
            cseq=2,
            extra=[line.replace("Record-Route", "Route") for line in routes],
        )
        await delivered(away, home, again)
    assert told.named() == ["sender", "route", "hops", "branch", "answer"]
    assert told.one("route").data["within"]
    assert told.one("route").text.startswith("It is within a dialog that went through here")


async def test_an_ack_has_steps_of_its_own(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        await away.send(away.request("INVITE", extra=[f"Contact: <sip:alice@{AWAY}:5060>"]))
        assert status(await away.receive()) == 100
        invite = await home.receive()
        await home.send(answer(invite, extra=["Contact: <sip:bob@127.0.1.1:5060>"]))
        accepted = await away.receive()
        told.steps.clear()
        routes = [line for line in accepted.decode().split("\r\n") if line.startswith("Record-R")]
        await away.send(
            away.request(
                "ACK",
                uri="sip:bob@127.0.1.1:5060",
                to="<sip:bob@home.example>;tag=b",
                call_id=invite.partition(b"Call-ID: ")[2].partition(b"\r\n")[0].decode(),
                extra=[line.replace("Record-Route", "Route") for line in routes],
            )
        )
        await home.receive()
    assert told.named() == ["sender", "route", "hops", "branch"]


async def test_what_is_for_the_domain_is_served(sipx_proxy, autojump_clock):
    class Registrar:
        @hookimpl
        def serve_request(self, request):
            return request.reply(200) if request.method == b"REGISTER" else None

    proxy, home, _ = await routed(sipx_proxy)
    proxy.kernel.hooks.register("registrar-of-ours", Registrar())
    of_domain = {"uri": "sip:home.example", "sender": BOB, "to": f"<{BOB}>"}
    with watched(proxy) as told:
        assert status(await home.ask(home.request("REGISTER", **of_domain))) == 200
    assert told.named() == ["sender", "served", "answer"]
    assert told.one("served").text == (
        "It is for this domain: the plugin registrar-of-ours answers it with 200"
    )
    assert told.one("served").data == {"plugin": "registrar-of-ours", "status": 200}


async def test_reasons_of_plugins_are_told(sipx_proxy, autojump_clock):
    class Reasons:
        @hookimpl
        def explain_targets(self, request):
            return ["because of \x1b[1m"]

    proxy, home, away = await routed(sipx_proxy)
    proxy.kernel.hooks.register("reasons", Reasons())
    with watched(proxy) as told:
        await delivered(away, home, away.request())
    assert told.one("targets").data["reasons"] == ["because of \\x1b[1m"]


# ---------------------------------------------------------------- what crosses the edge beside


async def test_what_is_sent_again_is_traced_as_bytes(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        request = away.request()
        await away.send(request)
        first = await home.receive()
        await trio.sleep(0.6)
        assert await home.receive() == first
        assert told.bytes == [(first, "out", "")]
        await home.send(answer(first))
        replied = await away.receive()
        assert len(told.bytes) == 1
        await away.send(request)
        assert await away.receive() == replied
        assert told.bytes[1:] == [(replied, "out", "")]


async def test_what_the_proxy_makes_of_its_own_is_traced_as_bytes(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        await away.send(away.request("INVITE"))
        trying = await away.receive()
        invite = await home.receive()
        await home.send(answer(invite, 486))
        ack = await home.receive()
        assert status(await away.receive()) == 486
    assert [data for data, _, _ in told.bytes] == [trying, ack]
    assert ack.startswith(b"ACK ")


async def test_what_is_malformed_is_traced_with_what_is_wrong(sipx_proxy, autojump_clock):
    proxy, _, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        broken = away.request().replace(b"CSeq: 1", b"CSeq: x")
        await away.send(broken)
        reply = await away.receive()
        assert status(reply) == 400
    (came, left) = told.bytes
    assert came[:2] == (broken, "in")
    assert "CSeq" in came[2]
    assert left == (reply, "out", "")
    assert told.messages == []


async def test_a_forwarded_request_is_traced_as_it_is_on_the_wire(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        await delivered(away, home, away.request())
    start = b"MESSAGE sip:bob@home.example SIP/2.0"
    ok = b"SIP/2.0 200 Because"
    assert told.messages == [(start, "in"), (start, "out"), (ok, "in"), (ok, "out")]
    assert told.bytes == []


async def test_an_observer_that_raises_costs_nothing(sipx_proxy, autojump_clock, monkeypatch):
    class Broken:
        @hookimpl
        def decision_made(self):
            raise RuntimeError("broken")

    proxy, home, away = await routed(sipx_proxy)
    kernel = proxy.kernel
    kernel.journal.on_fault = None
    with kernel.handle("lab").watch(Broken()):
        await delivered(away, home, away.request())
    assert kernel.journal.faults["lab"] == 5


async def test_a_step_that_cannot_be_told_costs_nothing_but_that(
    sipx_proxy, autojump_clock, monkeypatch
):
    def fails(*_):
        raise RemoteError("nothing to be read")

    proxy, home, away = await routed(sipx_proxy)
    proxy.kernel.edge.on_bug = None
    monkeypatch.setattr(proxy.kernel.hooks, "explain_targets", fails)
    with watched(proxy) as told:
        await delivered(away, home, away.request())
    assert told.named() == ["sender", "targets", "hops", "branch", "answer"]
    untold = [not decision.text for _, _, decision in told.steps]
    assert untold == [False, True, False, False, False]


async def test_what_the_rules_keep_back_is_not_traced_as_sent(sipx_proxy, autojump_clock):
    proxy, home, away = await routed(sipx_proxy)
    with watched(proxy) as told:
        await away.send(away.request())
        asked = await home.receive()
        await home.send(answer(asked, 183))  # RFC 4320 §4.1: not for a non-INVITE
        await home.send(answer(asked))
        assert status(await away.receive()) == 200
    out = [start for start, direction in told.messages if direction == "out"]
    assert out == [b"MESSAGE sip:bob@home.example SIP/2.0", b"SIP/2.0 200 Because"]
