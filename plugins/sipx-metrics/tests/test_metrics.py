"""The plugin as a whole: its listener in a running proxy, its check, its control method."""

from __future__ import annotations

import logging
import socket
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from prometheus_client.parser import text_string_to_metric_families
from sipx_metrics import Metrics, MetricsConfig

from sipx import Severity, SipxError


async def fetch(address, path="/metrics", accept="*/*"):
    """Head and body of an answer."""
    async with await trio.open_tcp_stream(*address) as stream:
        lines = (f"GET {path} HTTP/1.1", "Host: a", f"Accept: {accept}", "Connection: close")
        await stream.send_all("\r\n".join((*lines, "", "")).encode())
        found = b""
        while data := await stream.receive_some(65536):
            found += data
    head, _, body = found.decode().partition("\r\n\r\n")
    return head, body


async def test_a_running_proxy_is_scraped_over_http(sipx_on_loopback):
    proxy = await sipx_on_loopback(metrics={"port": 0})
    home = await proxy.open_peer("home.example")
    assert (await home.request("MESSAGE", "sip:bob@nowhere.example")).status == 403
    head, body = await fetch(proxy.plugin("metrics").address)
    assert head.startswith("HTTP/1.1 200 OK")
    assert "text/plain; version=0.0.4" in head
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert families["sipx_healthy"].samples[0].value == 1
    requests = {s.labels["method"]: s.value for s in families["sipx_requests"].samples}
    assert requests["MESSAGE"] == 1
    head, _ = await fetch(proxy.plugin("metrics").address, accept="application/openmetrics-text")
    assert "application/openmetrics-text; version=1.0.0" in head


async def test_health_follows_the_interfaces(sipx_on_loopback):
    proxy = await sipx_on_loopback(metrics={"port": 0})
    at = proxy.plugin("metrics").address
    head, body = await fetch(at, "/readyz?verbose")
    assert head.startswith("HTTP/1.1 200 OK")
    assert body == "[+] proxy\n[+] interface udp\n[+] interface tcp\nok\n"
    assert (await fetch(at, "/livez"))[1] == "ok\n"


@pytest.fixture
def taken():
    """A port that somebody else listens on, as long as it is open."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other


async def test_a_reload_to_a_port_that_is_taken_is_refused_in_words(sipx_on_loopback, taken):
    port = taken.getsockname()[1]
    proxy = await sipx_on_loopback(metrics={"enabled": False})
    kernel = proxy.kernel
    kernel.forgive = True
    file = kernel.settings.path
    file.write_text(file.read_text().replace("enabled = false", f"port = {port}"))
    with pytest.raises(SipxError, match=f"127.0.0.1 port {port}: Address already in use; end what"):
        await kernel.reload(await kernel.read())
    assert kernel.handle("metrics").status().healthy


async def test_a_port_that_is_taken_is_shown_and_tried_again_and_sip_goes_on(
    sipx_on_loopback, mock_clock, taken
):
    port = taken.getsockname()[1]
    proxy = await sipx_on_loopback(metrics={"enabled": False})
    kernel = proxy.kernel
    kernel.forgive = True
    handle = kernel.handle("metrics")
    plugin = Metrics(MetricsConfig(port=port), handle)
    [shown] = await kernel.running_services.start([("metrics", plugin.serve)])
    assert shown.status == "failed"
    assert f"127.0.0.1 port {port}: Address already in use" in shown.error
    assert not handle.status().healthy
    home = await proxy.open_peer("home.example")
    assert (await home.request("MESSAGE", "sip:bob@nowhere.example")).status == 403
    taken.close()
    mock_clock.jump(1.0)
    await trio.testing.wait_all_tasks_blocked()
    assert (shown.status, shown.restarts) == ("running", 1)
    assert handle.status().healthy
    assert (await fetch(("127.0.0.1", port), "/livez"))[1] == "ok\n"


async def test_a_reload_moves_the_listener(sipx_on_loopback):
    proxy = await sipx_on_loopback(metrics={"port": 0})
    kernel = proxy.kernel
    before = proxy.plugin("metrics").address
    file = kernel.settings.path
    file.write_text(file.read_text().replace("[metrics]", '[metrics]\nbind = "127.0.0.1"'))
    await kernel.reload(await kernel.read())
    assert (await fetch(proxy.plugin("metrics").address, "/livez"))[1] == "ok\n"
    file.write_text(file.read_text().replace('127.0.0.1"\nport', '127.0.0.2"\nport'))
    await kernel.reload(await kernel.read())
    assert proxy.plugin("metrics").address[0] == "127.0.0.2"
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream(*before)
    head, body = await fetch(proxy.plugin("metrics").address)
    assert head.startswith("HTTP/1.1 200 OK")
    assert 'sipx_reload_total{result="success"} 2.0' in body


async def test_the_end_of_the_proxy_closes_the_port(sipx_on_loopback):
    proxy = await sipx_on_loopback(metrics={"port": 0})
    at = proxy.plugin("metrics").address
    await proxy.stop()
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream(*at)


async def test_ipv6_loopback_is_bound_too(sipx_on_loopback):
    proxy = await sipx_on_loopback(metrics={"port": 0, "bind": "::1"})
    at = proxy.plugin("metrics").address
    assert at[0] == "::1"
    assert (await fetch(at, "/livez"))[1] == "ok\n"


async def test_a_status_that_cannot_be_gathered_is_a_500_and_the_service_goes_on(
    sipx_on_loopback, monkeypatch, caplog
):
    proxy = await sipx_on_loopback(metrics={"port": 0})
    at = proxy.plugin("metrics").address
    with monkeypatch.context() as patch:
        patch.setattr(proxy.kernel.flows, "traffic", lambda: 1 / 0)
        head, body = await fetch(at)
        assert head.startswith("HTTP/1.1 500 ")
        assert "division" not in body
        assert (await fetch(at, "/livez"))[1] == "ok\n"
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "/metrics could not be answered" in record.getMessage()
    assert proxy.kernel.services[0].status == "running"


async def test_control_metrics_text_is_what_prometheus_reads(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy(metrics={"port": 0})
    methods = proxy.plugin("metrics").control_methods()
    text = methods["metrics.text"]().text
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"sipx_messages", "sipx_healthy", "process_open_fds"} <= names


# ---------------------------------------------------------------- sipx check


def findings(**table):
    plugin = Metrics(MetricsConfig(**table), SimpleNamespace())
    [check] = plugin.checks()
    assert check.area == "metrics"
    return list(check.run())


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_nobodys_business(bind):
    assert findings(bind=bind) == []


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.0.0.10", "192.0.2.1"])
def test_sipx_m001_metrics_on_the_network_are_a_finding(bind):
    [finding] = findings(bind=bind, port=9500)
    assert (finding.code, finding.severity) == ("SIPX-M001", Severity.WARNING)
    assert f"whoever reaches {bind} port 9500" in finding.text
    assert "firewall" in finding.remedy
