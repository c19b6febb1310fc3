"""What other plugins show in the status becomes metrics; what is not there, or is odd, does not."""

from types import SimpleNamespace

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from sipx_metrics import sections
from sipx_metrics.exposition import Exposition

ROW = {
    "name": "berlin",
    "state": "suspect",
    "users": 12,
    "share": "25%",
    "counts": {"requests": 7, "pings": 3, "pongs": 2, "failures": 1},
}


def status(**shown):
    return SimpleNamespace(sections=shown)


def test_each_state_is_a_sample():
    samples = dict(sections.server_states(status(servers=[ROW])))
    assert [state for (_, state), value in samples.items() if value] == ["suspect"]
    assert len(samples) == len(sections.STATES)


def test_numbers_of_servers_are_read():
    found = status(servers=[ROW])
    assert list(sections.server_users(found)) == [(("berlin",), 12)]
    assert list(sections.server_shares(found)) == [(("berlin",), 0.25)]
    for key, value in ROW["counts"].items():
        assert list(sections.server_counts(key)(found)) == [(("berlin",), value)]


def test_registrations_and_bans_are_counted():
    found = status(registrations={"users": 3, "registrations": 4}, bans=[{}, {}])
    assert list(sections.number_of("registrations", "users")(found)) == [((), 3)]
    assert list(sections.number_of("registrations", "registrations")(found)) == [((), 4)]
    assert list(sections.banned(found)) == [((), 2)]


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"servers": {"name": "berlin"}, "registrations": [], "bans": "none"},
        {"servers": ["berlin", {"state": "up"}, {"name": "x", "share": "-", "counts": None}]},
    ],
)
def test_what_looks_otherwise_has_no_samples(shown):
    found = status(**shown)
    for read in (
        sections.server_users,
        sections.server_shares,
        sections.server_counts("pings"),
        sections.number_of("registrations", "users"),
        sections.banned,
    ):
        assert list(read(found)) == []


async def test_the_real_plugins_show_what_is_read(sipx_proxy, autojump_clock):
    server = {"berlin": {"password": "secret", "users": ["alice"]}}
    proxy = await sipx_proxy(lan={"server": server}, registrar={}, metrics={"port": 0})
    text, _ = Exposition(proxy.plugin("metrics")._proxy.status, trio.current_time).text()
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.labels.get("state", "never seen") == "never seen"
    }
    assert found["sipx_server_state"] == 1
    for name in (
        "sipx_server_users",
        "sipx_server_share_ratio",
        "sipx_server_requests_total",
        "sipx_server_pings_total",
        "sipx_server_pings_answered_total",
        "sipx_server_failures_total",
        "sipx_registered_users",
        "sipx_registrations",
        "sipx_logons_total",
        "sipx_wrong_credentials_total",
        "sipx_bans_total",
        "sipx_sources_banned",
    ):
        assert found[name] == 0, name


def test_requests_of_partners_by_what_became_of_them():
    shown = {"known": 3, "connected": 1, "messages_in": 9, "slowed": 2, "limited": 4, "refused": 5}
    told = status(**{"open-federation": shown})
    assert dict(sections.federation_requests(told)) == {
        ("accepted",): 9,
        ("slowed",): 2,
        ("limited",): 4,
        ("refused",): 5,
    }
    assert list(sections.federation_requests(status())) == []
    assert list(sections.federation_requests(status(**{"open-federation": [1]}))) == []


SOURCE = {
    "bind": "10.0.0.10",
    "family": 4,
    "server": "stun.example.net",
    "nat": "Full Cone",
    "mapping": "endpoint-independent",
    "filtering": "endpoint-independent",
}
STUN = {
    "sources": [SOURCE],
    "runs": {"answered": 7, "silent": 2},
    "changes": 3,
    "bindings": {"answered": 5, "refused": 1},
}
RUNS = sections.stun_counts("runs", "answered", "silent")
BINDINGS = sections.stun_counts("bindings", "answered", "refused")


def test_the_kind_of_nat_and_the_counts_of_stun_are_read():
    found = status(stun=STUN)
    cone = ("10.0.0.10", "4", "Full Cone", "endpoint-independent", "endpoint-independent")
    assert list(sections.nat_kinds(found)) == [(cone, 1)]
    assert dict(RUNS(found)) == {("answered",): 7, ("silent",): 2}
    assert dict(BINDINGS(found)) == {("answered",): 5, ("refused",): 1}
    assert list(sections.number_of("stun", "changes")(found)) == [((), 3)]


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"stun": [SOURCE]},
        {"stun": {"sources": SOURCE, "runs": 3, "bindings": {"answered": "many"}}},
        {"stun": {"sources": ["*", {**SOURCE, "nat": ""}, {**SOURCE, "mapping": None}]}},
    ],
)
def test_what_does_not_look_like_stun_has_no_samples(shown):
    found = status(**shown)
    for read in (sections.nat_kinds, RUNS, BINDINGS, sections.number_of("stun", "changes")):
        assert list(read(found)) == []


def test_an_interface_shows_what_it_is_advertised_as():
    def one(name, advertised, state="listening"):
        return SimpleNamespace(name=name, advertised=advertised, state=state)

    public = "203.0.113.5:5061"
    told = SimpleNamespace(
        interfaces=(one("wan", public), one("lan", ""), one("wan", "192.0.2.1:5061", "draining"))
    )
    assert list(sections.public_addresses(told)) == [(("wan", public), 1)]


async def test_the_plugin_stun_shows_what_is_read(sipx_proxy, autojump_clock):
    wan = {"use_public_address": True}
    proxy = await sipx_proxy(wan=wan, stun={}, metrics={"port": 0})
    proxy.kernel.handle("stun").note_public_addresses({"127.0.0.1": "203.0.113.5"})
    text, _ = Exposition(proxy.plugin("metrics")._proxy.status, trio.current_time).text()
    found = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    ]
    for name in ("sipx_stun_runs_total", "sipx_stun_bindings_total"):
        assert sum(one == name and value == 0 for one, _, value in found) == 2, name
    assert ("sipx_public_address_changes_total", {}, 0) in found
    shown = [labels for name, labels, _ in found if name == "sipx_public_address_info"]
    assert [labels["interface"] for labels in shown] == ["udp", "tcp"]
    assert {labels["address"].partition(":")[0] for labels in shown} == {"203.0.113.5"}
