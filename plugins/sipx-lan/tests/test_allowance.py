"""Questions to datagrams whose source may be forged: few, whatever is sent."""

from __future__ import annotations

import pytest
from sipx_lan import allowance
from sipx_lan.allowance import Allowance, network_of

from sipx.testing import NoAnswerError

A, B = "192.0.2.1", "198.51.100.1"
KEY = b"these networks share no bucket"


def answers(table, address, *, times, now=0.0):
    return sum(table.spend(address, now) for _ in range(times))


def test_unproven_sources_get_so_many_answers_and_no_more():
    table = Allowance(rate=2.0, burst=3.0, key=KEY)
    assert [table.spend(A, 0.0) for _ in range(4)] == [True, True, True, False]
    assert table.spend(B, 0.0)
    assert [table.spend(A, 1.0) for _ in range(3)] == [True, True, False]
    assert answers(table, A, times=9, now=1000.0) == 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.200", b"\xc0\x00\x02"),
        ("::ffff:192.0.2.1", b"\xc0\x00\x02"),
        ("2001:db8::1", bytes.fromhex("20010db800000000")),
        ("fe80::1%eth0", bytes.fromhex("fe80000000000000")),
        ("unix", b"unix"),
    ],
)
def test_what_counts_as_one_network(address, network):
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("inside", "outside"), [("192.0.2.%d", "192.0.3.1"), ("2001:db8::%x", "2001:db8:0:1::1")]
)
def test_all_addresses_of_a_network_have_one_allowance(inside, outside):
    table = Allowance(rate=2.0, burst=10.0, key=KEY)
    assert sum(table.spend(inside % host, 0.0) for host in range(1, 255)) == 10
    assert table.spend(outside, 0.0)


def test_many_forged_sources_fill_no_bucket_again(monkeypatch):
    monkeypatch.setattr(allowance, "BUCKETS", 64)
    table = Allowance(rate=2.0, burst=3.0, key=KEY)
    assert answers(table, A, times=9) == 3
    forged = [f"10.{number >> 8}.{number & 255}.1" for number in range(2000)]
    # All together have what the buckets hold, and the first one nothing more.
    assert sum(answers(table, source, times=4) for source in forged) <= 64 * 3
    assert answers(table, A, times=9) == 0
    assert len(table._left) == len(table._since) == 64


def test_who_shares_a_bucket_is_known_to_nobody():
    sources = [f"10.{number}.0.1" for number in range(200)]
    one, other = ([table._bucket(s) for s in sources] for table in (Allowance(), Allowance()))
    assert one != other


async def test_questions_to_unproven_datagrams_are_few(start_site, autojump_clock):
    site = await start_site(protocol="udp")
    client = site.client(transport="udp")
    statuses = []
    for _ in range(205):
        try:
            statuses.append((await client.agent.request("MESSAGE", "sip:x@away.example")).status)
        except NoAnswerError:
            statuses.append(0)
            break
    assert set(statuses) == {407, 0}
    assert len(statuses) > 150
