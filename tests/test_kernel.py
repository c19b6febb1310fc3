"""The life of a proxy: start, limits, drain and stop."""

import pytest
import trio

from sipx.certificates import LOOK
from sipx.errors import StartError
from sipx.reasons import TurnedAway
from sipx.testing import Authority

# ---------------------------------------------------------------- drain and stop


async def stopping(stage, nursery):
    """Ask the proxy to stop; returns what is set when it has."""
    ended = trio.Event()

    async def stop():
        await stage.proxy.stop()
        ended.set()

    nursery.start_soon(stop)
    await trio.sleep(0.06)
    return ended


async def test_an_idle_proxy_stops_at_once(scene, autojump_clock):
    stage = await scene()
    began = trio.current_time()
    await stage.proxy.stop()
    assert trio.current_time() - began < 0.2


async def test_a_stopping_proxy_refuses_new_requests_and_finishes_what_is_under_way(
    scene, nursery, autojump_clock
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    ended = await stopping(stage, nursery)
    home.ask("MESSAGE", "sip:bob@away.example")
    assert (await home.next(503)).get(b"Retry-After") == b"10"
    assert away.heard() == []
    assert not ended.is_set()
    away.answer(request, 200)
    await home.next(200)
    await trio.sleep(0.1)
    assert ended.is_set()


async def test_a_stopping_proxy_still_carries_the_requests_of_its_dialogs(
    scene, nursery, autojump_clock
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example", call_id="call")
    away.answer(await away.next("INVITE"), 200)
    route = (await home.next(200)).get(b"Record-Route").decode()
    home.ask("MESSAGE", "sip:bob@away.example")
    under_way = await away.next("MESSAGE")
    ended = await stopping(stage, nursery)
    home.ask("BYE", "sip:far@127.0.2.2", f"Route: {route}", to_tag="far", call_id="call", cseq=2)
    away.answer(await away.next("BYE"), 200)
    await home.next(200)
    assert not ended.is_set()
    away.answer(under_way, 200)
    await ended.wait()


async def test_a_stopping_proxy_lets_a_call_be_answered_or_cancelled(
    scene, nursery, autojump_clock
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    away.answer(invite, 180)
    ended = await stopping(stage, nursery)
    home.within(asked, "CANCEL")
    away.answer(await away.next("CANCEL"), 200)
    away.answer(invite, 487)
    await home.next(487)
    await trio.sleep(0.2)
    assert ended.is_set()


@pytest.mark.parametrize("timeout", ["3s", "15s"])
async def test_a_stopping_proxy_waits_for_the_stop_timeout_and_no_longer(
    scene, autojump_clock, timeout
):
    stage = await scene(service={"stop_timeout": timeout})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 180)
    began = trio.current_time()
    await stage.proxy.stop()
    assert trio.current_time() - began == pytest.approx(int(timeout[:-1]), abs=0.2)


async def test_a_stopping_proxy_turns_new_connections_away(scene, nursery, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    under_way = await away.next("MESSAGE")
    ended = await stopping(stage, nursery)
    stream = stage.proxy.network.connect("127.0.3.1", ("127.0.0.1", 5060))
    assert await stream.receive_some() == b""
    away.answer(under_way, 200)
    await ended.wait()


# ---------------------------------------------------------------- limits


async def test_transactions_beyond_the_limit_get_a_stateless_503(scene, autojump_clock):
    stage = await scene(limits={"max_transactions": 3})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    for _ in range(3):
        home.ask("MESSAGE", "sip:bob@away.example")
    requests = [await away.next("MESSAGE") for _ in range(3)]
    home.ask("MESSAGE", "sip:bob@away.example")
    assert (await home.next(503)).get(b"Retry-After") == b"5"
    assert len(stage.kernel.transactions.servers) == 3
    for request in requests:
        away.answer(request, 200)
        await home.next(200)
    await trio.sleep(33)
    home.ask("MESSAGE", "sip:bob@away.example")
    await away.next("MESSAGE")


async def connect(stage, address):
    """Whether a connection from this address is kept."""
    stream = stage.proxy.network.connect(address, ("127.0.0.1", 5060))
    with trio.move_on_after(0.1):
        assert await stream.receive_some() == b""
        return None
    return stream


async def test_sec15_connections_beyond_the_limit_are_closed(scene, autojump_clock):
    stage = await scene(limits={"max_connections": 2})
    first = await connect(stage, "127.0.3.1")
    assert first is not None
    assert await connect(stage, "127.0.3.2") is not None
    assert await connect(stage, "127.0.3.3") is None
    assert stage.kernel.journal.turned_away == {TurnedAway.TOO_MANY: 1}
    await first.aclose()
    await trio.sleep(0.1)
    assert await connect(stage, "127.0.3.3") is not None


async def test_sec15_one_address_gets_only_its_share_of_the_connections(scene, autojump_clock):
    stage = await scene(limits={"max_connections_per_address": 2})
    first = await connect(stage, "127.0.3.1")
    assert await connect(stage, "127.0.3.1") is not None
    assert await connect(stage, "127.0.3.1") is None
    assert stage.kernel.journal.turned_away == {TurnedAway.TOO_MANY_FROM_ADDRESS: 1}
    assert await connect(stage, "127.0.3.2") is not None
    await first.aclose()
    await trio.sleep(0.1)
    assert await connect(stage, "127.0.3.1") is not None
    assert stage.kernel.edge._connections == {"127.0.3.1": 2, "127.0.3.2": 1}


async def test_many_slow_connections_do_not_keep_a_good_peer_out(scene, autojump_clock):
    stage = await scene()
    await trio.sleep(1)
    slow = [
        stage.proxy.network.connect(f"127.0.4.{number % 250 + 1}", ("127.0.0.1", 5060))
        for number in range(300)
    ]
    for stream in slow:
        await stream.send_all(b"MESSAGE sip:bob@home.example SIP/2.0\r\n")
    home = stage.proxy.peer("home.example", transport="tcp")
    stage.proxy.peer("away.example", transport="tcp")
    assert (await home.message("sip:carol@away.example", "hello")).status == 200
    await trio.sleep(12)
    assert len(stage.kernel.flows) == 2
    assert all([await stream.receive_some() == b"" for stream in slow])


# ---------------------------------------------------------------- start


async def test_a_protocol_that_no_plugin_brings_stops_the_start(sipx_proxy):
    tls = {"bind": "127.0.0.1", "port": 5061, "protocol": "ws"}
    with pytest.raises(StartError, match=r"interface\.web: no enabled plugin brings .*'ws'"):
        await sipx_proxy(interface={"web": tls})


async def test_the_public_address_stands_in_what_leaves(scene, autojump_clock):
    stage = await scene(
        wan={"use_public_address": True, "public_address": "198.51.100.7", "public_port": 5099}
    )
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    assert invite.vias[0].host == b"198.51.100.7"
    assert b"@198.51.100.7:5099;" in invite.get(b"Record-Route")
    away.answer(invite, 200)
    await home.next(200)


async def test_an_event_of_a_plugin_reaches_those_who_watch(scene, autojump_clock):
    stage = await scene()
    stage.kernel.report("lab", "something happened")
    assert stage.proxy.events == [("lab", "something happened")]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_hundred_calls_leave_nothing_behind(scene, autojump_clock, transport):
    stage = await scene()
    home = stage.proxy.peer("home.example", transport=transport)
    away = stage.proxy.peer("away.example", transport=transport)
    for _ in range(100):
        call = await home.call("sip:bob@away.example")
        assert (await call.hangup()).status == 200
    await trio.sleep(250)
    kernel = stage.kernel
    assert (kernel.transactions.servers, kernel.transactions.clients) == ({}, {})
    assert kernel.timers.pending() == 0
    assert kernel.transactions.idle()
    assert away.received["BYE"] == 100


async def test_renewed_certificate_files_are_taken_up_by_themselves(
    sipx_proxy, tmp_path, autojump_clock
):
    ca = Authority("Lab CA")
    first, second = (ca.leaf(dns=[f"{name}.example"]) for name in ("first", "second"))
    cert_file, key_file = first.write(tmp_path, "own")
    proxy = await sipx_proxy(certificate={"own": {"cert_file": cert_file, "key_file": key_file}})
    store = proxy.kernel.certificates
    looked = []
    look = store.look_aside

    async def once_more():
        await look()
        looked.append(store.own("own").facts.ids)
        if len(looked) == 2:
            raise RuntimeError("what goes wrong once does not end it")

    store.look_aside = once_more
    proxy.kernel.forgive = True
    second.write(tmp_path, "own")
    while len(looked) < 3:
        await trio.sleep(LOOK)
        await trio.testing.wait_all_tasks_blocked()
    assert looked == [{b"second.example"}] * 3


# ---------------------------------------------------------------- the proxy service


async def test_the_proxy_service_stops_and_starts_inside_the_process(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    kernel = stage.kernel
    for _ in range(3):
        assert kernel.state == "running"
        home.ask("MESSAGE", "sip:bob@away.example")
        away.answer(await away.next("MESSAGE"), 200)
        await home.next(200)
        await kernel.stop_proxy()
        assert kernel.state == "stopped"
        assert {i.state for i in kernel.interfaces.all} == {"off"}
        assert (len(kernel.flows), kernel.timers.pending()) == (0, 0)
        home.ask("MESSAGE", "sip:bob@away.example")
        await trio.sleep(1)
        assert (home.heard(), away.heard()) == ([], [])
        await kernel.start_proxy()
    assert kernel.journal.answers == {(b"MESSAGE", 200): 3}


async def test_stopping_the_service_lets_what_is_under_way_finish(scene, nursery, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    nursery.start_soon(stage.kernel.stop_proxy)
    await trio.sleep(0.06)
    assert stage.kernel.state == "draining"
    away.answer(request, 200)
    await home.next(200)
    await trio.sleep(0.1)
    assert stage.kernel.state == "stopped"


async def test_stopping_the_service_now_waits_for_nothing(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 180)
    began = trio.current_time()
    await stage.kernel.stop_proxy(now=True)
    assert trio.current_time() - began < 0.1
    assert stage.kernel.transactions.servers == {}


async def test_starting_and_stopping_twice_is_the_same_as_once(scene, nursery, autojump_clock):
    stage = await scene()
    kernel = stage.kernel
    await kernel.start_proxy()
    nursery.start_soon(kernel.stop_proxy)
    await kernel.stop_proxy()
    await kernel.stop_proxy()
    nursery.start_soon(kernel.start_proxy)
    await kernel.start_proxy()
    assert kernel.state == "running"
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    nursery.start_soon(kernel.stop_proxy)
    await trio.sleep(0.06)
    nursery.start_soon(kernel.start_proxy)
    await trio.sleep(0.06)
    assert kernel.state == "draining"
    away.answer(request, 200)
    await trio.sleep(0.2)
    assert kernel.state == "running"  # a start that came while it was draining


async def test_a_process_whose_service_is_stopped_ends(scene, autojump_clock):
    stage = await scene()
    await stage.kernel.stop_proxy()
    await stage.proxy.stop()


async def test_a_stopped_service_takes_up_another_configuration_for_its_next_start(
    scene, autojump_clock
):
    one = {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"}
    two = {"bind": "127.0.0.1", "port": 5070, "protocol": "udp"}
    stage = await scene(interface={"one": one})
    await stage.kernel.stop_proxy()
    await stage.proxy.reload(interface={"two": two})
    assert {i.name: i.state for i in stage.kernel.interfaces.all} == {"two": "off"}
    await stage.kernel.start_proxy()
    assert {i.name: i.state for i in stage.kernel.interfaces.all} == {"two": "listening"}
