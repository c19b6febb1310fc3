"""Somebody who logged on: what plugins serve for it, and how dialogs with it go on."""

from __future__ import annotations

import pytest
import trio

from sipx.accounts import Account
from sipx.cookies import peer_id
from sipx.plugin import Accept, Later, NextHop, Refuse, Sender, Target, Targets, hookimpl
from sipx.sip import cached_uri
from sipx.trust import SenderKind

BERLIN = Account("berlin", SenderKind.UC_SERVER)


class Registrar:
    """Knows one UC server by its address, and the flow that it came on last."""

    def __init__(self) -> None:
        self.address = ""
        self.flow = None
        self.wait = None
        self.served: list[bytes] = []
        self.asked: list[tuple[bytes, bool, str]] = []
        self.answer = None
        self.serves_targets = True

    @hookimpl
    def option_tags(self):
        return (b"gin",)

    @hookimpl
    def authenticate_request(self, request, flow):
        if flow.address != self.address:
            return None
        self.flow = flow
        domains = {b"home.example"}
        return Accept(Sender(BERLIN.kind, BERLIN.name, domains, trusted=True, account=BERLIN))

    @hookimpl
    def serve_request(self, request, sender, flow):
        if request.method != b"REGISTER":
            return None
        self.served.append(sender.name)
        response = request.reply(200, headers=((b"Contact", b"<sip:x>"),))
        if self.wait is None:
            return response

        async def later():
            await self.wait.wait()
            return response

        return Later(later)

    @hookimpl
    def determine_targets(self, request, sender):
        if self.answer is not None:
            return self.answer
        ours = cached_uri(request.uri).host == b"home.example"
        if not (ours and self.flow is not None and self.serves_targets):
            return None
        target = Target(flow=self.flow, name="berlin", account=BERLIN, trusted=True)
        return Targets(((target,),), unreachable=Refuse(480, "its server is down"))

    @hookimpl
    def dialog_target(self, peer, flow, sender):
        self.asked.append((peer, flow is self.flow, sender.name))
        return None if self.answer is None else self.answer


async def logged_on(scene):
    made = await scene()
    registrar = Registrar()
    made.plug("registrar", registrar)
    made.kernel.proxy.understood = made.kernel.hooks.option_tags()
    berlin, away = made.raw("home.example", routed=False), made.raw("away.example")
    registrar.address = berlin.place[0]
    return made, registrar, berlin, away


async def test_a_request_to_the_domain_is_served_and_one_to_a_user_is_not(scene, autojump_clock):
    _, registrar, berlin, _ = await logged_on(scene)
    berlin.ask("REGISTER", "sip:home.example", sender="sip:anna@home.example")
    answer = await berlin.next(200)
    assert answer.get(b"Contact") == b"<sip:x>"
    berlin.ask("REGISTER", "sip:127.0.0.1:5060")
    await berlin.next(200)
    assert registrar.served == ["berlin", "berlin"]
    # What the plugin does not serve, and what is for a user, goes the way of all requests.
    berlin.ask("MESSAGE", "sip:home.example")
    berlin.answer(await berlin.next("MESSAGE"), 200)
    await berlin.next(200)
    assert registrar.served == ["berlin", "berlin"]


async def test_an_answer_that_has_to_wait_comes_when_it_is_there(scene, autojump_clock):
    made, registrar, berlin, _ = await logged_on(scene)
    registrar.wait = trio.Event()
    asked = berlin.ask("REGISTER", "sip:home.example")
    berlin.send(asked)
    await trio.testing.wait_all_tasks_blocked()
    assert berlin.heard() == []
    assert made.kernel.parked == 1
    registrar.wait.set()
    await berlin.next(200)
    assert registrar.served == ["berlin"]


