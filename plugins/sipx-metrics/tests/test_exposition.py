"""The text, as Prometheus' own parsers read it, from a real proxy."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from sipx_metrics.exposition import KEPT, Exposition, KeptStatus
from sipx_metrics.families import COLLECTION, FAMILIES

from sipx.testing import Authority

OPENMETRICS = "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"
READERS = {"text/plain": read_text, OPENMETRICS: read_openmetrics}


def exposition(proxy):
    handle = proxy.plugin("metrics")._proxy
    return Exposition(handle.status, trio.current_time)


def samples(proxy, accept="text/plain"):
    """Every sample by name and labels."""
    text, _ = exposition(proxy).text(accept)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in READERS[accept](text.decode())
        for sample in family.samples
    }


def value(found, name, **labels):
    return found[(name, *sorted(labels.items()))]


async def start(sipx_proxy, **tables):
    return await sipx_proxy(metrics={"port": 0}, **tables)


@pytest.mark.parametrize("accept", READERS, ids=["text", "openmetrics"])
async def test_both_formats_are_read_by_the_librarys_own_parsers(
    sipx_proxy, autojump_clock, accept
):
    proxy = await start(sipx_proxy)
    text, content_type = exposition(proxy).text(accept)
    assert content_type.startswith(accept.partition(";")[0])
    families = {family.name: family for family in READERS[accept](text.decode())}
    for family in FAMILIES:
        name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
        assert families[name].type == family.kind, family.name
        assert families[name].documentation == family.help
    assert COLLECTION in families
    assert "process_cpu_seconds" in families
    assert text.endswith(b"# EOF\n") == (accept == OPENMETRICS)


async def test_what_the_proxy_does_is_counted(sipx_proxy, autojump_clock):
    proxy = await start(sipx_proxy)
    home, away = proxy.peer("home.example"), proxy.peer("away.example")
    assert (await home.request("MESSAGE", "sip:bob@away.example")).status == 200
    assert (await away.request("MESSAGE", "sip:bob@nowhere.example")).status == 403
    assert (await home.request("INVENTED", "sip:bob@nowhere.example")).status == 403
    found = samples(proxy)
    assert value(found, "sipx_requests_total", method="MESSAGE") == 2
    assert value(found, "sipx_requests_total", method="other") == 1
    assert value(found, "sipx_responses_total", method="MESSAGE", code_class="2xx") == 1
    assert value(found, "sipx_responses_total", method="MESSAGE", code_class="4xx") == 1
    assert value(found, "sipx_responses_total", method="other", code_class="4xx") == 1
    assert value(found, "sipx_rejected_total", reason="relay") == 1
    assert value(found, "sipx_rejected_total", reason="no-route") == 1
    assert value(found, "sipx_rejected_total", reason="malformed") == 0
    assert value(found, "sipx_messages_total", interface="udp", direction="in") == 4
    assert value(found, "sipx_messages_total", interface="udp", direction="out") == 4
    assert value(found, "sipx_flows", interface="udp", direction="inbound") == 2
    assert value(found, "sipx_interface_up", interface="udp", protocol="udp", role="wan") == 1
    assert value(found, "sipx_transactions", side="server") == 3
    assert value(found, "sipx_healthy") == 1


async def test_nothing_that_a_peer_sends_becomes_a_label(sipx_proxy, autojump_clock):
    proxy = await start(sipx_proxy)
    before = {key for key in samples(proxy) if not key[0].startswith("sipx_responses")}
    home = proxy.peer("home.example")
    for number in range(200):
        await home.request(f"EVIL{number}", f"sip:evil{number}@evil{number}.example")
    text, _ = exposition(proxy).text()
    assert not re.search("evil", text.decode(), re.IGNORECASE)
    after = samples(proxy)
    assert {key for key in after if not key[0].startswith("sipx_responses")} == before
    assert value(after, "sipx_responses_total", method="other", code_class="4xx") == 200


async def test_counters_do_not_go_back_when_flows_end(sipx_proxy, autojump_clock):
    proxy = await start(sipx_proxy)
    home = proxy.peer("home.example", transport="tcp")
    await home.request("OPTIONS", "sip:bob@nowhere.example")
    before = samples(proxy)
    for flow in proxy.kernel.flows:
        flow.close("over")
    await trio.sleep(0.1)
    after = samples(proxy)
    assert value(after, "sipx_flows", interface="tcp", direction="inbound") == 0
    assert value(after, "sipx_flows_opened_total", interface="tcp") == 1
    assert value(after, "sipx_messages_total", interface="tcp", direction="in") == 1
    counters = [key for key in before if key[0].startswith("sipx") and key[0].endswith("_total")]
    assert counters
    assert not [key for key in counters if after[key] < before[key]]


async def test_an_interface_and_a_plugin_that_fail_are_down(sipx_proxy, autojump_clock):
    proxy = await start(sipx_proxy)
    proxy.kernel.interfaces.named("udp").failed("Address already in use")
    for service in proxy.kernel.services:
        service.status, service.restarts = "failed", 3
    proxy.kernel.troubles.note("partner", "away.example", "refused")
    proxy.kernel.troubles.note("weather", "here", "rain")
    proxy.kernel.troubles.note("log file", "sipx.log", "no space left")
    found = samples(proxy)
    assert value(found, "sipx_interface_up", interface="udp", protocol="udp", role="wan") == 0
    assert value(found, "sipx_plugin_up", plugin="metrics") == 0
    assert value(found, "sipx_plugin_up", plugin="udp") == 1
    assert value(found, "sipx_plugin_restarts_total", plugin="metrics") == 3
    assert value(found, "sipx_troubles", kind="partner") == 1
    assert value(found, "sipx_troubles", kind="other") == 1
    assert value(found, "sipx_troubles", kind="log-file") == 1
    assert value(found, "sipx_healthy") == 0


async def test_an_interface_that_drains_is_not_there_twice(sipx_proxy, autojump_clock):
    """Prometheus takes no page with two samples of the same labels."""
    proxy = await start(sipx_proxy)
    interfaces = proxy.kernel.interfaces.all
    here = interfaces[0]
    going = replace(here, port=here.port + 1, draining=True)
    for order in ([here, going], [going, here]):
        interfaces[:] = [*order, *interfaces[2:]]
        text, _ = exposition(proxy).text()
        lines = [line.rpartition(" ")[0] for line in text.decode().splitlines() if line[0] != "#"]
        assert len(set(lines)) == len(lines)
        found = samples(proxy)
        assert value(found, "sipx_interface_up", interface="udp", protocol="udp", role="wan") == 1
    interfaces[:] = [here]


async def test_what_is_switched_off_is_not_down(sipx_proxy, autojump_clock):
    off = {"enabled": False, "bind": "127.0.0.9", "port": 5099, "protocol": "udp"}
    udp = {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"}
    proxy = await start(sipx_proxy, interface={"udp": udp, "old": off})
    named = {dict(key[1:]).get("interface") for key in samples(proxy) if "up" in key[0]}
    assert "udp" in named
    assert "old" not in named


async def test_the_end_of_a_certificate_is_a_timestamp(sipx_proxy, autojump_clock, tmp_path):
    issued = Authority().leaf(dns=["home.example"])
    cert, key = issued.write(tmp_path, "main")
    proxy = await start(
        sipx_proxy,
        wan={"certificate": "main"},
        certificate={"main": {"cert_file": cert, "key_file": key}},
    )
    found = samples(proxy)
    [state] = proxy.kernel.certificates.states()
    ends = state.own.facts.not_after.timestamp()
    name = "sipx_certificate_not_after_timestamp_seconds"
    assert value(found, name, certificate="main") == ends
    assert value(found, "sipx_certificate_good", certificate="main") == 1


async def test_names_from_the_configuration_are_escaped_by_the_library(sipx_proxy, autojump_clock):
    odd = 'a "quoted" \\ name'
    proxy = await start(sipx_proxy)
    proxy.kernel.interfaces.named("udp").name = odd
    assert value(samples(proxy), "sipx_messages_total", interface=odd, direction="in") == 0
    assert value(samples(proxy, OPENMETRICS), "sipx_flows_opened_total", interface=odd) == 0


async def test_a_text_is_made_at_most_once_a_second_for_each_format(sipx_proxy, autojump_clock):
    proxy = await start(sipx_proxy)
    made = []
    handle = proxy.plugin("metrics")._proxy

    def status():
        made.append(trio.current_time())
        return handle.status()

    asked = Exposition(status, trio.current_time)
    first, _ = asked.text()
    await trio.sleep(KEPT * 0.9)
    assert asked.text()[0] is first
    assert asked.text(OPENMETRICS)[0] != first
    await trio.sleep(KEPT * 0.2)
    assert asked.text()[0] is not first
    assert len(made) == 3


async def test_no_accept_header_has_more_texts_made(sipx_proxy, autojump_clock):
    proxy = await start(sipx_proxy)
    made = []
    handle = proxy.plugin("metrics")._proxy
    asked = Exposition(lambda: made.append(1) or handle.status(), trio.current_time)
    for accept in (
        "",
        "*/*",
        "nonsense",
        "text/plain; version=99.\N{SNOWMAN}; escaping=",
        *(f"application/openmetrics-text; version=1.{number}.0" for number in range(20)),
        *(f"text/plain; version=1.0.0; escaping=x{number}" for number in range(20)),
    ):
        asked.text(accept)
    assert len(made) == 2


async def test_the_first_format_that_is_accepted_is_given(sipx_proxy, autojump_clock):
    asked = exposition(await start(sipx_proxy))
    for accept, begins in (
        (OPENMETRICS, "application/openmetrics-text"),
        ("text/plain;version=0.0.4,application/openmetrics-text", "text/plain"),
        ("text/html,*/*;q=0.1", "text/plain"),
        ("Application/OpenMetrics-Text", "application/openmetrics-text"),
    ):
        assert asked.text(accept)[1].startswith(begins)


def test_a_status_is_kept_for_a_moment_and_a_failure_is_not():
    times, answers = SimpleNamespace(now=0.0), [ValueError(), "first", "second"]

    def gather():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    kept = KeptStatus(gather, lambda: times.now)
    with pytest.raises(ValueError):  # noqa: PT011  # the very one from above
        kept()
    assert kept() == "first"
    times.now = KEPT * 0.99
    assert kept() == "first"
    times.now = KEPT
    assert kept() == "second"
