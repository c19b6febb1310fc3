"""A user agent that logs on, against a registrar that challenges with sipx's own digest."""

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from sipx.sip import NameAddr
from sipx.sip.digest import MD5, PREFERRED, Credentials, Result, Secret, challenges, verify
from sipx.sip.nonce import NonceCounts, check_nonce, make_nonce
from sipx.testing import (
    Logon,
    RefusedError,
    TcpCarrier,
    UdpCarrier,
    UserAgent,
    register,
    running,
)

REALM = b"home.example"
ALICE = "sip:alice@home.example"
BERLIN = "sip:berlin@home.example"
CARRIERS = pytest.mark.parametrize("carrier", [UdpCarrier, TcpCarrier])


class Registrar:
    """Challenges whatever comes, and answers what proves itself: a REGISTER with its Contact."""

    def __init__(self, *, granted=b"60", algorithms=PREFERRED, too_late=0):
        self.granted = granted
        self.algorithms = algorithms
        self.seen = []
        self.results = []
        self.nonces = 0
        self.too_late = too_late
        self._counts = NonceCounts()

    async def answer(self, agent, request):
        self.seen.append(request)
        asks, gives = (
            (b"WWW-Authenticate", b"Authorization")
            if request.method == b"REGISTER"
            else (b"Proxy-Authenticate", b"Proxy-Authorization")
        )
        result = None
        if given := request.get(gives):
            result = verify(
                Credentials.parse(given),
                request.method,
                request.uri,
                Secret(b"right"),
                self.is_good,
                realm=REALM,
                counts=self._counts,
                algorithms=self.algorithms,
                body=request.body,
            )
            self.results.append(result)
        if result is Result.VALID:
            self.accept(agent, request)
            return
        self.nonces += 1
        nonce = make_nonce(0, b"key", REALM, b"", self.nonces)
        offered = challenges(REALM, nonce, algorithms=self.algorithms, stale=result is Result.STALE)
        status = 401 if request.method == b"REGISTER" else 407
        agent.reply(request, status, headers=tuple((asks, value) for value in offered))

    def is_good(self, nonce):
        """The first ``too_late`` answers come when their nonce is too old."""
        now = 61 if len(self.results) < self.too_late else 0
        return check_nonce(nonce, now, 60, b"key", REALM, b"")

    def accept(self, agent, request):
        if request.method != b"REGISTER":
            agent.reply(request, 200)
            return
        headers = [(b"Service-Route", b"<sip:edge.home.example;lr>")]
        for value in request.get_list(b"Contact"):
            if request.get(b"Expires") != b"0":
                headers.append((b"Contact", value + b";expires=" + self.granted))
        agent.reply(request, 200, headers=tuple(headers))


@asynccontextmanager
async def logging_on(carrier=UdpCarrier, *, logon=None, methods=("REGISTER",), **options):
    registrar = Registrar(**options)
    server = UserAgent("sip:server@home.example", carrier())
    berlin = UserAgent(BERLIN, carrier())
    berlin.logon = logon
    for method in methods:
        server.on(method, registrar.answer)
    with trio.fail_after(20):
        async with running(server), running(berlin):
            berlin.proxy, server.proxy = server.place, berlin.place
            yield berlin, registrar


@CARRIERS
async def test_a_user_is_registered_refreshed_and_unregistered(carrier):
    async with logging_on(carrier, logon=Logon("berlin", "right")) as (berlin, registrar):
        alice = await register(berlin, ALICE, sender=BERLIN, params=";q=0.5")
        assert alice.granted == 60
        assert alice.service_route == [b"<sip:edge.home.example;lr>"]
        await alice.refresh()
        await alice.unregister()
        assert alice.granted == 0
    first, second, *_, last = registrar.seen
    assert registrar.results == [Result.VALID] * 3
    assert first.uri == b"sip:home.example"
    assert first.get(b"Authorization") is None
    assert second.from_.uri == BERLIN.encode()
    assert second.to.uri == ALICE.encode()
    contact = NameAddr.parse(second.get(b"Contact"))
    assert contact.uri.startswith(b"sip:alice@127.0.0.1:")
    assert contact.param(b"q") == b"0.5"
    assert last.get(b"Expires") == b"0"
    assert len({request.call_id for request in registrar.seen}) == 1
    numbers = [request.cseq.number for request in registrar.seen]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_bindings_are_asked_for_without_a_contact():
    async with logging_on(logon=Logon("berlin", "right")) as (berlin, registrar):
        alice = await register(berlin, ALICE)
        assert await alice.query() == []
        assert registrar.seen[-1].get(b"Contact") is None
        assert registrar.seen[-1].get(b"Expires") is None
        assert alice.granted == 60


