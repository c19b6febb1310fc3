"""Rendezvous hashing: shares, and what moves when servers come and go."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sipx_registrar.hashing import point_of, ranked, score, seed_of

NAMES = st.lists(
    st.text("abcdefghijklmnop-", min_size=1, max_size=12), min_size=2, max_size=10, unique=True
)
WEIGHTS = st.integers(min_value=1, max_value=10)
KEYS = [b"user%d@home.example" % number for number in range(300)]


def winners(servers: dict[str, float], keys: list[bytes] = KEYS) -> dict[bytes, str]:
    members = [(name, seed_of(name), weight) for name, weight in servers.items()]
    return {key: ranked(key, members)[0] for key in keys}


@given(NAMES, st.data())
@settings(max_examples=40, deadline=None)
def test_without_one_server_only_its_own_keys_move(names, data):
    servers = {name: data.draw(WEIGHTS) for name in names}
    gone = data.draw(st.sampled_from(names))
    before = winners(servers)
    after = winners({name: weight for name, weight in servers.items() if name != gone})
    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved == {key for key in KEYS if before[key] == gone}


@given(NAMES, st.data())
@settings(max_examples=40, deadline=None)
def test_a_weight_that_grows_takes_keys_and_moves_no_others(names, data):
    servers = {name: data.draw(WEIGHTS) for name in names}
    grows = data.draw(st.sampled_from(names))
    before = winners(servers)
    after = winners({**servers, grows: servers[grows] + data.draw(WEIGHTS)})
    assert {after[key] for key in KEYS if before[key] != after[key]} <= {grows}


@given(NAMES, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_servers_does_not_matter(names, random):
    shuffled = list(names)
    random.shuffle(shuffled)
    assume(shuffled != names)
    assert winners(dict.fromkeys(names, 1.0)) == winners(dict.fromkeys(shuffled, 1.0))


@given(st.lists(WEIGHTS, min_size=2, max_size=6))
@settings(max_examples=15, deadline=None)
def test_shares_are_in_proportion_to_the_weights(weights):
    servers = {f"server-{number}": float(weight) for number, weight in enumerate(weights)}
    keys = [b"user%d@home.example" % number for number in range(4000)]
    shares = Counter(winners(servers, keys).values())
    total = sum(weights)
    for name, weight in servers.items():
        # Six standard deviations of so many throws of a coin that falls so: never by chance.
        expected = len(keys) * weight / total
        bound = 6 * (expected * (1 - weight / total)) ** 0.5
        assert abs(shares[name] - expected) <= bound


def test_weight_0_gets_nothing():
    servers = {"a": 0.0, "b": 1.0}
    assert set(winners(servers).values()) == {"b"}
    assert ranked(b"alice@home.example", [("a", seed_of("a"), 0.0)]) == []


def test_the_whole_order_is_that_of_servers_gone_one_by_one():
    names = ["berlin", "munich", "paris", "rome"]
    members = [(name, seed_of(name), 1.0) for name in names]
    for key in KEYS[:50]:
        left, order = list(members), []
        while left:
            order.append(ranked(key, left)[0])
            left = [member for member in left if member[0] != order[-1]]
        assert ranked(key, members) == order


def test_another_process_finds_the_same():
    ours = score(seed_of("berlin"), point_of(b"alice@home.example"), 1.0)
    code = (
        "from sipx_registrar.hashing import point_of, score, seed_of;"
        "print(repr(score(seed_of('berlin'), point_of(b'alice@home.example'), 1.0)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(run.stdout) == ours
    # A change of the function would move every user of every installation: it is written down.
    assert f"{ours:.6f}" == "5.532766"
