"""A thousand users keep their registrations alive while messages flow."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from .partner_load import PartnerLoad
from .programs import free_port, program
from .raw_client import RawClient
from .site import PARTNER_ADDRESS, Site
from .two_servers import accounts, uc_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.interop

USERS = 1000
SECONDS = 60
REFRESHES = 10 * USERS
"""Ten for each user within the minute: about 170 a second, beside 100 messages a second."""
MESSAGES = 100
ADDRESS = "127.0.0.12"
TABLES = """
[lan]

[lan.server.many]
password = "Vistula"
users = ["u*"]
addresses = ["127.0.0.12"]

[registrar]
register_rate = 1000
"""


class Refreshing(threading.Thread):
    """One connection of one UC server: REGISTERs at a steady rate, each answer timed."""

    def __init__(self, client: RawClient) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.took: list[float] = []
        self.statuses: list[int] = []
        self.failure = ""

    def run(self) -> None:
        """Send what is due, and take the answers that have come, in their order."""
        sent: list[float] = []
        reader = threading.Thread(target=self._read, args=(sent,), daemon=True)
        reader.start()
        begin = time.monotonic()
        for number in range(REFRESHES):
            due = begin + number * SECONDS / REFRESHES
            time.sleep(max(due - time.monotonic(), 0))
            text = self.client.register(f"u{number % USERS}")
            sent.append(time.monotonic())
            self.client.send(text)
        reader.join(60)

    def _read(self, sent: list[float]) -> None:
        try:
            for number in range(REFRESHES):
                response = self.client.hear(30)
                self.statuses.append(response.status)
                self.took.append(time.monotonic() - sent[number])
        except Exception as error:  # the test fails with it
            self.failure = f"{type(error).__name__}: {error}"


def test_a_thousand_users_refresh_for_a_minute_while_messages_flow(
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    program("kamailio")
    load_users = [f"load-{number}" for number in range(20)]
    tables = TABLES + accounts({"berlin": ["load-*"]})
    site = Site(tmp_path, tables, partner=(free_port(PARTNER_ADDRESS), "tcp"), level="warning")
    berlin = uc_server(site, "berlin", load_users)
    berlin.wait_registered()
    client = RawClient(site.lan["tcp"], address=ADDRESS)
    assert client.register_with("u0", "many", "Vistula").status == 200
    for number in range(USERS):
        assert client.ask(client.register(f"u{number}")).status == 200
    memory = site.proxy.memory
    load = PartnerLoad(site.wan("tcp"), load_users, MESSAGES)
    refreshing = Refreshing(client)
    load.start()
    refreshing.start()
    refreshing.join(SECONDS + 90)
    load.stop()
    assert not refreshing.failure, refreshing.failure + site.proxy.said
    assert len(refreshing.statuses) == REFRESHES
    assert set(refreshing.statuses) == {200}
    assert {tuple(one.statuses) for one in load.sent} == {(200,)}, site.proxy.said
    assert len(load.sent) > MESSAGES * SECONDS * 0.9
    assert len([row for row in site.registrations() if row["owner"] == "many"]) == USERS
    waits = [one.answered_at - one.at for one in load.sent]
    figures = (
        f"{REFRESHES} refreshes of {USERS} users and {len(load.sent)} messages in {SECONDS} s: "
        f"REGISTER p50 {statistics.median(refreshing.took) * 1000:.1f} ms, "
        f"p99 {statistics.quantiles(refreshing.took, n=100)[98] * 1000:.1f} ms; "
        f"MESSAGE p50 {statistics.median(waits) * 1000:.1f} ms, "
        f"p99 {statistics.quantiles(waits, n=100)[98] * 1000:.1f} ms; "
        f"memory {memory >> 20} to {site.proxy.memory >> 20} MiB"
    )
    record_property("figures", figures)
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
    client.socket.close()
    berlin.end()
    site.end()
