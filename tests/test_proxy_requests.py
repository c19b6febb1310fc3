"""RFC 3261 §16.3 to §16.6: what is refused, and what of a request changes on its way."""

from __future__ import annotations

import pytest

from sipx.plugin import Accept, NextHop, Sender, Target, Targets, hookimpl
from sipx.trust import SenderKind

from .wire import AWAY, HOME, answer, body, head, start, status, two, value, values

ADDED = ("Via", "Max-Forwards", "Max-Breadth", "Record-Route")
UNTOUCHED = (
    "Subject: one, two ; three",
    'CONTACT : "A, B" <sip:alice@192.0.2.9;x=y>;q=0.5',
    "X-Unknown:no space",
    "x-unknown: twice",
    "Accept: text/plain",
    "P-Something: \xe9\xe8",
    "Supported: 100rel, timer",
    "Accept: text/html",
)


def own(data):
    """The header lines that no proxy adds."""
    return [line for line in head(data)[1:] if line.partition(":")[0] not in ADDED]


async def test_p01_an_unknown_method_passes_with_all_its_headers(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    request = home.request(
        "FOO",
        "sip:carol@away.example;unknown=yes",
        sender="sip:bob@home.example",
        extra=UNTOUCHED,
        body="a body",
    )
    await home.send(request)
    arrived = await away.receive()
    assert start(arrived) == "FOO sip:carol@away.example;unknown=yes SIP/2.0"
    assert [line.replace("CONTACT :", "CONTACT:") for line in own(request)] == own(arrived)
    assert body(arrived) == b"a body"


async def test_p01_an_unknown_method_from_a_partner_is_answered_405(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    reply = await away.ask(away.request("FOO"))
    assert status(reply) == 405
    assert "MESSAGE" in value(reply, "Allow").split(", ")
    await home.silence()


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("xyz:abc", 416),
        ("tel:+4930123456", 416),
        ("http://home.example/", 416),
        ("sip:bob@home.example?Subject=x", 400),
        ("sip:", 400),
        ("<sip:bob@home.example>", 400),
        ("sips:bob@home.example", 416),
    ],
)
async def test_p02_a_uri_that_cannot_be_routed_is_refused(sipx_proxy, autojump_clock, uri, code):
    _, home, away = await two(sipx_proxy)
    assert status(await away.ask(away.request(uri=uri, to="<sip:bob@home.example>"))) == code
    await home.silence()


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("Max-Forwards: 1", "0"),
        ("Max-Forwards: 2", "1"),
        ("Max-Forwards: 0070", "69"),
        ("Max-Forwards: 255", "254"),
        ("", "70"),
    ],
)
async def test_p03_a_hop_is_taken_from_max_forwards(sipx_proxy, autojump_clock, given, left):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(max_forwards=given))
    assert value(await home.receive(), "Max-Forwards") == left


@pytest.mark.parametrize(
    ("given", "code"), [("0", 483), ("000", 483), ("256", 400), ("abc", 400), ("-1", 400)]
)
async def test_p03_max_forwards_is_refused_where_it_ends(sipx_proxy, autojump_clock, given, code):
    _, home, away = await two(sipx_proxy)
    for method in ("MESSAGE", "OPTIONS", "INVITE"):
        reply = await away.ask(away.request(method, max_forwards=f"Max-Forwards: {given}"))
        assert status(reply) == code
    await home.silence()


async def test_p03_options_for_the_proxy_itself_needs_no_hop(sipx_proxy, autojump_clock):
    _, _, away = await two(sipx_proxy)
    for hops in ("0", "7"):
        request = away.request("OPTIONS", "sip:127.0.0.1", max_forwards=f"Max-Forwards: {hops}")
        reply = await away.ask(request)
        assert status(reply) == 200
        assert not values(reply, "Server")
        assert body(reply) == b""


async def test_p03_a_message_for_the_proxy_itself_is_refused(sipx_proxy, autojump_clock):
    _, _, away = await two(sipx_proxy)
    assert status(await away.ask(away.request("MESSAGE", "sip:127.0.0.1"))) == 403


async def test_p04_what_this_proxy_sent_is_a_loop_when_it_returns(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request())
    request = await home.receive()
    returned = request.replace(
        b"\r\nVia:", f"\r\nVia: SIP/2.0/{home.via};branch=z9hG4bKh\r\nVia:".encode(), 1
    )
    await home.send(returned)
    assert status(await home.receive()) == 482


async def test_p04_a_spiral_with_another_request_uri_goes_on(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request())
    request = await home.receive()
    turned = request.replace(b"sip:bob@home.example SIP", b"sip:carol@away.example SIP", 1)
    turned = turned.replace(b"<sip:alice@away.example>", b"<sip:bob@home.example>", 1)
    await home.send(
        turned.replace(
            b"\r\nVia:", f"\r\nVia: SIP/2.0/{home.via};branch=z9hG4bKh\r\nVia:".encode(), 1
        )
    )
    arrived = await away.receive()
    assert start(arrived) == "MESSAGE sip:carol@away.example SIP/2.0"
    assert len(values(arrived, "Via")) == 4


