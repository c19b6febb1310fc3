"""What goes wrong, and the answer it gets: plugins that raise, answers that come late, codes."""

import gc

import pytest
import trio

from sipx.plugin import Accept, Challenge, Later, Refuse, Sender, Target, Targets, hookimpl
from sipx.trust import SenderKind

# ---------------------------------------------------------------- SEC-20 plugins that raise


class Faulty:
    """Raises in the hooks that ``broken`` names, and has all of them."""

    def __init__(self):
        self.broken = set()

    def _maybe(self, hook):
        if hook in self.broken:
            raise ZeroDivisionError(hook)

    @hookimpl
    def authenticate_peer(self, flow):
        self._maybe("authenticate_peer")

    @hookimpl
    def flow_opened(self, flow):
        self._maybe("flow_opened")

    @hookimpl
    def flow_closed(self, flow, reason):
        self._maybe("flow_closed")

    @hookimpl
    def validate_request(self, request, flow):
        self._maybe("validate_request")

    @hookimpl
    def authenticate_request(self, request, flow):
        self._maybe("authenticate_request")
        if "authorise_request" in self.broken:
            sender = Sender(SenderKind.UC_SERVER, "faulty", {b"home.example"}, trusted=True)
            return Accept(sender, authorise=True)
        return None

    @hookimpl
    def authorise_request(self, request, flow):
        self._maybe("authorise_request")

    @hookimpl
    def determine_targets(self, request, sender):
        self._maybe("determine_targets")

    @hookimpl
    def forward_request(self, request, target):
        self._maybe("forward_request")

    @hookimpl
    def process_response(self, response, branch):
        self._maybe("process_response")

    @hookimpl
    def transaction_ended(self, record):
        self._maybe("transaction_ended")

    @hookimpl
    def message_traced(self, message, flow, direction):
        self._maybe("message_traced")


DENYING = ("validate_request", "authenticate_request", "authorise_request", "determine_targets")
HARMLESS = (
    "authenticate_peer",
    "flow_opened",
    "forward_request",
    "process_response",
    "transaction_ended",
    "message_traced",
)


async def faulty_scene(scene, broken):
    stage = await scene()
    faulty = Faulty()
    stage.plug("faulty", faulty)
    stage.forgive()
    faulty.broken.add(broken)
    return stage, stage.raw("home.example"), stage.raw("away.example"), faulty


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
@pytest.mark.parametrize("hook", DENYING)
async def test_sec20_a_plugin_that_raises_in_the_trust_chain_denies(
    scene, autojump_clock, hook, method
):
    stage, home, away, faulty = await faulty_scene(scene, hook)
    home.ask(method, "sip:bob@away.example")
    answer = await home.next(500)
    assert b"ZeroDivision" not in answer.encode()
    assert away.heard() == []
    assert stage.kernel.journal.faults == {"faulty": 1}
    assert stage.kernel.journal.refused_for == {"plugin-fault": 1}
    faulty.broken.clear()
    home.ask(method, "sip:bob@away.example")
    away.answer(await away.next(method), 200)
    await home.next(200)


@pytest.mark.parametrize("hook", HARMLESS)
async def test_sec20_an_observer_that_raises_changes_nothing(scene, autojump_clock, hook):
    stage, home, away, _ = await faulty_scene(scene, hook)
    home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)
    assert stage.kernel.journal.faults["faulty"] >= 1


async def test_sec20_a_raising_flow_closed_does_not_keep_the_flow(scene, autojump_clock):
    stage, home, _, _ = await faulty_scene(scene, "flow_closed")
    home.ask("MESSAGE", "sip:bob@nowhere.example")
    await home.next(403)
    (flow,) = stage.kernel.flows
    flow.close("done")
    assert len(stage.kernel.flows) == 0
    assert stage.kernel.journal.faults == {"faulty": 1}


@pytest.mark.parametrize("hook", DENYING[:3])
async def test_sec20_a_fault_never_lets_an_ack_through(scene, autojump_clock, hook):
    stage, home, away, faulty = await faulty_scene(scene, "nothing")
    home.ask("INVITE", "sip:bob@away.example", call_id="call")
    away.answer(await away.next("INVITE"), 200)
    route = (await home.next(200)).get(b"Record-Route").decode()
    faulty.broken.add(hook)
    home.ask("ACK", "sip:far@127.0.2.2", f"Route: {route}", to_tag="far", call_id="call")
    await trio.sleep(1)
    assert stage.kernel.journal.faults["faulty"] >= (hook != "authorise_request")
    assert home.heard() == []
    assert (away.heard() == []) or hook == "authorise_request"


