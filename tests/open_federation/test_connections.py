"""What a connection was proven for, and what it may carry: SEC-10, SEC-16, and dialogs.

Whoever attacks has a certificate that everybody believes, for evil.example, and the DNS of that
domain; sometimes the DNS of others, too.
"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from sipx.testing import Authority, Dialog, TcpCarrier, UdpCarrier, UserAgent
from sipx.testing.sessions import Notifier, subscribe_headers

from .lab import ADA, AWAY, BOB, EVIL, OTHER, why

EVE = f"sip:eve@{EVIL}"


async def until(condition):
    """Wait for something that happens without anybody being told."""
    with trio.fail_after(10):
        while not condition():
            await trio.sleep(0.01)


def outbound(lab):
    return [flow for flow in lab.flows() if flow.outbound]


# ---------------------------------------------------------------- SEC-16


async def test_sec16_two_domains_at_one_place_are_reached_by_two_connections(lab):
    """With a certificate for both: each connection carries what it was proven for."""
    edge = await lab.published(AWAY, f"sip.{AWAY}", f"sip.{OTHER}")
    lab.publish(OTHER, f"sip.{OTHER}", edge.place[1], edge.place[0])
    await lab.run()
    for _ in range(2):
        assert (await lab.ada.message(BOB, "hello")).status == 200
        assert (await lab.ada.message(f"sip:x@{OTHER}", "hello")).status == 200
    names = sorted(flow.partner.name for flow in outbound(lab))
    assert names == [f"{AWAY} (discovered)", f"{OTHER} (discovered)"]


async def test_sec16_a_connection_proven_for_one_domain_never_carries_another(lab):
    """CVE-2020-15260: evil's SRV record leads to the place where a connection is open already."""
    edge = await lab.published(AWAY)
    lab.publish(EVIL, f"sip.{EVIL}", edge.place[1], edge.place[0])
    await lab.run()
    assert (await lab.ada.message(BOB, "hello")).status == 200
    response = await lab.ada.message(EVE, "hello")
    assert response.status == 502
    assert f"it names sip.{AWAY}" in why(response)
    assert edge.received["MESSAGE"] == 1
    [flow] = outbound(lab)
    assert flow.partner.name == f"{AWAY} (discovered)"


@pytest.mark.parametrize(("domain", "code"), [(AWAY, 200), (OTHER, 502)])
async def test_sec16_an_inbound_connection_carries_what_its_certificate_proves(lab, domain, code):
    """RFC 5923: a peer offers its connection for requests to itself, and to nobody else."""
    eve = await lab.edge(AWAY)
    lab.publish(AWAY, f"sip.{AWAY}", eve.place[1], eve.place[0])
    lab.publish(OTHER, f"sip.{OTHER}", eve.place[1], eve.place[0])
    await lab.run()
    lab.reach(eve)
    wire = await eve.carrier.wire_to(eve.proxy)
    _, via = eve._new_via()
    request = eve.new("MESSAGE", ADA)
    wire.send(b"\r\n".join([request.start, via + b";alias", *request.lines, b"", b""]))
    await until(lambda: eve.received["200"])
    response = await lab.ada.message(f"sip:x@{domain}", "hello")
    assert response.status == code, why(response)
    if code == 200:
        assert outbound(lab) == []
    assert eve.received["MESSAGE"] == (code == 200)


async def test_sec16_a_static_route_and_a_discovered_domain_at_one_place(lab):
    edge = await lab.published(AWAY, f"sip.{AWAY}", f"sip.{OTHER}")
    route = {"server": f"sip.{OTHER}", "port": edge.place[1], "protocol": "mtls"}
    lab.host(f"sip.{OTHER}", edge.place[0])
    await lab.run(routes={OTHER: route})
    pai = ((b"P-Asserted-Identity", f"<{ADA}>".encode()),)
    for domain in (OTHER, AWAY):
        assert (await lab.ada.request("MESSAGE", f"sip:x@{domain}", headers=pai)).status == 200
    trusted, discovered = [await edge.receive("MESSAGE") for _ in range(2)]
    assert trusted.get_all(b"P-Asserted-Identity")
    assert not discovered.get_all(b"P-Asserted-Identity")
    assert len(outbound(lab)) == 2