@pytest.mark.parametrize("tags", ["foo", "foo, ms-benotify"])
async def test_p05_an_unknown_proxy_require_is_answered_420(sipx_proxy, autojump_clock, tags):
    _, home, away = await two(sipx_proxy)
    reply = await away.ask(away.request(extra=[f"Proxy-Require: {tags}"]))
    assert status(reply) == 420
    assert value(reply, "Unsupported") == tags
    await home.silence()


async def test_p05_require_alone_is_no_concern_of_a_proxy(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(extra=["Require: foo"]))
    assert value(await home.receive(), "Require") == "foo"


class Duplicates:
    """A target set that holds every target twice."""

    @hookimpl
    def determine_targets(self, request, sender):
        def bob():
            return Target(hops=(NextHop(HOME, 5060, "udp"),), uri=b"sip:bob@127.0.1.1")

        carol = Target(hops=(NextHop(AWAY, 5060, "udp"),), uri=b"sip:carol@127.0.1.2")
        return Targets(((bob(), carol, bob()), (carol,)))


async def test_p08_a_target_is_added_to_the_set_once(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy)
    proxy.kernel.hooks.unregister("testing-peers")
    proxy.kernel.hooks.register("duplicates", Duplicates())
    proxy.kernel.hooks.register("peers", Inside())
    await home.send(home.request("INVITE", sender="sip:bob@home.example"))
    invites = [await home.receive(), await home.receive(), await away.receive()]
    assert sorted(start(data).split()[0] for data in invites) == ["INVITE", "INVITE", "SIP/2.0"]
    for at, data in ((home, next(d for d in invites if b"bob@127" in d)), (away, invites[2])):
        await at.send(answer(data, 486))
    acks = [await home.receive(), await home.receive(), await away.receive()]
    assert sorted(start(data)[:11] for data in acks) == [
        "ACK sip:bob",
        "ACK sip:car",
        "SIP/2.0 486",
    ]
    await away.silence()


class Inside:
    """Everybody is a UC server of home.example."""

    @hookimpl
    def authenticate_request(self, request, flow):
        return Accept(Sender(SenderKind.UC_SERVER, "inside", frozenset((b"home.example",)), True))


async def test_p09_the_golden_copy_of_a_request(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    request = away.request(extra=UNTOUCHED, body="v=0\r\nno line end")
    await away.send(request)
    arrived = await home.receive()
    lines = head(arrived)
    branch = lines[1].partition("branch=")[2]
    assert branch.startswith("z9hG4bK")
    given = head(request)
    assert lines == [
        given[0],
        f"Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch={branch}",
        "Max-Breadth: 60",
        given[1],
        "Max-Forwards: 69",
        *[line.replace("CONTACT :", "CONTACT:") for line in given[3:]],
    ]
    assert body(arrived) == b"v=0\r\nno line end"


async def test_p09_a_response_loses_one_via_and_nothing_else(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request())
    reply = answer(
        await home.receive(), 299, extra=("X-A: 1", "Contact: <sip:x@[::1]>", "x-a: 2"), body="ok"
    )
    await home.send(reply)
    arrived = await away.receive()
    lines = head(reply)
    assert head(arrived) == [lines[0], *lines[2:]]
    assert body(arrived) == b"ok"


@pytest.mark.parametrize("text", ["", "hello"])
async def test_p12_a_stream_gets_content_length(sipx_proxy, autojump_clock, text):
    _, home, away = await two(sipx_proxy, home="tcp", away="udp")
    await away.send(away.request(length=False, body=text))
    arrived = await home.receive()
    assert value(arrived, "Content-Length") == str(len(text))
    assert body(arrived) == text.encode()


async def test_p12_a_response_on_a_stream_gets_content_length(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, home="udp", away="tcp")
    await away.send(away.request())
    await home.send(answer(await home.receive(), 200, length=False, body="four"))
    arrived = await away.receive()
    assert value(arrived, "Content-Length") == "4"
    assert body(arrived) == b"four"


async def test_p20_a_request_that_comes_again_is_forwarded_once(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    request = away.request()
    await away.send(request)
    arrived = await home.receive(1)
    await away.send(request)
    await home.send(answer(arrived, 202))
    reply = await away.receive(1)
    for _ in range(3):
        assert await away.ask(request) == reply
    await home.silence()


async def test_s01_session_timers_pass_untouched(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    timers = ["Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90"]
    await away.send(away.request("INVITE", extra=timers))
    assert status(await away.receive()) == 100
    arrived = await home.receive()
    assert [line for line in head(arrived) if line in timers] == timers
    await home.send(answer(arrived, 422, extra=["Min-SE: 1800"]))
    assert value(await away.receive(), "Min-SE") == "1800"


async def test_m01_message_passes_without_a_dialog(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(body="hello"))
    arrived = await home.receive()
    assert not values(arrived, "Record-Route")
    await home.send(answer(arrived, 202))
    assert status(await away.receive()) == 202


@pytest.mark.parametrize("breadth", ["abc", "-1", "99999999999"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_p01_a_max_breadth_that_is_no_number_is_answered_400(
    sipx_proxy, autojump_clock, transport, breadth
):
    _, home, away = await two(sipx_proxy, home=transport)
    reply = await away.ask(away.request(extra=[f"Max-Breadth: {breadth}"]))
    assert status(reply) == 400
    await home.silence()