async def test_many_answers_of_one_moment_leave_in_one_write(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    registrar = Registrar()
    proxy.kernel.hooks._order.insert(0, "registrar")
    proxy.kernel.hooks.register("registrar", registrar)
    registrar.wait = trio.Event()
    client = proxy.peer("home.example", transport="tcp", routed=False)
    registrar.address = client.place[0]
    written = []
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(client.request, "REGISTER", "sip:home.example")
        await trio.testing.wait_all_tasks_blocked()
        (flow,) = [one for one in proxy.kernel.flows if one.address == client.place[0]]
        write = type(flow).write
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                type(flow), "write", lambda at, data: (written.append(data), write(at, data))
            )
            registrar.wait.set()
            await trio.testing.wait_all_tasks_blocked()
    assert len(registrar.served) == 20
    assert sum(data.count(b"SIP/2.0 200") for data in written) == 20
    assert len(written) == 1


async def test_options_to_the_domain_is_answered_by_the_proxy_where_nobody_else_is_asked(
    scene, autojump_clock
):
    _, registrar, berlin, _ = await logged_on(scene)
    registrar.serves_targets = False
    berlin.ask("OPTIONS", "sip:home.example")
    assert (await berlin.next(200)).get(b"Accept") == b"*/*"
    berlin.ask("OPTIONS", "sip:anna@home.example")
    await berlin.next(404)


async def test_a_register_is_for_a_domain_and_of_no_dialog(scene, autojump_clock):
    """Passed on, it would reach a server over the connection that this trusts."""
    _, registrar, berlin, away = await logged_on(scene)
    berlin.ask("REGISTER", "sip:home.example")
    await berlin.next(200)
    for uri in ("sip:anna@home.example", "sips:%61nna@HOME.example"):
        berlin.ask("REGISTER", uri, "Supported: path")
        await berlin.next(400)
    berlin.ask("SUBSCRIBE", "sip:peer@away.example", call_id="watch")
    away.answer(await away.next("SUBSCRIBE"), 200)
    [route] = (await berlin.next(200)).get_all(b"Record-Route")
    berlin.ask("REGISTER", "sip:away.example", f"Route: {route.decode()}", call_id="watch")
    await berlin.next(403)
    assert registrar.served == ["berlin"]
    assert berlin.heard() == away.heard() == []


async def test_strangers_are_not_served(scene, autojump_clock):
    made, registrar, _, away = await logged_on(scene)
    stranger = made.raw("elsewhere.example", routed=False)
    stranger.ask("REGISTER", "sip:home.example", sender="sip:anna@home.example")
    await stranger.next(403)
    away.ask("REGISTER", "sip:home.example", sender="sip:anna@away.example")
    await away.next(405)
    assert registrar.served == []


async def test_option_tags_of_plugins_are_understood_in_proxy_require(scene, autojump_clock):
    _, _, berlin, _ = await logged_on(scene)
    berlin.ask("REGISTER", "sip:home.example", "Proxy-Require: gin")
    await berlin.next(200)
    berlin.ask("REGISTER", "sip:home.example", "Proxy-Require: gin, foo")
    assert (await berlin.next(420)).get(b"Unsupported") == b"foo"


async def test_a_dialog_with_it_goes_over_its_flow_wherever_its_contact_leads(
    scene, autojump_clock
):
    made, registrar, berlin, away = await logged_on(scene)
    berlin.ask("REGISTER", "sip:home.example")
    await berlin.next(200)
    away.ask("INVITE", "sip:anna@home.example", call_id="call")
    invite = await berlin.next("INVITE")
    # Its Contact is an address behind a NAT that nobody can reach.
    answer = invite.reply(200, headers=[(b"Contact", b"<sip:anna@10.9.9.9:5060>")], to_tag=b"far")
    for value in invite.get_all(b"Record-Route"):
        answer.add(b"Record-Route", value)
    berlin.send(answer.encode())
    ok = await away.next(200)
    routes = [f"Route: {value.decode()}" for value in ok.get_all(b"Record-Route")]
    away.ask("ACK", "sip:anna@10.9.9.9:5060", *routes, call_id="call", to_tag="far")
    await berlin.next("ACK")
    away.ask("INFO", "sip:anna@10.9.9.9:5060", *routes, call_id="call", to_tag="far", cseq=2)
    berlin.answer(await berlin.next("INFO"), 200)
    await away.next(200)
    assert registrar.asked == [(peer_id("berlin"), True, "away.example")] * 2
    # The other way the partner is found as ever, and the registrar is not asked.
    uri = f"sip:user@{away.place[0]}:5060"
    berlin.ask("BYE", uri, *reversed(routes), call_id="call", to_tag="near", cseq=7)
    away.answer(await away.next("BYE"), 200)
    await berlin.next(200)
    assert len(registrar.asked) == 2
    assert made.kernel.journal.faults == {}