async def test_sec16_each_request_of_a_connection_is_judged_by_its_own_from_domain(lab):
    """What was proven once says nothing about the next domain."""
    for domain in (AWAY, OTHER):
        lab.publish(domain, f"sip.{domain}", 5061, "127.0.0.99")
    await lab.run()
    bob = await lab.edge(AWAY, f"sip.{AWAY}", f"sip.{OTHER}")
    for domain, code in (
        (AWAY, 200),
        (EVIL, 403),
        (OTHER, 200),
        (EVIL, 403),
        (AWAY, 200),
        (f"sub.{AWAY}", 403),
    ):
        response = await bob.message(ADA, "hello", sender=f"sip:x@{domain}")
        assert response.status == code, domain
    assert len(lab.flows()) == 1
    assert lab.ada.received["MESSAGE"] == 3


# ---------------------------------------------------------------- SEC-10


@pytest.mark.parametrize("target", [f"sip.{EVIL}", f"sip.{AWAY}", EVIL, AWAY])
async def test_sec10_a_poisoned_dns_gives_nobody_the_messages_of_others(lab, target):
    """The attacker answers for away.example; his certificate does not."""
    eve = await lab.published(AWAY, f"sip.{EVIL}", EVIL, target=target, user="eve")
    await lab.run()
    lab.reach(eve)
    response = await lab.ada.message(BOB, "secret")
    assert response.status == 502, why(response)
    assert not eve.received["MESSAGE"]
    response = await eve.message(ADA, "believe me", sender=BOB)
    assert response.status == 403
    assert not lab.ada.received["MESSAGE"]


async def test_sec10_the_true_server_is_used_as_soon_as_the_dns_is_true_again(lab):
    eve = await lab.published(AWAY, f"sip.{EVIL}", target=f"sip.{EVIL}")
    await lab.run()
    assert (await lab.ada.message(BOB, "secret")).status == 502
    lab.withdraw(AWAY)
    bob = await lab.published(AWAY)
    lab.proxy.kernel.resolver.flush()
    assert (await lab.ada.message(BOB, "hello")).status == 200
    assert (bob.received["MESSAGE"], eve.received["MESSAGE"]) == (1, 0)


async def test_sec10_a_stranger_has_no_name_of_his_choice_asked_for(lab):
    """A From domain that the certificate cannot prove costs no question."""
    await lab.run()
    eve = await lab.edge(EVIL)
    for number in range(5):
        response = await eve.message(ADA, "hello", sender=f"sip:x@n{number}.victim.example")
        assert response.status == 403
    for number in range(5):
        response = await eve.message(ADA, "hello", sender=f"sip:x@n{number}.{EVIL}")
        assert response.status == 403
    assert lab.dns.queries == []


# ---------------------------------------------------------------- dialogs


async def subscribed(lab, contact=None, **more):
    """bob@away.example has subscribed to ada; what ada sends her NOTIFYs with."""
    bob = await lab.published(AWAY)
    await lab.run(**more)
    lab.reach(bob)
    lab.ada.on("SUBSCRIBE", None)
    headers = subscribe_headers(bob, "presence", 3600)
    if contact is not None:
        headers = (*headers[:-1], (b"Contact", contact))
    asking = await bob.ask(bob.new("SUBSCRIBE", ADA, headers=headers))
    request = await lab.ada.receive("SUBSCRIBE")
    response = lab.ada.reply(request, 200, headers=((b"Expires", b"3600"),))
    assert (await asking.answer()).status == 200
    bob.on("NOTIFY", answer_200)
    return bob, Notifier(lab.ada, Dialog.of_callee(request, response), b"presence")


async def answer_200(agent, request):
    agent.reply(request, 200)