# ---------------------------------------------------------------- Later


class Slow:
    """Gives its answers ``seconds`` late: to the question that ``asked`` names."""

    def __init__(self, asked, answer, seconds=1.0, deadline=5.0):
        self.asked = asked
        self.answer = answer
        self.seconds = seconds
        self.deadline = deadline

    async def _answer(self):
        await trio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @hookimpl
    def authenticate_request(self, request, flow):
        if self.asked == "authenticate_request" and request.from_domain == b"home.example":
            return Later(self._answer, self.deadline)
        return None

    @hookimpl
    def determine_targets(self, request, sender):
        if self.asked == "determine_targets":
            return Later(self._answer, self.deadline)
        return None


SENDER = Sender(SenderKind.UC_SERVER, "slow", {b"home.example"}, trusted=True)
ASKED = pytest.mark.parametrize("asked", ["authenticate_request", "determine_targets"])
METHODS = pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])


async def slow_scene(scene, asked, answer="", **times):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    if answer == "":
        to_away = Targets(((stage.target(away),),))
        answer = Accept(SENDER) if asked == "authenticate_request" else to_away
    stage.plug("slow", Slow(asked, answer, **times))
    stage.forgive()
    return stage, home, away


@ASKED
@METHODS
async def test_sec20_a_later_answer_lets_the_request_go_on(scene, autojump_clock, asked, method):
    _, home, away = await slow_scene(scene, asked)
    asked_bytes = home.ask(method, "sip:bob@away.example")
    home.send(asked_bytes)
    await trio.sleep(0.9)
    assert away.heard() == []
    away.answer(await away.next(method), 200)
    await home.next(200)
    assert away.heard() == []


@ASKED
@METHODS
async def test_sec20_a_later_answer_that_does_not_come_in_time_is_a_504(
    scene, autojump_clock, asked, method
):
    _, home, away = await slow_scene(scene, asked, seconds=60, deadline=2)
    home.ask(method, "sip:bob@away.example")
    began = trio.current_time()
    await home.next(504)
    assert 2 <= trio.current_time() - began < 2.1
    await trio.sleep(100)
    assert away.heard() == []


@ASKED
@METHODS
async def test_sec20_a_later_answer_that_raises_is_a_500(scene, autojump_clock, asked, method):
    stage, home, away = await slow_scene(scene, asked, ValueError("secret"))
    home.ask(method, "sip:bob@away.example")
    answer = await home.next(500)
    assert b"secret" not in answer.encode()
    assert away.heard() == []
    assert sum(stage.kernel.journal.faults.values()) == 1


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Refuse(403, "not today"), 403, "sender-refused"),
        (Challenge(407, ((b"Proxy-Authenticate", b'Digest realm="x"'),)), 407, "challenged"),
        (None, 403, "sender-unknown"),
    ],
    ids=["refuse", "challenge", "nobody"],
)
async def test_sec20_a_later_verdict_may_refuse(scene, autojump_clock, answer, status, reason):
    stage, home, away = await slow_scene(scene, "authenticate_request", answer)
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(status)
    assert away.heard() == []
    assert stage.kernel.journal.refused_for == {reason: 1}


@pytest.mark.parametrize("answer", [None, Targets(())], ids=["none", "empty"])
async def test_sec20_a_later_target_set_may_be_empty(scene, autojump_clock, answer):
    _, home, _ = await slow_scene(scene, "determine_targets", answer)
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(403)


@ASKED
async def test_p18_a_cancel_while_the_request_is_parked_ends_it(scene, autojump_clock, asked):
    _, home, away = await slow_scene(scene, asked)
    invite = home.ask("INVITE", "sip:bob@away.example")
    await trio.sleep(0.5)
    home.within(invite, "CANCEL")
    await home.next(200)
    refusal = await home.next(487)
    home.within(invite, "ACK", refusal.lines[refusal.layout.to])
    await trio.sleep(20)
    assert (home.heard(), away.heard()) == ([100], [])


@ASKED
@pytest.mark.parametrize("bad", [ValueError("x"), None])
async def test_p18_a_parked_request_that_was_cancelled_is_answered_once(
    scene, autojump_clock, asked, bad
):
    stage, home, away = await slow_scene(scene, asked, bad)
    invite = home.ask("INVITE", "sip:bob@away.example")
    await trio.sleep(0.5)
    home.within(invite, "CANCEL")
    refusal = await home.next(487)
    home.within(invite, "ACK", refusal.lines[refusal.layout.to])
    await trio.sleep(20)
    assert stage.kernel.journal.statistics().by_status() == {200: 1, 487: 1}
    assert away.heard() == []


