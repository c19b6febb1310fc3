"""The websocket: its format, its bounds, its topics, what a client that comes back has missed."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing
from sipx_monitor.web.client import LOGGED_OFF, PING, PONG, REQUESTS, SUBSCRIPTIONS
from sipx_monitor.web.server import ANOTHER_ROLE, MAX_LASTING
from sipx_monitor.web.streams import PATIENCE
from sipx_monitor.web.topics import STATES, TOPICS
from trio_websocket import ConnectionClosed, ConnectionRejected

ORIGIN = "http://127.0.0.1:8061"


async def test_it_says_hello(console):
    cookie = await console.log_on("operator")
    async with console.socket(cookie) as socket:
        assert socket.connection.subprotocol == "sipx.v1"
        hello = socket.hello
        assert hello.pop("boot")
        assert hello.pop("version")
        assert hello == {"topic": "hello", "protocol": 1, "user": "anna", "role": "operator"}


async def test_another_subprotocol_is_not_spoken(console):
    cookie = await console.log_on()
    headers = {"origin": ORIGIN, "cookie": cookie, "connection": "Upgrade", "upgrade": "websocket"}
    for offered in (None, "sipx.v2", "chat"):
        answer = await console.ask("GET", "/ws", sec_websocket_protocol=offered, **headers)
        assert answer.status == 400
        assert "sipx.v1" in answer.error["text"]
    answer = await console.ask("GET", "/elsewhere", sec_websocket_protocol="sipx.v1", **headers)
    assert answer.status == 404


async def test_a_method_is_a_request(console):
    async with console.socket(await console.log_on("viewer")) as socket:
        answer = await socket.ask("control.version")
        assert answer["result"]["protocol"] == 1
        answer = await socket.ask("transactions.list", limit="x")
        assert answer["error"]["code"] == "params"
        assert answer["error"]["problems"][0]["key"] == "limit"
        answer = await socket.ask("reload")
        assert answer["error"]["code"] == "forbidden"
        answer = await socket.ask("nothing.there")
        assert answer["error"]["code"] == "method"
        answer = await socket.ask("events")
        assert "subscribe" in answer["error"]["text"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "parse"),
        ("{", "parse"),
        ("[" * 100_000, "parse"),
        ("[]", "request"),
        ("1", "request"),
        ("{}", "request"),
        ('{"id": {}, "method": "status"}', "request"),
        ('{"id": 1, "method": 1}', "request"),
        ('{"id": 1, "method": "status", "params": []}', "params"),
        ('{"id": 1, "method": "subscribe"}', "not found"),
        ('{"id": 1, "method": "subscribe", "params": {"topic": {}}}', "not found"),
        ('{"id": 1, "method": "subscribe", "params": {"topic": "log", "since": "x"}}', "params"),
        ('{"id": 1, "method": "unsubscribe", "params": {"subscription": []}}', "not found"),
        ('{"id": 1, "method": "status\\ud800"}', "method"),
    ],
)
async def test_a_request_that_makes_no_sense_is_answered(console, text, code):
    async with console.socket(await console.log_on()) as socket:
        await socket.send(text)
        assert (await socket.frame())["error"]["code"] == code
        assert (await socket.ask("control.version"))["result"]


async def test_a_message_that_is_too_long_ends_the_connection(console):
    async with console.socket(await console.log_on()) as socket:
        await socket.send(" " * ((1 << 20) + 1))
        with pytest.raises(ConnectionClosed) as ended:
            await socket.frame()
        assert ended.value.reason.code == 1009


async def test_bytes_are_read_as_text(console):
    async with console.socket(await console.log_on()) as socket:
        await socket.connection.send_message(b'{"id":7,"method":"control.version"}')
        assert (await socket.frame())["id"] == 7
        await socket.connection.send_message(b"\xff\xfe\x00")
        assert (await socket.frame())["error"]["code"] == "parse"


# ---------------------------------------------------------------- states


async def test_a_state_comes_whole_and_again_when_it_has_changed(console, autojump_clock):
    async with console.socket(await console.log_on()) as socket:
        begun = await socket.subscribe("interfaces")
        event = await socket.event()
        assert event["topic"] == "interfaces"
        assert (event["subscription"], event["seq"]) == (begun["subscription"], begun["seq"])
        assert {one["name"] for one in event["state"]["interfaces"]} == {"udp", "tcp"}
        with trio.move_on_after(60):
            await socket.event()
            pytest.fail("nothing has changed")
        await socket.ask("service.stop")
        event = await socket.event(begun["subscription"])
        assert event["seq"] > begun["seq"]
        assert {one["state"] for one in event["state"]["interfaces"]} != {"listening"}


async def test_a_state_comes_at_most_twice_a_second(console, autojump_clock):
    async with console.socket(await console.log_on()) as socket:
        begun = await socket.subscribe("status")
        began, count = trio.current_time(), 0
        while trio.current_time() - began < 10:
            await socket.ask("dns.flush")  # whoever changes something wakes the looks up
            await trio.sleep(0.1)
        await socket.ask("unsubscribe", subscription=begun["subscription"])
        count = len(socket.events)
        assert 5 <= count <= 21


async def test_every_topic_there_is_has_its_method(start_console):
    """Those of plugins that are not here say which plugin they need."""
    console = await start_console()
    methods = console.plugin._proxy.control.methods()
    async with console.socket(await console.log_on("viewer")) as socket:
        for name, topic in TOPICS.items():
            answer = await socket.ask("subscribe", topic=name)
            if topic.method in methods:
                assert answer.get("result"), (name, answer)
            else:
                assert answer["error"]["code"] == "not found"
                if topic.plugin:
                    assert f"plugin {topic.plugin}" in answer["error"]["text"]


async def test_a_topic_takes_the_parameters_of_its_method(console):
    async with console.socket(await console.log_on()) as socket:
        await socket.subscribe("connections", limit=1)
        answer = await socket.ask("subscribe", topic="connections", limt=1)
        assert "did you mean" in answer["error"]["text"]


async def test_two_clients_are_looked_for_once(console):
    cookie = await console.log_on()
    async with console.socket(cookie) as one, console.socket(cookie) as other:
        await one.subscribe("interfaces")
        await other.subscribe("interfaces")
        await other.subscribe("interfaces")
        assert len(console.plugin.feeds._feeds) == 1


async def test_nobody_looks_when_nobody_watches_any_more(console, autojump_clock):
    async with console.socket(await console.log_on()) as socket:
        for topic in STATES[:2]:
            await socket.subscribe(topic.name)
        await socket.subscribe("events")
    await trio.sleep(6)
    assert {key[0] for key in console.plugin.feeds._feeds} == {"events"}
    await trio.sleep(80)
    assert not console.plugin.feeds._feeds


# ---------------------------------------------------------------- events


async def test_events_come_in_batches_with_numbers(console, autojump_clock):
    async with console.socket(await console.log_on()) as socket:
        begun = await socket.subscribe("events")
        for number in range(3):
            console.proxy.kernel.report("monitor", KeyError(number))
        batch = []
        while len(batch) < 3:
            event = await socket.event()
            batch += event["batch"]
            assert event["seq"] == begun["seq"] + len(batch)
            assert (event["dropped"], event["gap"]) == (0, False)
        assert [one["kind"] for one in batch] == ["KeyError"] * 3


async def test_who_comes_back_gets_what_it_has_missed(console, autojump_clock):
    cookie = await console.log_on()
    async with console.socket(cookie) as socket:
        await socket.subscribe("events")
        console.proxy.kernel.report("monitor", KeyError("seen"))
        seen = (await socket.event())["seq"]
    console.proxy.kernel.report("monitor", KeyError("missed"))
    await trio.sleep(5)
    async with console.socket(cookie) as socket:
        await socket.subscribe("events", since=seen, boot=socket.hello["boot"])
        event = await socket.event()
        assert [one["kind"] for one in event["batch"]] == ["KeyError"]
        assert (event["seq"], event["gap"]) == (seen + 1, False)
        # Who has missed nothing is told nothing.
        await socket.subscribe("events", since=seen + 1)
        with trio.move_on_after(5):
            await socket.event()
            pytest.fail("nothing has happened")


async def test_who_comes_back_too_late_is_told_of_the_gap(console, autojump_clock):
    cookie = await console.log_on()
    async with console.socket(cookie) as socket:
        seen = (await socket.subscribe("events"))["seq"]
    await trio.sleep(100)
    async with console.socket(cookie) as socket:
        await socket.subscribe("events", since=seen)
        event = await socket.event()
        assert (event["batch"], event["gap"]) == ([], True)
        assert event["seq"] > seen


async def test_numbers_of_another_process_are_a_gap(console, autojump_clock):
    async with console.socket(await console.log_on()) as socket:
        begun = await socket.subscribe("events", since=2_000_000, boot="another")
        event = await socket.event()
        assert (event["subscription"], event["gap"]) == (begun["subscription"], True)


async def test_the_log_begins_with_its_last_lines(console, autojump_clock):
    async with console.socket(await console.log_on()) as socket:
        begun = await socket.ask("subscribe", topic="log")
        assert begun.get("result") or begun["error"]["code"] == "not found"


async def test_nothing_comes_of_what_was_unsubscribed(console, autojump_clock):
    async with console.socket(await console.log_on()) as socket:
        begun = await socket.subscribe("events")
        console.proxy.kernel.report("monitor", KeyError("x"))
        await socket.ask("unsubscribe", subscription=begun["subscription"])
        socket.events.clear()
        console.proxy.kernel.report("monitor", KeyError("y"))
        with trio.move_on_after(5):
            await socket.event(begun["subscription"])
            pytest.fail("it was unsubscribed")
        answer = await socket.ask("unsubscribe", subscription=begun["subscription"])
        assert answer["error"]["code"] == "not found"


# ---------------------------------------------------------------- bounds


async def test_a_client_has_so_many_subscriptions(console):
    async with console.socket(await console.log_on()) as socket:
        for _ in range(SUBSCRIPTIONS):
            await socket.subscribe("interfaces")
        answer = await socket.ask("subscribe", topic="interfaces")
        assert answer["error"]["code"] == "busy"


async def test_so_many_requests_of_a_client_are_worked_on_at_once(console, autojump_clock):
    working = most = 0
    control = console.plugin._proxy.control
    gate = trio.Event()

    class Slow:
        def methods(self):
            return control.methods()

        async def call(self, name, params, caller):
            nonlocal working, most
            working += 1
            most = max(most, working)
            await gate.wait()
            working -= 1
            return await control.call(name, params, caller)

    console.plugin.server._control = Slow()
    async with console.socket(await console.log_on()) as socket:
        for number in range(3 * REQUESTS):
            await socket.send({"id": number, "method": "control.version"})
        await trio.sleep(1)
        assert working == most == REQUESTS
        gate.set()
        answered = {(await socket.frame())["id"] for _ in range(3 * REQUESTS)}
        assert answered == set(range(3 * REQUESTS))


async def test_answers_that_are_not_read_do_not_pile_up(console, autojump_clock):
    calls = 0
    control = console.plugin._proxy.control

    class Counting:
        def methods(self):
            return control.methods()

        async def call(self, name, params, caller):
            nonlocal calls
            calls += 1
            return await control.call(name, params, caller)

    console.plugin.server._control = Counting()
    ours, theirs = trio.testing.memory_stream_pair()
    held = Held(theirs)
    console.nursery.start_soon(console.plugin.server.connection, held, "127.0.0.1")
    async with console.socket(await console.log_on(), stream=ours) as socket:
        held.goes = trio.Event()
        for number in range(10 * REQUESTS):
            await socket.send({"id": number, "method": "control.version"})
        await trio.sleep(5)
        assert calls <= REQUESTS + 1


async def test_so_many_clients_last(console):
    cookie = await console.log_on()
    async with trio.open_nursery() as nursery:

        async def stay(*, task_status):
            async with console.socket(cookie):
                task_status.started()
                await trio.sleep_forever()

        for _ in range(MAX_LASTING):
            await nursery.start(stay)
        with pytest.raises(BaseExceptionGroup) as refused:
            async with console.socket(cookie):
                pass
        assert refused.group_contains(ConnectionRejected)
        nursery.cancel_scope.cancel()


class Held:
    """The end of the server, where what it writes can be held up."""

    def __init__(self, stream) -> None:
        self.stream = stream
        self.goes = trio.Event()
        self.goes.set()

    def __getattr__(self, name):
        return getattr(self.stream, name)

    async def send_all(self, data) -> None:
        await self.goes.wait()
        await self.stream.send_all(data)


class Deaf:
    """The stream of a client that stops reading."""

    def __init__(self, stream) -> None:
        self.stream = stream
        self.hears = trio.Event()
        self.hears.set()

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def stop(self) -> None:
        self.hears = trio.Event()

    async def receive_some(self, max_bytes=None):
        await self.hears.wait()
        return await self.stream.receive_some(max_bytes)


def bounded(console):
    """A connection that holds nothing: what is written waits until it is read."""
    ends = trio.testing.lockstep_stream_pair()
    console.nursery.start_soon(console.plugin.server.connection, ends[1], "127.0.0.1")
    return ends[0]


async def test_a_client_that_does_not_read_is_ended_and_delays_nobody(console, autojump_clock):
    cookie = await console.log_on()
    deaf = Deaf(bounded(console))
    async with console.socket(cookie) as quick, console.socket(cookie, stream=deaf) as slow:
        await slow.subscribe("events")
        began = await quick.subscribe("events")
        deaf.stop()
        count = 0
        for number in range(200):
            console.proxy.kernel.report("monitor", KeyError(f"{number:05d}" + "x" * 1000))
            await trio.sleep(0.1)
            while quick.events or count < number:
                count += len((await quick.event(began["subscription"]))["batch"])
        assert count >= 199
        lasting = console.plugin.server.connections[1]
        await trio.sleep(PATIENCE)
        assert console.plugin.server.connections[1] == lasting - 1 == 1


async def test_what_a_slow_client_loses_is_counted(console, autojump_clock):
    """It reads again before it is ended; what was too much is gone, and it knows how much."""
    cookie = await console.log_on()
    deaf = Deaf(bounded(console))
    async with console.socket(cookie, stream=deaf) as slow:
        begun = await slow.subscribe("events")
        last = begun["seq"]
        deaf.stop()
        total = 6000
        for number in range(total):
            console.proxy.kernel.report("monitor", KeyError(number))
            if number % 500 == 0:
                await trio.sleep(0.1)
        await trio.sleep(1)
        deaf.hears.set()
        seen = lost = 0
        while last < begun["seq"] + total:
            event = await slow.event()
            seen, lost, last = seen + len(event["batch"]), lost + event["dropped"], event["seq"]
        assert lost > 0
        assert seen + lost == total


# ---------------------------------------------------------------- its end


async def test_whoever_logs_off_is_off(console, autojump_clock):
    cookie = await console.log_on()
    async with console.socket(cookie) as socket:
        await console.ask("DELETE", "/session", cookie=cookie, origin=ORIGIN)
        with pytest.raises(ConnectionClosed) as ended:
            await socket.ask("status")
        assert ended.value.reason.code == LOGGED_OFF


async def test_whoever_logs_off_is_off_also_when_it_asks_nothing(console, autojump_clock):
    cookie = await console.log_on()
    async with console.socket(cookie) as socket:
        await console.ask("DELETE", "/session", cookie=cookie, origin=ORIGIN)
        await ended_at_once(socket, LOGGED_OFF)
        await trio.sleep(1)
        assert console.plugin.server.connections == (0, 0)


async def ended_at_once(socket, code):
    """Nobody asks, nobody pings: the end comes by itself, with no more of what was watched."""
    began = trio.current_time()
    with pytest.raises(ConnectionClosed) as ended:
        await socket.frame()
    assert ended.value.reason.code == code
    assert trio.current_time() - began < 0.1


async def test_a_token_that_is_revoked_watches_no_more(console, autojump_clock):
    token = await console.plugin.tokens.create("grafana", "viewer", "root", None)
    bearer = {"authorization": f"Bearer {token}"}
    async with console.socket("", **bearer) as socket:
        await socket.subscribe("events")
        other = await console.log_on()
        await console.call("console.revoke_token", {"name": "grafana"}, cookie=other)
        console.proxy.kernel.report("monitor", AssertionError("not seen"))
        await ended_at_once(socket, LOGGED_OFF)
        async with console.socket(other) as still:
            assert (await still.ask("status"))["result"]


async def test_who_gets_another_role_comes_anew(console, autojump_clock):
    cookie = await console.log_on("operator")
    async with console.socket(cookie) as socket:
        await socket.subscribe("messages")
        [session] = console.plugin.access.sessions._open.values()
        session.role = "viewer"
        await console.log_on()
        await ended_at_once(socket, ANOTHER_ROLE)
    async with console.socket(cookie) as socket:
        assert socket.hello["role"] == "viewer"


async def test_a_client_that_is_gone_without_a_word_is_let_go(console, autojump_clock):
    deaf = Deaf(console.connect())
    async with console.socket(await console.log_on(), stream=deaf):
        deaf.stop()
        await trio.sleep(2 * PING + PONG + 5)
        assert console.plugin.server.connections == (0, 0)


async def test_a_role_that_was_taken_away_counts_at_once(start_console):
    console = await start_console()
    cookie = await console.log_on("operator")
    async with console.socket(cookie) as socket:
        (session,) = console.plugin.access.sessions._open.values()
        session.role = "viewer"
        assert (await socket.ask("dns.flush"))["error"]["code"] == "forbidden"


async def test_half_a_character_in_an_answer_is_written(console):
    async with console.socket(await console.log_on()) as socket:
        await socket.send(json.dumps({"id": "\ud800", "method": "control.version"}))
        assert (await socket.frame())["result"]


@pytest.mark.parametrize("given", ["NaN", "1e400", "[1]", "1.5"])
async def test_an_id_that_is_none_is_not_said_again(console, given):
    """NaN and Infinity are no JSON: a browser could not read the answer."""
    async with console.socket(await console.log_on()) as socket:
        await socket.send(f'{{"id": {given}, "method": "status"}}')
        answer = await socket.frame()
        assert (answer["id"], answer["error"]["code"]) == (None, "request")