async def test_a_notify_goes_over_a_connection_proven_for_the_partner(lab):
    bob, notifier = await subscribed(lab)
    assert (await notifier.notify(b"1")).status == 200
    [flow] = outbound(lab)
    assert flow.partner.name == f"{AWAY} (discovered)"
    assert flow.partner.domain == AWAY.encode()
    notify = await bob.receive("NOTIFY")
    assert notify.body == b"1"


async def test_a_notify_finds_its_partner_also_when_its_srv_record_has_moved(lab):
    """New requests follow the record, dialogs go where they were agreed on; both are proven."""
    bob, notifier = await subscribed(lab)
    assert (await notifier.notify(b"1")).status == 200
    lab.withdraw(AWAY)
    moved = await lab.published(AWAY, f"new.{AWAY}", user="moved")
    lab.proxy.kernel.resolver.flush()
    for flow in lab.flows():
        flow.close("everything begins anew")
    assert (await lab.ada.message(BOB, "hello")).status == 200
    assert (await notifier.notify(b"2")).status == 200
    assert (bob.received["NOTIFY"], moved.received["NOTIFY"]) == (2, 0)
    assert (bob.received["MESSAGE"], moved.received["MESSAGE"]) == (0, 1)
    assert {flow.partner.name for flow in outbound(lab)} == {f"{AWAY} (discovered)"}


async def test_a_notify_goes_on_when_the_srv_record_is_gone(lab):
    bob, notifier = await subscribed(lab)
    lab.withdraw(AWAY)
    lab.proxy.kernel.resolver.flush()
    for flow in lab.flows():
        flow.close("everything begins anew")
    assert (await lab.ada.message(BOB, "hello")).status == 404
    assert (await notifier.notify(b"2")).status == 200
    assert bob.received["NOTIFY"] == 1


async def test_whoever_sits_where_the_partner_was_gets_no_notify(lab):
    """A dialog leads to an address. Who is there now has to prove that he is the partner."""
    bob, notifier = await subscribed(lab)
    place = bob.place
    bob._nursery.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    for flow in lab.flows():
        flow.close("the partner has gone")
    eve = await lab.edge(EVIL, f"sip.{EVIL}", address=place[0], port=place[1])
    response = await notifier.notify(b"secret")
    assert response.status == 502
    assert f"it names sip.{EVIL}" in why(response)
    assert not eve.received


@pytest.mark.parametrize("transport", [";transport=tcp", ";transport=udp", ""])
async def test_a_dialog_with_a_discovered_partner_stays_on_tls(lab, transport):
    """Its Contact may name any place, but none that proves nothing."""
    tcp = UserAgent(EVE, TcpCarrier("127.0.0.77"))
    await lab.nursery.start(tcp.serve)
    udp = UserAgent(EVE, UdpCarrier("127.0.0.77", tcp.place[1]))
    await lab.nursery.start(udp.serve)
    contact = b"<sip:bob@127.0.0.77:%d%b>" % (tcp.place[1], transport.encode())
    near = {"bind": "127.0.0.1", "port": 0, "protocol": "tcp"}
    _, notifier = await subscribed(
        lab, contact, interface={"tcp": near}, extra={"limits": {"connect_timeout": 1}}
    )
    response = await notifier.notify(b"secret")
    assert response.status >= 400
    if transport:
        assert response.status == 403
        assert "it is spoken to by TLS" in why(response)
    for sink in (tcp, udp):
        assert not sink.received
        assert not any(b"secret" in data for data in sink.malformed)


async def test_sec09_a_contact_is_no_way_into_our_network(lab):
    inside = UserAgent("sip:inside@10.example", TcpCarrier("127.1.0.1"))
    await lab.nursery.start(inside.serve)
    contact = b"<sip:bob@127.1.0.1:%d;transport=tls>" % inside.place[1]
    _, notifier = await subscribed(lab, contact, trust={"networks": ["127.0.0.0/24"]})
    response = await notifier.notify(b"secret")
    assert response.status == 403
    assert "127.1.0.1 is a loopback address" in why(response)
    assert not inside.malformed


