"""Two organisations over mutual TLS: sipx here, Kamailio with its own authority there."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trio

from sipx.testing import Authority, UdpCarrier, UserAgent

from .kamailio import TlsKamailio
from .programs import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from sipx.testing import Issued, ProxyUnderTest, StartProxy

pytestmark = pytest.mark.interop

OURS = "home.example"
PARTNER = "away.example"
HOME, AWAY, SIPX = "127.0.0.3", "127.0.0.5", "127.0.0.6"


class Parties:
    """The two authorities, sipx with its UC server, Kamailio with its user agent."""

    def __init__(self, folder: Path, start: StartProxy) -> None:
        self.folder = folder
        self.start = start
        self.our_ca, self.their_ca = Authority("Home CA"), Authority("Away CA")
        self.our_ca.write(folder, "home-ca")
        self.their_ca.write(folder, "away-ca")
        self.port = free_port(SIPX)
        self.proxy: ProxyUnderTest
        self.kamailio: TlsKamailio
        self.home = UserAgent(f"sip:ada@{OURS}", UdpCarrier(HOME))
        self.away = UserAgent(f"sip:bob@{PARTNER}", UdpCarrier(AWAY))

    def theirs(self, *, dns: Sequence[str] = (f"sip.{PARTNER}",), **more: Any) -> Issued:
        return self.their_ca.leaf(dns=dns, **more)

    @asynccontextmanager
    async def meet(
        self, identity: Issued, *, shows: bool = True, **tables: Any
    ) -> AsyncIterator[Parties]:
        """Both sides run; ``identity`` is what Kamailio shows."""
        certificate, key = self.our_ca.leaf(dns=[f"sip.{OURS}"]).write(self.folder, "home")
        async with AsyncExitStack() as stack:
            nursery = await stack.enter_async_context(trio.open_nursery())
            await nursery.start(self.home.serve)
            await nursery.start(self.away.serve)
            self.kamailio = TlsKamailio(
                self.folder / "kamailio",
                identity=identity,
                ca=self.folder / "home-ca.crt",
                domain=PARTNER,
                callee=self.away.place,
                sipx=(SIPX, self.port),
                shows=shows,
            )
            stack.callback(lambda: self.kamailio.end())
            partner = {
                "server": "127.0.0.4",
                "port": self.kamailio.tls_port,
                "protocol": "mtls",
                "ca": str(self.folder / "away-ca.crt"),
            }
            near = {"bind": SIPX, "port": 0, "protocol": "udp"}
            far = {"bind": SIPX, "port": self.port, "protocol": "mtls", "certificate": "own"}
            self.proxy = await self.start(
                domains=[OURS],
                plugins=["tls"],
                interface={"near": near, "far": far},
                certificate={"own": {"cert_file": certificate, "key_file": key}},
                **{
                    "static-routes": {
                        "route": {
                            OURS: {
                                "server": HOME,
                                "port": self.home.place[1],
                                "protocol": "udp",
                                "trusted": True,
                            },
                            PARTNER: partner,
                        }
                    }
                },
                **tables,
            )
            self.home.proxy = self.proxy.place("near")
            self.away.proxy = self.kamailio.place
            yield self
            nursery.cancel_scope.cancel()


@pytest.fixture
def parties(tmp_path: Path, sipx_on_loopback: StartProxy) -> Parties:
    return Parties(tmp_path, sipx_on_loopback)


# A certificate with both usages, and one as public authorities issue it since 2026.
USAGES = [("serverAuth", "clientAuth"), ("serverAuth",)]


@pytest.mark.parametrize("eku", USAGES, ids=["both", "serverAuth-only"])
async def test_messages_pass_in_both_directions(parties: Parties, eku: tuple[str, ...]) -> None:
    async with parties.meet(parties.theirs(dns=[PARTNER], eku=eku)):
        assert (await parties.home.message(f"sip:bob@{PARTNER}", "to you")).status == 200
        assert (await parties.away.message(f"sip:ada@{OURS}", "and back")).status == 200
        flows = [flow for flow in parties.proxy.kernel.flows if flow.transport == "mtls"]
        assert all(flow.peer is not None and flow.peer.name == PARTNER for flow in flows)
        assert {flow.outbound for flow in flows} >= {True}


@pytest.mark.parametrize("eku", USAGES, ids=["both", "serverAuth-only"])
async def test_a_subscription_lives_and_ends_over_both_proxies(
    parties: Parties, eku: tuple[str, ...]
) -> None:
    async with parties.meet(parties.theirs(dns=[PARTNER], eku=eku)):
        for watcher, whom in (
            (parties.home, f"sip:bob@{PARTNER}"),
            (parties.away, f"sip:ada@{OURS}"),
        ):
            subscription = await watcher.subscribe(whom)
            assert subscription.notifications
            assert (await subscription.refresh()).status == 200
            await subscription.next_notify()
            assert (await subscription.unsubscribe()).status == 200


async def test_calls_are_ended_by_either_side(parties: Parties) -> None:
    async with parties.meet(parties.theirs(dns=[PARTNER])):
        for caller, whom in (
            (parties.home, f"sip:bob@{PARTNER}"),
            (parties.away, f"sip:ada@{OURS}"),
        ):
            call = await caller.call(whom)
            assert (await call.hangup()).status == 200


# ---------------------------------------------------------------- refused


def stranger(parties: Parties) -> Issued:
    return Authority("Away CA").leaf(dns=[PARTNER])


def expired(parties: Parties) -> Issued:
    day = timedelta(days=1)
    begin = parties.their_ca.now - 30 * day
    return parties.theirs(dns=[PARTNER], not_before=begin, not_after=begin + 20 * day)


def another(parties: Parties) -> Issued:
    return parties.theirs(dns=["other.example"])


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (stranger, "its issuer CN=Away CA is not trusted here"),
        (expired, "expired"),
        (another, "it names other.example"),
    ],
)
async def test_a_bad_certificate_is_refused_in_both_directions(
    parties: Parties, identity: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sipx")
    async with parties.meet(identity(parties)):
        answer = await parties.home.message(f"sip:bob@{PARTNER}", "nobody may read this")
        assert answer.status == 502
        warning = (answer.get(b"Warning") or b"").decode()
        assert words in warning
        assert PARTNER in warning
        trouble = parties.proxy.kernel.troubles.of("partner", PARTNER)
        assert trouble is not None
        assert words in trouble.text
        answer = await parties.away.message(f"sip:ada@{OURS}", "nobody may read this either")
        assert answer.status >= 400
        trouble = parties.proxy.kernel.troubles.of("interface", "far")
        assert trouble is not None
        assert words in trouble.text
        assert "[row 2]" in trouble.text
        assert any(trouble.text in message for message in caplog.messages)


async def test_a_partner_that_shows_no_certificate_is_row_1(parties: Parties) -> None:
    async with parties.meet(parties.theirs(dns=[PARTNER]), shows=False):
        answer = await parties.away.message(f"sip:ada@{OURS}", "who am I?")
        assert answer.status >= 400
        trouble = parties.proxy.kernel.troubles.of("interface", "far")
        assert trouble is not None
        assert "it showed no certificate, and mtls demands one" in trouble.text
        assert "[row 1]" in trouble.text
        # The other way sipx shows its own, and Kamailio has to show one as a server.
        assert (await parties.home.message(f"sip:bob@{PARTNER}", "it is you")).status == 200


async def test_a_good_certificate_with_another_domain_in_from_is_403(
    parties: Parties, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sipx")
    async with parties.meet(parties.theirs(dns=[PARTNER])):
        for sender, words in (
            ("sip:eve@other.example", "may not use this From domain"),
            (f"sip:ada@{OURS}", "may not use our own domain in From"),
        ):
            answer = await parties.away.message(f"sip:ada@{OURS}", "it is me", sender=sender)
            assert answer.status == 403
            assert any(words in message for message in caplog.messages)


async def test_a_certificate_of_no_route_is_row_9(
    parties: Parties, caplog: pytest.LogCaptureFixture
) -> None:
    """[trust] vouches for it, and it names somebody we know nothing of."""
    caplog.set_level(logging.INFO, "sipx")
    trust = {"ca": str(parties.folder / "away-ca.crt")}
    async with parties.meet(another(parties), trust=trust):
        answer = await parties.away.message(f"sip:ada@{OURS}", "let me in")
        assert answer.status == 403
        refusal = next(m for m in caplog.messages if m.startswith("refused MESSAGE"))
        assert "no active static route matches this certificate; federation is off" in refusal
        assert "subject CN=other.example" in refusal


# ---------------------------------------------------------------- a partner that restarts


async def test_a_partner_may_restart_under_load(parties: Parties) -> None:
    """200 messages a second: each gets a final answer, and none is lost once it is back."""
    async with parties.meet(parties.theirs(dns=[PARTNER])):
        answers: dict[int, list[int]] = {0: [], 1: [], 2: []}
        phase = 0

        async def say(during: int) -> None:
            response = await parties.home.message(f"sip:bob@{PARTNER}", "still there?")
            answers[during].append(response.status)

        async with trio.open_nursery() as nursery:

            async def load() -> None:
                while phase < 3:
                    nursery.start_soon(say, phase)
                    await trio.sleep(0.005)

            nursery.start_soon(load)
            await trio.sleep(1)
            phase = 1
            await trio.to_thread.run_sync(parties.kamailio.end)
            await trio.to_thread.run_sync(parties.kamailio.start)
            phase = 2
            await trio.sleep(1)
            phase = 3
        # Those of the first phase that were on the wire when Kamailio ended may have gone with it.
        assert set(answers[0]) <= {200, 500, 503}
        assert answers[0].count(200) > 100
        assert set(answers[1]) <= {200, 500, 503}
        assert answers[2], "nothing was sent after the restart"
        assert set(answers[2]) == {200}, answers[2]