async def test_a_wrong_password_is_tried_once():
    async with logging_on(logon=Logon("berlin", "wrong")) as (berlin, registrar):
        with pytest.raises(RefusedError) as refused:
            await register(berlin, ALICE)
        assert refused.value.response.status == 401
        assert registrar.results == [Result.WRONG]


async def test_without_a_logon_the_challenge_is_the_answer():
    async with logging_on() as (berlin, registrar):
        with pytest.raises(RefusedError) as refused:
            await register(berlin, ALICE)
        assert refused.value.response.status == 401
        assert len(registrar.seen) == 1


async def test_a_nonce_that_became_stale_is_replaced():
    async with logging_on(logon=Logon("berlin", "right"), too_late=1) as (berlin, registrar):
        alice = await register(berlin, ALICE)
        assert alice.granted == 60
    assert registrar.results == [Result.STALE, Result.VALID]


async def test_a_registrar_that_finds_every_nonce_stale_is_not_asked_for_ever():
    async with logging_on(logon=Logon("berlin", "right"), too_late=9) as (berlin, registrar):
        with pytest.raises(RefusedError):
            await register(berlin, ALICE)
    assert registrar.results == [Result.STALE] * 2


async def test_an_algorithm_that_is_not_known_is_not_answered():
    async with logging_on(logon=Logon("berlin", "right", algorithms=(MD5,))) as (berlin, registrar):
        with pytest.raises(RefusedError):
            await register(berlin, ALICE)
        assert berlin.logon.challenges == 0
        assert len(registrar.seen) == 1


async def test_any_request_is_repeated_with_credentials():
    options = {"logon": Logon("berlin", "right"), "methods": ("MESSAGE", "OPTIONS")}
    async with logging_on(**options) as (berlin, registrar):
        assert (await berlin.message("sip:bob@home.example", "hello")).status == 200
        assert (await berlin.request("OPTIONS", "sip:home.example")).status == 200
        challenged, repeated, *_ = registrar.seen
        assert repeated.body == challenged.body == b"hello"
        assert repeated.cseq.number == challenged.cseq.number + 1
        assert repeated.get(b"Proxy-Authorization") is not None


async def test_dialogs_go_on_after_a_challenge():
    """The numbers count on, for calls and subscriptions (RFC 3261 §12.2.1.1)."""
    logon = Logon("berlin", "right")
    options = {"logon": logon, "methods": ("INVITE", "SUBSCRIBE", "INFO")}
    async with logging_on(**options) as (berlin, registrar):
        telephone = UserAgent("sip:bob@home.example", UdpCarrier())
        handlers = telephone.handlers

        def accept(agent, request):
            agent.start_soon(partial(handlers[request.method], agent, request))

        registrar.accept = accept
        call = await berlin.call("sip:bob@home.example")
        assert (await call.request("INFO")).status == 200
        assert (await call.hangup()).status == 200
        subscription = await berlin.subscribe("sip:bob@home.example")
        assert (await subscription.unsubscribe()).status == 200
        numbers = [r.cseq.number for r in registrar.seen if r.call_id == call.dialog.call_id]
        assert numbers == [1, 2, 3, 4]
        own = subscription.dialog.call_id
        assert [r.cseq.number for r in registrar.seen if r.call_id == own] == [1, 2, 3, 4]


async def test_a_registration_is_kept(autojump_clock, sipx_proxy):
    proxy = await sipx_proxy()
    registrar = Registrar(granted=b"20")
    server = proxy.peer("partner.example")
    berlin = proxy.peer("home.example", user="berlin")
    server.on("REGISTER", registrar.answer)
    berlin.proxy = server.place
    berlin.logon = Logon("berlin", "right")
    alice = await register(berlin, ALICE)
    before = len(registrar.seen)
    with trio.move_on_after(35):
        await alice.keep()
    assert len(registrar.seen) == before + 2 * 3  # at 10, 20 and 30 seconds, each challenged