async def test_sec09_a_contact_is_no_way_back_to_ourselves(lab):
    contact = b"<sip:bob@127.0.0.1:%d;transport=tls>"
    bob = await lab.published(AWAY)
    await lab.run()
    lab.reach(bob)
    lab.ada.on("SUBSCRIBE", None)
    headers = subscribe_headers(bob, "presence", 3600)[:-1]
    ours = contact % lab.proxy.place("federation")[1]
    request = bob.new("SUBSCRIBE", ADA, headers=(*headers, (b"Contact", ours)))
    asking = await bob.ask(request)
    request = await lab.ada.receive("SUBSCRIBE")
    response = lab.ada.reply(request, 200, headers=((b"Expires", b"3600"),))
    await asking.answer()
    notifier = Notifier(lab.ada, Dialog.of_callee(request, response), b"presence")
    response = await notifier.notify(b"secret")
    assert response.status in (403, 482), why(response)
    assert not outbound(lab)


@pytest.mark.parametrize("method", ["MESSAGE", "NOTIFY", "BYE"])
async def test_a_forged_dialog_proves_nothing(lab, method):
    """SEC-03: a Route to us and a To tag are no dialog, also where the domain was proven before."""
    bob = await lab.published(AWAY)
    await lab.run()
    lab.reach(bob)
    assert (await bob.message(ADA, "hello")).status == 200
    lab.withdraw(AWAY)
    lab.proxy.kernel.resolver.flush()
    host, port = lab.proxy.place("federation")
    request = bob.new(
        method, ADA, headers=[(b"Route", f"<sip:{host}:{port};transport=tls;lr>".encode())]
    )
    request.replace(b"To", f"<{ADA}>;tag=forged".encode())
    response = await bob.send(request)
    assert response.status == 403, why(response)
    assert lab.ada.received.total() == 1


async def test_within_a_dialog_requests_of_the_partner_go_on_when_its_record_is_gone(lab):
    bob = await lab.published(AWAY)
    await lab.run()
    lab.reach(bob)
    subscription = await bob.subscribe(ADA)
    lab.withdraw(AWAY)
    lab.proxy.kernel.resolver.flush()
    assert (await bob.message(ADA, "hello")).status == 403
    assert (await subscription.refresh()).status == 200
    assert (await subscription.unsubscribe()).status == 200
    assert lab.ada.received["SUBSCRIBE"] == 3


async def test_a_cookie_of_somebody_elses_dialog_is_refused(lab):
    """Eve has seen the Record-Route of bob's dialog: it was not written for her."""
    bob, notifier = await subscribed(lab)
    lab.publish(EVIL, f"sip.{EVIL}", 5061, "127.0.0.66")
    eve = await lab.edge(EVIL, user="eve")
    assert (await eve.message(ADA, "hello")).status == 200
    assert (await notifier.notify(b"1")).status == 200
    notify = await bob.receive("NOTIFY")
    stolen = notify.get_list(b"Record-Route")[0]
    request = eve.new("MESSAGE", ADA, headers=[(b"Route", stolen)])
    request.replace(b"Call-ID", notify.call_id)
    response = await eve.send(request)
    assert response.status == 403
    assert "not written by this proxy for this dialog" in why(response)


async def test_a_dialog_outlives_the_process(lab):
    """Who the partner is has to be known again after a restart: by the DNS, and by his proof."""
    bob, notifier = await subscribed(lab)
    assert (await notifier.notify(b"1")).status == 200
    await lab.restart()
    response = await notifier.notify(b"2")
    assert response.status == 200, why(response)
    [flow] = outbound(lab)
    assert flow.partner.domain == AWAY.encode()
    assert bob.received["NOTIFY"] == 2