async def test_a_dialog_whose_flow_has_gone_gets_430_or_what_the_plugin_says(scene, autojump_clock):
    _, registrar, berlin, away = await logged_on(scene)
    berlin.ask("REGISTER", "sip:home.example")
    await berlin.next(200)
    away.ask("SUBSCRIBE", "sip:anna@home.example", "Event: presence", call_id="watch")
    berlin.answer(await berlin.next("SUBSCRIBE"), 200)
    routes = [
        f"Route: {value.decode()}" for value in (await away.next(200)).get_all(b"Record-Route")
    ]

    def again(cseq):
        away.ask(
            "SUBSCRIBE",
            "sip:anna@10.9.9.9:5060",
            *routes,
            "Event: presence",
            call_id="watch",
            to_tag="far",
            cseq=cseq,
        )

    registrar.flow.close("gone")
    again(2)
    await away.next(430)
    registrar.answer = Refuse(480, "its server is down", ((b"Retry-After", b"30"),))
    again(3)
    assert (await away.next(480)).get(b"Retry-After") == b"30"
    assert registrar.asked == [(peer_id("berlin"), False, "away.example")] * 2
    assert berlin.heard() == []


async def test_a_dialog_whose_end_cannot_be_called_back_gets_480(scene, autojump_clock):
    _, registrar, berlin, away = await logged_on(scene)
    berlin.ask("REGISTER", "sip:home.example")
    await berlin.next(200)
    away.ask("SUBSCRIBE", "sip:anna@home.example", "Event: presence", call_id="watch")
    berlin.answer(await berlin.next("SUBSCRIBE"), 200)
    routes = [
        f"Route: {value.decode()}" for value in (await away.next(200)).get_all(b"Record-Route")
    ]
    registrar.flow.close("gone")
    nowhere = NextHop("127.0.9.9", 5060, "tcp")
    registrar.answer = Target(hops=(nowhere,), name="berlin", account=BERLIN, trusted=True)
    for method, cseq in (("SUBSCRIBE", 2), ("NOTIFY", 3), ("BYE", 4)):
        away.ask(
            method, "sip:anna@10.9.9.9:5060", *routes, call_id="watch", to_tag="far", cseq=cseq
        )
        assert b"cannot be reached now" in (await away.next(480)).get(b"Warning")


async def test_who_cannot_be_reached_is_answered_for_as_the_plugin_says(scene, autojump_clock):
    made, registrar, berlin, away = await logged_on(scene)
    berlin.ask("REGISTER", "sip:home.example")
    await berlin.next(200)
    registrar.flow.close("gone")
    away.ask("MESSAGE", "sip:anna@home.example")
    assert b"its server is down" in (await away.next(480)).get(b"Warning")
    registrar.answer = Refuse(480, "nobody is up", ((b"Retry-After", b"5"),))
    away.ask("MESSAGE", "sip:anna@home.example")
    assert (await away.next(480)).get(b"Retry-After") == b"5"
    assert made.kernel.journal.refused_for["user-unreachable"] == 1


async def test_hunting_goes_on_for_every_method_only_where_another_may_do_better(
    scene, autojump_clock
):
    made, registrar, _, away = await logged_on(scene)
    first, second = made.raw("one.example"), made.raw("two.example")
    groups = tuple((made.target(peer),) for peer in (first, second))
    registrar.answer = Targets(groups, hunt=True, unreachable=Refuse(480, "all down"))
    away.ask("MESSAGE", "sip:anna@home.example")
    first.answer(await first.next("MESSAGE"), 480)
    second.answer(await second.next("MESSAGE"), 200)
    await away.next(200)
    away.ask("MESSAGE", "sip:anna@home.example")
    first.answer(await first.next("MESSAGE"), 486)
    await away.next(486)
    away.ask("MESSAGE", "sip:anna@home.example")
    first.answer(await first.next("MESSAGE"), 503)
    second.answer(await second.next("MESSAGE"), 503)
    assert b"all down" in (await away.next(480)).get(b"Warning")
    away.ask("MESSAGE", "sip:anna@home.example")
    first.answer(await first.next("MESSAGE"), 404)
    second.answer(await second.next("MESSAGE"), 404)
    await away.next(404)
    assert second.heard() == []


