from __future__ import annotations

import errno
import socket

import pytest

from sipx.checks import ports
from sipx.interfaces import Interface


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_an_address_in_use_names_who_has_it(line, two_domains, kind):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        name = "near" if kind == socket.SOCK_DGRAM else "far"
        head, table, rest = two_domains.read_text().partition(f"[interface.{name}]")
        two_domains.write_text(head + table + rest.replace("port = 0", f"port = {port}", 1))
        result = line("check", "ports")
    assert result.exit_code == 1
    assert f"interface {name}: 127.0.0.1 port {port}" in result.stdout
    assert "is in use by" in result.stdout


class _Transport:
    name = "udp"


def _interface() -> Interface:
    return Interface("near", "127.0.0.1", 5060, _Transport())  # type: ignore[arg-type]


def _refused(monkeypatch, number: int):
    def refuse(interface):
        raise OSError(number, "refused")

    monkeypatch.setattr(ports, "_bind", refuse)
    [finding] = ports.port_findings([_interface()])
    return finding.code, finding.severity.value


def test_a_missing_right_and_a_foreign_address_are_failures(monkeypatch):
    assert _refused(monkeypatch, errno.EACCES) == ("SIPX-N003", "failure")
    assert _refused(monkeypatch, errno.EADDRNOTAVAIL) == ("SIPX-N004", "failure")


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (None, ("SIPX-N002", "warning")),
        (ports.Holder(7, "other", ours=False), ("SIPX-N002", "failure")),
        (ports.Holder(7, "sipx", ours=True), ("SIPX-N001", "ok")),
    ],
)
def test_who_holds_an_address_decides_how_bad_that_is(monkeypatch, holder, expected):
    monkeypatch.setattr(ports, "holder_of", lambda interface: holder)
    assert _refused(monkeypatch, errno.EADDRINUSE) == expected