async def test_sec09_within_a_dialog_a_stranger_reaches_no_other_service(lab):
    """The Request-URI within a dialog is the stranger's to write, and so is its port."""
    [listener] = await trio.open_tcp_listeners(0, host=lab.ada.place[0])
    heard = []

    async def listen(stream):
        heard.append(await stream.receive_some())

    lab.nursery.start_soon(trio.serve_listeners, listen, [listener])
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    near = {"bind": "127.0.0.1", "port": 0, "protocol": "tcp"}
    await lab.run(interface={"tcp": near}, trust={"networks": []})
    bob = await lab.edge()
    subscription = await bob.subscribe(ADA)
    request = subscription.dialog.request(b"MESSAGE", (), b"\r\nFLUSHALL\r\n")
    port = listener.socket.getsockname()[1]
    request.set_uri(b"sip:ada@%b:%d;transport=tcp" % (lab.ada.place[0].encode(), port))
    response = await bob.send(request)
    assert response.status in (403, 404), (response.status, heard)
    assert not heard


# ---------------------------------------------------------------- trust that changes


async def test_within_a_dialog_the_settings_of_now_hold(lab):
    """A record may go while a dialog lives. What the operator believes no more is another thing."""
    bob = await lab.published(AWAY)
    await lab.run()
    lab.reach(bob)
    subscription = await bob.subscribe(ADA)
    table = lab.tables(partner={AWAY: {"pins": ["00" * 32]}})["open-federation"]
    await lab.proxy.reload(**{"open-federation": table})
    assert (await bob.message(ADA, "hello")).status == 403
    response = await subscription.refresh()
    assert response.status == 403
    assert "pins" in why(response)


async def test_an_authority_that_is_taken_away_vouches_for_no_live_connection(lab, tmp_path):
    """[trust] vouches for the certificate as well; the partner's own table is what counts."""
    path = lab.ca.write(tmp_path, "away-ca")
    bob = await lab.published(AWAY)
    await lab.run(partner={AWAY: {"ca": str(path)}})
    lab.reach(bob)
    assert (await bob.message(ADA, "hello")).status == 200
    Authority("Another CA").write(tmp_path, "away-ca")
    assert lab.proxy.kernel.certificates.look()
    await trio.sleep(1.5)
    response = await bob.message(ADA, "hello")
    assert response.status == 403
    assert "does not pass by the authorities" in why(response)


async def test_a_partner_that_is_given_trust_of_its_own_keeps_its_connection(lab, tmp_path):
    path = lab.ca.write(tmp_path, "away-ca")
    bob = await lab.published(AWAY)
    await lab.run()
    lab.reach(bob)
    assert (await bob.message(ADA, "hello")).status == 200
    [before] = lab.flows()
    table = lab.tables(partner={AWAY: {"ca": str(path)}})["open-federation"]
    await lab.proxy.reload(**{"open-federation": table})
    await trio.sleep(1.5)
    assert (await bob.message(ADA, "hello")).status == 200
    assert lab.flows() == [before]


async def test_what_goes_out_within_a_dialog_goes_by_the_settings_of_now(lab):
    _, notifier = await subscribed(lab)
    assert (await notifier.notify(b"one")).status == 200
    table = lab.tables(partner={AWAY: {"pins": ["00" * 32]}})["open-federation"]
    await lab.proxy.reload(**{"open-federation": table})
    response = await notifier.notify(b"two")
    assert response.status == 502, why(response)
    assert "pinned" in why(response)
    table = lab.tables()["open-federation"]
    await lab.proxy.reload(**{"open-federation": table})
    assert (await notifier.notify(b"three")).status == 200


async def test_where_federation_is_switched_off_dialogs_with_strangers_end(lab):
    bob, notifier = await subscribed(lab)
    assert (await notifier.notify(b"one")).status == 200
    table = lab.tables()["open-federation"]
    await lab.proxy.reload(**{"open-federation": {**table, "enabled": False}})
    response = await notifier.notify(b"two")
    assert (response.status, "federation off" in why(response)) == (403, True)
    assert bob.received["NOTIFY"] == 1
    await lab.proxy.reload(**{"open-federation": table})
    assert (await notifier.notify(b"three")).status == 200