async def test_n02_a_register_that_is_forwarded_gets_a_path_that_leads_back_to_its_flow(
    scene, autojump_clock
):
    made = await scene()
    phone, registrar = made.raw("home.example"), made.raw("away.example")
    phone.ask("REGISTER", "sip:away.example", "Supported: path, outbound")
    register = await registrar.next("REGISTER")
    [path] = register.get_all(b"Path")
    assert path.endswith(b";lr;ob>")
    registrar.answer(register, 200)
    await phone.next(200)
    # Whoever the REGISTER went to reaches the phone by it; its Contact is of no use.
    uri = "sip:user@10.9.9.9:5060"
    registrar.ask("MESSAGE", uri, f"Route: {path.decode()}")
    message = await phone.next("MESSAGE")
    assert message.uri == uri.encode()
    assert message.get(b"Route") is None
    phone.answer(message, 200)
    await registrar.next(200)
    # Nobody else does, and a token that was altered leads nowhere.
    other = made.raw("elsewhere.example")
    other.ask("MESSAGE", uri, f"Route: {path.decode()}")
    await other.next(403)
    registrar.ask("MESSAGE", uri, f"Route: {path.decode().replace('flow.', 'flow.A')}")
    await registrar.next(403)
    for flow in made.kernel.flows:
        if flow.address == phone.place[0]:
            flow.close("gone")
    registrar.ask("MESSAGE", uri, f"Route: {path.decode()}")
    await registrar.next(430)
    assert phone.heard() == []


async def test_n02_a_path_names_the_interface_that_the_registrar_is_reached_from(
    scene, autojump_clock
):
    made = await scene(
        interface={
            "udp": {"bind": "127.0.0.1", "port": 5060, "protocol": "udp", "role": "lan"},
            "far": {"bind": "127.0.0.9", "port": 5070, "protocol": "udp"},
        }
    )
    phone, registrar = made.raw("home.example"), made.raw("away.example", routed=False)
    hop = NextHop(*registrar.place, "udp", bind="far")
    made.lab.targets[b"away.example"] = Targets(((Target(hops=(hop,), trusted=True),),))
    phone.ask("REGISTER", "sip:away.example", "Supported: path")
    register = await registrar.next("REGISTER")
    assert b"@127.0.0.9:5070;lr" in register.get_all(b"Path")[0]
    registrar.answer(register, 200)
    await phone.next(200)


async def test_n02_without_support_there_is_no_path_and_at_the_edge_for_users_421(
    scene, autojump_clock
):
    made = await scene()
    phone, registrar = made.raw("home.example"), made.raw("away.example")
    phone.ask("REGISTER", "sip:away.example")
    register = await registrar.next("REGISTER")
    assert register.get(b"Path") is None
    registrar.answer(register, 200)
    await phone.next(200)
    made.kernel.interfaces.named("udp").role = "lan"
    phone.ask("REGISTER", "sip:away.example")
    assert (await phone.next(421)).get(b"Require") == b"path"
    assert registrar.heard() == []


async def test_a_path_that_a_binding_has_is_preloaded_as_its_route(scene, autojump_clock):
    made, registrar, _, away = await logged_on(scene)
    edge = made.raw("edge.example")
    route = b"<sip:token@%b:5060;lr>" % edge.place[0].encode()
    target = Target(uri=b"sip:anna@10.9.9.9", route=(route, b"<sip:inner.example;lr>"))
    made.kernel.paths.networks = ("127.0.0.0/8",)
    made.kernel.paths.forget()
    registrar.answer = Targets(((target,),))
    away.ask("MESSAGE", "sip:anna@home.example")
    message = await edge.next("MESSAGE")
    assert message.uri == b"sip:anna@10.9.9.9"
    assert message.get_all(b"Route") == [route, b"<sip:inner.example;lr>"]
    edge.answer(message, 200)
    await away.next(200)
