"""Accounts without a password: row 29 of docs/trust.md."""

from __future__ import annotations

from sipx_lan import LoggedOn


async def test_the_shared_user_without_a_password_names_itself_and_is_in(
    start_site, autojump_clock
):
    site = await start_site(password=None)
    server = site.client()
    assert (await server.register()).status == 200
    [sender] = site.registrar.senders
    assert sender.row == 29
    assert [event.how for event in site.events(LoggedOn)] == ["address"]


async def test_the_user_name_of_credentials_names_it_too(start_site, autojump_clock):
    site = await start_site(password=None, registrar=False)
    server = site.client(password="whatever it has")
    assert (await server.message(sender="sip:alice@home.example")).status == 200
    # The flow is known now, and its next request needs not say who it is.
    request = server.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:bob@home.example")
    assert (await server.agent.send(request)).status == 200


async def test_who_names_nobody_is_asked_and_a_wrong_name_is_refused(start_site, autojump_clock):
    site = await start_site(password=None)
    stranger = site.client(user="somebody", password="x")
    assert [(await stranger.message()).status for _ in range(3)] == [407, 407, 403]


async def test_a_source_that_is_not_listed_is_refused(start_site, autojump_clock):
    site = await start_site(
        user=None, password=None, server={"berlin": {"addresses": "10.0.0.0/8"}}
    )
    server = site.client(user="berlin")
    assert (await server.register()).status == 403
    assert site.events(LoggedOn) == []


async def test_one_of_its_users_names_an_account_only_where_it_may_log_on(
    start_site, autojump_clock
):
    site = await start_site(
        user=None,
        password=None,
        server={
            "near": {"users": "*.near", "addresses": "127.0.1.2"},
            "far": {"users": "*.far", "addresses": "10.0.0.1"},
        },
    )
    server = site.client()
    assert server.agent.place[0] == "127.0.1.2"
    request = server.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a.near@home.example")
    assert (await server.agent.send(request)).status == 200
    other = site.client()
    request = other.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a.far@home.example")
    assert (await other.agent.send(request)).status == 407


async def test_a_password_elsewhere_is_not_made_weaker(start_site, autojump_clock):
    site = await start_site(
        user=None,
        password=None,
        server={"open": {"users": "guest"}, "locked": {"password": "l", "users": "boss"}},
    )
    client = site.client(user="open")
    assert (await client.register()).status == 200
    request = client.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:boss@home.example")
    assert (await client.agent.send(request)).status == 407