async def test_parked_requests_beyond_the_limit_get_503(scene, autojump_clock):
    stage = await scene(limits={"parked_requests": 3})
    home, away = stage.raw("home.example"), stage.raw("away.example")
    stage.plug("slow", Slow("authenticate_request", Accept(SENDER)))
    for _ in range(5):
        home.ask("MESSAGE", "sip:bob@away.example")
    for _ in range(2):
        assert (await home.next(503, within=0.5)).get(b"Retry-After") == b"5"
    for _ in range(3):
        away.answer(await away.next("MESSAGE"), 200)
        await home.next(200)
    assert stage.kernel.journal.refused_for == {"overload": 2}


# ---------------------------------------------------------------- §2.5 codes


def refused(reason, *given, status, words="", method="MESSAGE", uri="sip:bob@away.example", **how):
    name = f"{status} {words or method}"
    return pytest.param(reason, method, uri, given, how, status, words, id=name)


CODES = [
    refused("from-domain", status=403, words="may not use", sender="sip:eve@elsewhere.example"),
    refused(
        "user-unknown",
        status=404,
        words="nobody here",
        uri="sip:bob@home.example",
        domain="away.example",
    ),
    refused("no-route", status=403, words="federation off", uri="sip:bob@nowhere.example"),
    refused(
        "relay", status=403, words="relaying", domain="away.example", uri="sip:x@other.example"
    ),
    refused("method", status=405, words="REGISTER", method="REGISTER", domain="away.example"),
    refused("method", status=405, words="PUBLISH", method="PUBLISH", domain="away.example"),
    refused("method", status=405, words="NEGOTIATE", method="NEGOTIATE", domain="away.example"),
    refused("method", status=405, words="never compressed", method="NEGOTIATE"),
    refused("malformed", "Proxy-Require: foo, ms-benotify", status=420),
    refused("malformed", status=416, uri="xyz:abc"),
    refused("malformed", status=416, uri="tel:+4912345"),
    refused("", status=416, words="TLS", uri="sips:bob@away.example"),
    refused("too-many-hops", status=483, forwards=0),
    refused("no-transaction", status=481, method="CANCEL"),
    refused("route", "Route: <sip:127.0.2.2;lr>", status=403, words="not followed"),
    refused("route", "Route: <sip:sipx-AAAA@127.0.0.1;lr>", status=403, words="not written"),
    refused("malformed", "Max-Breadth: many", status=400),
]


@pytest.mark.parametrize(("reason", "method", "uri", "given", "how", "status", "words"), CODES)
async def test_every_refusal_has_its_code_and_its_reason(
    scene, autojump_clock, reason, method, uri, given, how, status, words
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asker = away if how.pop("domain", "") else home
    other = home if asker is away else away
    if "nobody here" in words:
        stage.proxy.plugin("testing-peers")._targets.clear()
    asker.ask(method, uri, *given, **how)
    answer = await asker.next(status)
    if status == 405:
        assert b"MESSAGE" in answer.get(b"Allow")
    elif status == 420:
        assert answer.get(b"Unsupported") == b"foo, ms-benotify"
    elif words and status != 400:
        assert words in (answer.get(b"Warning") or b"").decode()
    await trio.sleep(1)
    assert (asker.heard(), other.heard()) == ([], [])
    # What was tried and could not be reached was not refused.
    assert stage.kernel.journal.statistics().refusals == ({reason: 1} if reason else {})


async def test_an_unknown_sender_is_refused_with_403(scene, autojump_clock):
    stage = await scene()
    away, stranger = stage.raw("home.example"), stage.raw("strange.example", routed=False)
    stranger.ask("MESSAGE", "sip:bob@home.example")
    await stranger.next(403)
    assert away.heard() == []


async def test_a_local_domain_in_from_from_outside_is_refused_with_403(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    away.ask("MESSAGE", "sip:bob@home.example", sender="sip:boss@home.example")
    await away.next(403)
    assert home.heard() == []


@pytest.mark.parametrize(
    "data",
    [
        b"SIP/2.0 200 OK\r\nFrom: x\r\n\r\n",
        b"MESSAGE sip:bob@away.example SIP/2.0\r\nTo: <sip:bob@away.example>\r\n\r\n",
        b"ACK sip:bob@away.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.2.1;branch=z9hG4bKx\r\n"
        b"From: <sip:a@home.example>;tag=1\r\n\r\n",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"garbage",
    ],
    ids=["response", "no via", "ack", "keepalive", "stun", "garbage"],
)
async def test_what_cannot_be_answered_is_dropped(scene, autojump_clock, data):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.send(data)
    await trio.sleep(1)
    assert (home.heard(), away.heard()) == ([], [])
    assert stage.kernel.transactions.servers == {}


async def test_unparsable_requests_get_a_400_that_echoes_nothing(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    home.ask("MESSAGE", "sip:bob@away.example", "CSeq: 2 <script>")
    answer = await home.next(400)
    assert b"<script>" not in answer.encode()


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"start_line": 30}, 414),
        ({"header_lines": 5}, 400),
        ({"vias": 1}, 400),
    ],
    ids=["start line", "header lines", "vias"],
)
async def test_sec06_what_is_too_large_has_its_code(scene, autojump_clock, limits, status):
    stage = await scene(limits=limits)
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example", "Via: SIP/2.0/UDP 192.0.2.7", body="x" * 20)
    await trio.sleep(1)
    assert home.heard() == [status]
    assert away.heard() == []


