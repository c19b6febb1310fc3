"""UC servers that are killed, hang, are busy, come back: end to end, in virtual time."""

from __future__ import annotations

import pytest
import trio

from sipx.testing import register

from .uc import HOME, Site, settle


@pytest.fixture
async def site(sipx_proxy, nursery):
    proxy = await sipx_proxy(registrar={"store": "memory"})
    return Site(proxy, nursery)


async def test_a_message_reaches_the_server_that_registered_the_user(site, autojump_clock):
    berlin, munich = site.server("berlin"), site.server("munich")
    await berlin.log_on("alice")
    await munich.log_on("bob")
    assert await site.status("alice") == 200
    assert await site.status("bob") == 200
    assert (berlin.got(), munich.got()) == (1, 1)


async def test_a_killed_server_is_suspect_at_once_then_down_and_comes_back(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    assert berlin.state == "up"
    await berlin.kill()
    assert berlin.state == "suspect"
    await trio.sleep(6)
    assert berlin.state == "down"
    await berlin.log_on("alice", port=5060)
    assert berlin.state == "suspect"
    assert await site.status() == 200
    await trio.sleep(3)
    assert berlin.state == "up"
    assert site.changes("berlin") == [
        ("never seen", "up"),
        ("up", "suspect"),
        ("suspect", "down"),
        ("down", "suspect"),
        ("suspect", "up"),
    ]


async def test_users_of_a_dead_server_get_480_at_once_or_go_to_one_that_may_serve_them(
    site, autojump_clock
):
    berlin = site.server("berlin", users=["alice", "carol"])
    munich = site.server("munich", users=["carol"])
    await berlin.log_on("alice", "carol")
    await munich.log_on()
    await berlin.kill()
    began = trio.current_time()
    response = await site.message("alice")
    assert response.status == 480
    assert response.get(b"Retry-After") == b"30"
    assert await site.status("carol") == 200
    assert munich.got() == 1
    assert trio.current_time() - began < 0.5


async def test_what_was_under_way_on_a_lost_connection_goes_to_the_next_server(
    site, autojump_clock
):
    berlin, munich = site.server("berlin"), site.server("munich")
    await berlin.log_on("alice")
    await munich.log_on()
    berlin.mute("MESSAGE")
    answers = []

    async def ask():
        answers.append(await site.status())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await settle()
        assert berlin.got() == 1
        await berlin.kill()
    assert answers == [200]
    assert munich.got() == 1


async def test_what_was_under_way_with_no_other_server_is_answered_480(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    berlin.mute("MESSAGE")
    answers = []

    async def ask():
        answers.append(await site.status())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await settle()
        await berlin.kill()
    assert answers == [480]


async def test_a_server_that_hangs_is_found_out_by_pings(site, autojump_clock):
    berlin, munich = site.server("berlin"), site.server("munich")
    await berlin.log_on("alice")
    await munich.log_on()
    berlin.hang()
    await trio.sleep(42)
    assert berlin.state == "suspect"
    assert await site.status("alice") == 200
    assert munich.got() == 1, "suspect: another one that may serve her is asked first"
    await trio.sleep(25)
    assert berlin.state == "down"
    berlin.goes_on()
    berlin.answers("OPTIONS", 404)
    await trio.sleep(15)
    assert berlin.state == "up"
    assert await site.status("alice") == 200
    assert berlin.got() == 1


async def test_a_server_that_answers_no_request_is_pinged_at_once(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    await trio.sleep(2)
    berlin.hang()
    with trio.move_on_after(12):
        await site.message()
    assert berlin.state == "suspect"


async def test_pings_answered_with_503_or_408_are_no_signs_of_life(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on()
    for status in (503, 408):
        berlin.answers("OPTIONS", status)
        await trio.sleep(60)
        assert berlin.state == "down"
        berlin.answers("OPTIONS", 500)
        await trio.sleep(30)
        assert berlin.state == "up"


async def test_503_sends_others_to_another_server_for_a_while(site, autojump_clock):
    berlin = site.server("berlin", users=["alice", "carol"])
    munich = site.server("munich", users=["carol"])
    await berlin.log_on("alice", "carol")
    await munich.log_on()
    berlin.answers("MESSAGE", 503, ((b"Retry-After", b"20"),))
    assert await site.status("carol") == 200
    assert (berlin.got(), munich.got()) == (1, 1)
    assert berlin.state == "suspect"
    assert await site.status("carol") == 200
    assert (berlin.got(), munich.got()) == (1, 2)
    await trio.sleep(60)
    assert berlin.state == "up"


async def test_503_of_the_only_server_is_noticed_too(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    berlin.answers("MESSAGE", 503)
    assert await site.status("alice") == 480
    assert berlin.state == "suspect"


async def test_sipx_connects_to_a_server_by_itself_and_again(site, autojump_clock):
    berlin = site.server("berlin", listens=True, users=["alice"])
    await berlin.start()
    await trio.sleep(5)
    assert berlin.state == "up"
    assert await site.status() == 200
    await berlin.kill()
    await trio.sleep(6)
    assert berlin.state == "down"
    await berlin.start()
    await trio.sleep(40)
    assert berlin.state == "up"
    assert await site.status() == 200


async def test_a_connection_that_is_lost_while_its_server_lives_is_made_again(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.start()
    await berlin.binds("alice")  # no logon of its own: its user's Contact says where it is
    berlin.server.ways[0].flow.close("a firewall has forgotten it")
    await trio.sleep(1)
    assert berlin.state == "up"
    assert await site.status() == 200
    assert berlin.server.ways[0].flow.outbound


async def test_an_answer_from_the_place_of_a_user_is_one_of_its_server(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.start()
    await berlin.binds("alice")
    berlin.server.dial = berlin.server.dial_target = None  # as if nobody knew where it is
    berlin.server.ways[0].flow.close("a firewall has forgotten it")
    await settle()
    assert berlin.state == "suspect"
    assert await site.status() == 200
    assert berlin.state == "up"
    await trio.sleep(10)
    assert berlin.state == "up"


async def test_by_udp_pings_alone_tell(site, autojump_clock):
    berlin = site.server("berlin", transport="udp")
    await site.proxy.reload(registrar={"store": "memory", "ping_interval": "10s"})
    await berlin.log_on("alice")
    assert await site.status() == 200
    await berlin.kill()
    assert berlin.state == "up"
    await trio.sleep(40)
    assert berlin.state == "down"
    assert await site.status() == 480


async def test_a_logon_that_is_not_refreshed_ends_a_server(site, autojump_clock):
    berlin = site.server("berlin", transport="udp")
    await berlin.log_on(expires=60)
    await trio.sleep(58)
    assert berlin.state == "up"
    await trio.sleep(10)
    assert berlin.state == "down"
    assert "expired" in berlin.server.reason


async def test_a_server_that_logs_off_is_down_at_once(site, autojump_clock):
    berlin = site.server("berlin")
    own = await berlin.log_on()
    await own.unregister()
    assert berlin.state == "down"


async def test_slow_start_gives_back_the_share_step_by_step(site, autojump_clock):
    berlin, munich = site.server("berlin"), site.server("munich")
    await berlin.log_on()
    await munich.log_on()
    users = [f"user{number}" for number in range(60)]

    async def share():
        before = berlin.got()
        for user in users:
            assert await site.status(user) == 200
        return berlin.got() - before

    whole = await share()
    assert 15 < whole < 45
    await berlin.kill()
    await trio.sleep(6)
    assert [await site.status(user) for user in users] == [200] * 60
    await berlin.log_on(port=5070)
    await trio.sleep(3)
    assert berlin.state == "up"
    little = await share()
    assert little < whole / 2
    await trio.sleep(31)
    assert await share() == whole


async def test_two_servers_under_one_account_are_told_of(site, autojump_clock):
    berlin = site.server("berlin", users=["alice"])
    other = site.server("twin", users=["alice"])
    site.accounts.senders[other.address] = site.accounts.senders[berlin.address]
    other.name = "berlin"
    await berlin.log_on()
    await other.log_on()
    assert await site.status() == 200
    assert (berlin.got(), other.got()) == (0, 1)
    assert ("up", "up") in site.changes("berlin")
    await other.kill()
    assert berlin.state == "up"
    assert await site.status() == 200
    assert berlin.got() == 1


async def test_a_server_that_moved_is_reached_where_it_is_now(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    await berlin.kill()
    await berlin.log_on(port=5066)
    assert berlin.state == "up"
    assert await site.status() == 200, "her binding names a connection that is gone"
    assert berlin.got() == 1


async def test_dialogs_stay_on_their_flow_and_end_with_their_server(site, autojump_clock):
    berlin, munich = site.server("berlin"), site.server("munich")
    await berlin.log_on("alice")
    await munich.log_on()
    subscription = await site.partner.subscribe(f"sip:alice@{HOME}")
    assert berlin.got("SUBSCRIBE") == 1
    await subscription.refresh()
    assert berlin.got("SUBSCRIBE") == 2
    await berlin.kill()
    await trio.sleep(6)
    request = subscription.dialog.request(b"SUBSCRIBE", ((b"Event", b"presence"),))
    response = await site.partner.send(request)
    assert response.status == 480
    assert response.get(b"Retry-After") == b"30"
    again = await site.partner.subscribe(f"sip:alice@{HOME}")
    assert again.first.is_set()
    assert munich.got("SUBSCRIBE") == 1


async def test_a_dialog_goes_on_over_the_next_connection(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    subscription = await site.partner.subscribe(f"sip:alice@{HOME}")
    site.servers.known.servers["berlin"].ways[0].flow.close("the cable was pulled")
    await settle()
    await berlin.log_on()
    await subscription.refresh()
    assert berlin.got("SUBSCRIBE") == 2


async def test_a_dialog_follows_its_server_when_that_registers_the_same_places_from_elsewhere(
    site, autojump_clock
):
    """As behind a NAT that has forgotten the connection: to sipx the old one looks alive."""
    berlin = site.server("berlin")
    own = await berlin.log_on()
    alice = await berlin.binds("alice")
    subscription = await site.partner.subscribe(f"sip:alice@{HOME}")
    first = berlin.agent
    await berlin.start(port=5066)
    await register(berlin.agent, own.aor, contact=own.contact.decode())
    await subscription.refresh()
    assert (first.received["SUBSCRIBE"], berlin.got("SUBSCRIBE")) == (2, 0), "alice is there yet"
    await berlin.binds("alice", contact=alice.contact.decode())
    request = subscription.dialog.request(b"SUBSCRIBE", ((b"Event", b"presence"),))
    await site.partner.send(request)
    assert (first.received["SUBSCRIBE"], berlin.got("SUBSCRIBE")) == (2, 1)
    await settle()


async def test_a_stop_of_the_proxy_service_is_no_loss_of_servers(site, autojump_clock, caplog):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    caplog.clear()
    await site.proxy.kernel.stop_proxy()
    mine = [record for record in caplog.records if record.name == "sipx.plugin.registrar"]
    assert berlin.state == "suspect"
    assert [record for record in mine if record.levelname == "WARNING"] == []
