"""sipp calls sipp through the proxy: 50 calls a second, none lost, none repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .programs import program
from .sipp import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.interop

CALLS = 1000
LOSSLESS = {
    "calls-udp": ("uac", "uas", "udp"),
    "calls-tcp": ("uac", "uas", "tcp"),
    "dialogs-udp": ("invite_uac", "invite_uas", "udp"),
    "dialogs-tcp": ("invite_uac", "invite_uas", "tcp"),
    "hung-up-by-callee-udp": ("invite_uac_hung_up", "invite_uas_hangs_up", "udp"),
    "hung-up-by-callee-tcp": ("invite_uac_hung_up", "invite_uas_hangs_up", "tcp"),
    "messages-udp": ("message_uac", "reply_uas", "udp"),
    "messages-tcp": ("message_uac", "reply_uas", "tcp"),
    "subscriptions-udp": ("subscribe_uac", "subscribe_uas", "udp"),
    "subscriptions-tcp": ("subscribe_uac", "subscribe_uas", "tcp"),
}
LOSSY = {
    "calls": ("uac", "uas", ("-lost", "5"), ()),
    "dialogs": ("invite_uac", "invite_uas", ("-lost", "5"), ()),
    "messages": ("message_uac", "reply_uas", ("-lost", "5"), ("-lost", "5")),
}
"""Percent of what the caller, and the callee, send and receive that is thrown away.

Calls lose on one side only, for sipp's sake. Its own caller takes no 100 to BYE, which RFC 4320
§4.1 asks of a proxy whose callee stays silent for 3.5 s; and its callee, when its first answers are
lost, now and then takes the repeated INVITE for another message.
"""


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Exchange]]:
    """All of them at once, each with a proxy of its own: together they take 20 s, not minutes."""
    program("sipp")
    running: dict[str, Exchange] = {}
    try:
        for name, (uac, uas, protocol) in LOSSLESS.items():
            running[name] = Exchange(tmp_path_factory.mktemp(name), uac, uas, protocol, calls=CALLS)
        for name, (uac, uas, at_uac, at_uas) in LOSSY.items():
            folder = tmp_path_factory.mktemp(f"lossy-{name}")
            running[f"lossy-{name}"] = Exchange(
                folder, uac, uas, calls=CALLS, uac_options=at_uac, uas_options=at_uas
            )
        yield running
    finally:
        for exchange in running.values():
            exchange.end()


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_call_succeeds_and_nothing_is_sent_twice(
    exchanges: dict[str, Exchange], name: str
) -> None:
    exchange = exchanges[name]
    uac, uas = exchange.result()
    assert (uac.successful, uac.failed, uac.retransmitted) == (CALLS, 0, 0), exchange.said
    assert (uas.incoming, uas.failed, uas.retransmitted) == (CALLS, 0, 0), exchange.said


@pytest.mark.parametrize("name", LOSSY)
def test_with_five_percent_loss_every_call_completes(
    exchanges: dict[str, Exchange], name: str
) -> None:
    exchange = exchanges[f"lossy-{name}"]
    uac, _ = exchange.result()
    assert (uac.successful, uac.failed) == (CALLS, 0), exchange.said
    assert uac.retransmitted > 0