async def test_sec06_a_body_over_the_cap_is_refused_with_513_and_the_connection_closed(
    scene, autojump_clock
):
    stage = await scene(limits={"body": 10})
    stream = stage.proxy.network.connect("127.0.3.1", ("127.0.0.1", 5060))
    await stream.send_all(
        b"MESSAGE sip:bob@away.example SIP/2.0\r\n"
        b"Via: SIP/2.0/TCP 127.0.3.1;branch=z9hG4bKbig\r\n"
        b"From: <sip:a@home.example>;tag=1\r\nTo: <sip:bob@away.example>\r\n"
        b"Call-ID: big\r\nCSeq: 1 MESSAGE\r\nContent-Length: 11\r\n\r\nhello world"
    )
    heard = b""
    while data := await stream.receive_some():
        heard += data
    assert heard.startswith(b"SIP/2.0 513 ")
    assert heard.count(b"SIP/2.0 ") == 1


# ---------------------------------------------------------------- memory


async def relay_message(home, away):
    home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)


async def relay_call(home, away):
    name = f"call{home._count}"
    home.ask("INVITE", "sip:bob@away.example", call_id=name)
    invite = await away.next("INVITE")
    away.answer(invite, 180)
    away.answer(invite, 200)
    route = (await home.next(200)).get(b"Record-Route").decode()
    there = ("sip:far@127.0.2.2:5060", f"Route: {route}")
    home.ask("ACK", *there, to_tag="far", call_id=name)
    home.ask("BYE", *there, to_tag="far", call_id=name, cseq=2)
    away.answer(await away.next("BYE"), 200)
    await home.next(200)


async def cancelled_call(home, away):
    asked = home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    away.answer(invite, 180)
    home.within(asked, "CANCEL")
    away.answer(await away.next("CANCEL"), 200)
    away.answer(invite, 487)
    refusal = await home.next(487)
    home.within(asked, "ACK", refusal.lines[refusal.layout.to])


async def refused_message(home, away):
    home.ask("MESSAGE", "sip:bob@nowhere.example")
    await home.next(403)


async def refused_call(home, away):
    home.ask("INVITE", "sip:bob@nowhere.example")
    await home.next(403)


async def unanswered_message(home, away):
    home.ask("MESSAGE", "sip:bob@away.example")
    await away.next("MESSAGE")


async def failed_over(home, away):
    home.ask("MESSAGE", "sip:bob@dead.example")
    await home.next(200)


SITUATIONS = [
    relay_message,
    relay_call,
    cancelled_call,
    refused_message,
    refused_call,
    unanswered_message,
    failed_over,
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.__name__)
async def test_finished_transactions_leave_no_cycles_and_empty_tables(
    scene, autojump_clock, situation
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    last = stage.proxy.peer("last.example", transport="tcp")
    hops = (
        stage.target(away, transport="tcp").hops[0],
        stage.target(last, transport="tcp").hops[0],
    )
    stage.lab.targets[b"dead.example"] = Targets(((Target(hops=hops, trusted=True),),))
    await situation(home, away)  # what is made once and kept is made now
    await trio.sleep(300)
    gc.collect()
    gc.disable()
    try:
        await situation(home, away)
        await trio.sleep(300)
        kept = [
            thing
            for thing in _unreachable()
            if type(thing).__module__.startswith("sipx") and "testing" not in type(thing).__module__
        ]
    finally:
        gc.enable()
    assert kept == []
    transactions = stage.kernel.transactions
    assert (transactions.servers, transactions.clients) == ({}, {})
    assert stage.kernel.timers.pending() == 0
    assert stage.kernel.parked == 0


def _unreachable():
    """What only the collector of cycles would free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = gc.garbage[:]
        gc.garbage.clear()
    finally:
        gc.set_debug(0)
    return found
