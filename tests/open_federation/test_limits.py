"""SEC-22: how much a discovered partner may ask for, and that nobody else notices.

The plugin's own tests have the arithmetic; here strangers try to get around it.
"""

from __future__ import annotations

import pytest
import trio

from .lab import ADA, AWAY, EVIL, HOME, OTHER, why


async def strangers(lab, *domains, names=None, **settings):
    """One proxy, and an edge for each domain, each with a certificate for it."""
    await lab.run(**settings)
    return [await lab.edge(domain, *(names or (domain,))) for domain in domains]


async def users(agent, count, *, first=0, headers=(), sender=None):
    """The codes that requests for so many different users get."""
    codes = []
    for number in range(first, first + count):
        to = f"sip:user{number}@{HOME}"
        request = agent.new("MESSAGE", to, headers=headers, sender=sender)
        codes.append((await agent.send(request)).status)
    return codes


async def test_sec22_a_partner_asks_for_so_many_different_users_and_no_more(lab, caplog):
    caplog.set_level("INFO", "sipx")
    eve, bob = await strangers(lab, EVIL, AWAY, users_per_day=3)
    assert await users(eve, 5) == [200, 200, 200, 503, 503]
    response = await eve.message(f"sip:user9@{HOME}", "hello")
    assert response.status == 503
    assert 1 <= int(response.get(b"Retry-After")) <= 86400
    assert "over its limit" in why(response)
    assert "[row 8]" in caplog.text
    # Whom it has asked for, it may ask for again; and others notice nothing.
    assert await users(eve, 3) == [200, 200, 200]
    assert await users(bob, 3) == [200, 200, 200]
    assert lab.ada.received["MESSAGE"] == 9


async def test_sec22_users_that_are_there_and_users_that_are_not_count_alike(lab):
    """Else the limit itself would tell who is there."""
    [eve] = await strangers(lab, EVIL, users_per_day=2)
    lab.ada.on("MESSAGE", unknown)
    assert await users(eve, 3) == [404, 404, 503]
    lab.ada.on("MESSAGE", None)


async def unknown(agent, request):
    agent.reply(request, 404)


@pytest.mark.parametrize(
    "spelt", ["sip:USER%30@home.example", "sip:user0@HOME.example", "sip:user0;p=1@home.example"]
)
async def test_sec22_no_spelling_makes_a_new_user_of_an_old_one(lab, spelt):
    [eve] = await strangers(lab, EVIL, users_per_day=1)
    assert await users(eve, 2) == [200, 503]
    response = await eve.message(spelt, "hello")
    assert response.status in (200, 400, 503)


@pytest.mark.parametrize("tagged", [False, True])
async def test_sec22_a_route_header_is_no_way_around_it(lab, tagged):
    """To us, without a cookie of ours: that is no dialog, and the request counts."""
    [eve] = await strangers(lab, EVIL, users_per_day=2)
    host, port = lab.proxy.place("federation")
    route = (b"Route", f"<sip:{host}:{port};transport=tls;lr>".encode())
    codes = []
    for number in range(4):
        to = f"sip:user{number}@{HOME}"
        request = eve.new("SUBSCRIBE", to, headers=[route, (b"Event", b"presence")])
        if tagged:
            request.replace(b"To", f"<{to}>;tag=forged".encode())
        codes.append((await eve.send(request)).status)
    assert codes[2:] == [503, 503]


async def test_sec22_a_dialog_with_one_user_is_no_way_to_ask_for_others(lab):
    """Its cookie is good for its Call-ID, which a stranger may use again for new requests."""
    [eve] = await strangers(lab, EVIL, users_per_day=2)
    subscription = await eve.subscribe(ADA)
    host, port = lab.ada.place
    codes = []
    for number in range(4):
        request = subscription.dialog.request(b"MESSAGE", (), b"hello")
        request.set_uri(f"sip:user{number}@{host}:{port}".encode())
        request.replace(b"To", f"<sip:user{number}@{HOME}>".encode())
        codes.append((await eve.send(request)).status)
    assert codes == [403, 503, 503, 503]
    assert lab.ada.received["MESSAGE"] == 0
    assert (await subscription.refresh()).status == 200


async def test_sec22_many_domains_of_one_certificate_are_one_stranger(lab):
    """Names in a certificate cost nothing, and each proves a domain."""
    names = [f"n{number}.{EVIL}" for number in range(4)]
    [eve] = await strangers(lab, EVIL, names=names, users_per_day=3)
    codes = []
    for number, name in enumerate(names):
        codes += await users(eve, 2, first=2 * number, sender=f"sip:x@{name}")
    assert codes[:3] == [200, 200, 200]
    assert codes[4:] == [503] * 4


async def test_sec22_another_connection_makes_no_other_stranger(lab):
    certs = lab.files(EVIL)
    await lab.run(users_per_day=2)
    codes = []
    for number in range(3):
        eve = await lab.edge(EVIL, certs=certs)
        codes += await users(eve, 1, first=number)
    assert codes == [200, 200, 503]


async def test_an_allowed_partner_has_no_limits_of_strangers(lab):
    [bob] = await strangers(lab, AWAY, users_per_day=1, partner={AWAY: {"allowed": True}})
    assert await users(bob, 4) == [200] * 4


async def test_row_8_too_many_messages_are_slowed_then_refused_and_others_pass(lab, caplog):
    caplog.set_level("INFO", "sipx")
    eve, bob = await strangers(lab, EVIL, OTHER, messages_per_second=40, burst=2)
    for agent in (eve, bob):
        assert (await agent.message(ADA, "hello")).status == 200
    asked = [await eve.ask(eve.new("MESSAGE", ADA)) for _ in range(20)]
    with trio.fail_after(10):
        assert (await bob.message(ADA, "hello")).status == 200
    answers = [await one.answer() for one in asked]
    codes = [answer.status for answer in answers]
    assert set(codes) == {200, 503}
    refused = answers[codes.index(503)]
    assert 1 <= int(refused.get(b"Retry-After")) <= 6
    assert "over its limit" in why(refused)
    assert "[row 8]" in caplog.text
