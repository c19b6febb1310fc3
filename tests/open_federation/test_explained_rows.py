"""``sipx routes explain`` shows every row of docs/trust.md that can be asked for.

The command reads a configuration file that has a way to each row, and asks a real DNS server.
"""

from __future__ import annotations

import json
from functools import partial
from typing import NamedTuple

import pytest
import trio
from click.testing import CliRunner

from sipx.cli.root import sipx

from .lab import AWAY, EVIL, HOME, OTHER, SERVICE, authority

NOT_ASKABLE = {
    13: "accepts right credentials; a request that is explained has none and is challenged (14)",
    15: "accepts right credentials, as 13 (16)",
    27: "is about a dialog that was authenticated on a connection; explained requests are of none",
    28: "is about a claim to be in a dialog; explained requests make none",
}
"""Rows of the table "Incoming" that the command cannot show, and why."""

HEAD = """
config_version = 1
domains = ["home.example", "empty.example"]
plugins = ["udp", "tcp", "tls", "static-routes", "lan", "open-federation", "rfc3263"]

[certificate.own]
cert_file = "own.crt"
key_file = "own.key"
[trust]
ca = "ca.crt"
networks = ["127.0.0.0/8"]
[dns]
servers = ["{dns}"]
timeout = 0.5
[service]
state_dir = "state"

[lan]
bind = "127.0.0.1"
port = 5060
protocol = "tcp"
user = "ucserver"
password = "secret"
[lan.server.berlin]
certificate = "uc.berlin.example"
[lan.server.cheap]
addresses = ["127.9.0.0/16"]
[lan.server.guest]
kind = "partner"
password = "secret"
routes = ["asked.tls.example", "asked.tcp.example", "asked.udp.example"]

[open-federation]
enabled = {on}
interface = "federation"
deny = ["denied.example"]
[rfc3263]
enabled = {on}
[static-routes]
"""
INTERFACES = {
    "udp": ("udp", "wan"),
    "tcp": ("tcp", "wan"),
    "tls": ("tls", "wan"),
    "federation": ("mtls", "wan"),
    "routes": ("mtls", "wan"),
    "lan-udp": ("udp", "lan"),
    "lan-tls": ("tls", "lan"),
    "lan-mtls": ("mtls", "lan"),
}
ROUTES = {
    HOME: {"server": "127.1.0.1", "protocol": "tcp", "trusted": True},
    "mtls.example": {"server": "sip.mtls.example", "protocol": "mtls"},
    "shared.example": {"server": "sip.mtls.example", "protocol": "mtls"},
    "tls.example": {"server": "127.1.0.2", "protocol": "tls", "trusted": True},
    "asked.tls.example": {"server": "127.1.0.3", "protocol": "tls"},
    "tcp.example": {"server": "127.1.0.4", "protocol": "tcp", "trusted": True},
    "asked.tcp.example": {"server": "127.1.0.5", "protocol": "tcp"},
    "udp.example": {"server": "127.1.0.6", "protocol": "udp", "trusted": True},
    "asked.udp.example": {"server": "127.1.0.7", "protocol": "udp"},
    "off.example": {"server": "127.1.0.8", "protocol": "tcp", "trusted": True, "enabled": False},
}
ZONE = f"""
{SERVICE}.{AWAY}. IN SRV 0 0 5061 sip.{AWAY}.
sip.{AWAY}. IN A 127.0.0.9
{SERVICE}.{OTHER}. IN SRV 0 0 5061 sip.{OTHER}.
_sips._tcp.sips.example. IN SRV 0 0 5061 sip.sips.example.
sip.sips.example. IN A 127.0.0.10
sip.mtls.example. IN A 127.1.0.20
"""


class Case(NamedTuple):
    """``row`` is what the command shows of a request that comes in on ``interface``."""

    row: int
    interface: str
    sender: str
    names: str = ""
    """What the certificate of the sender names; "-": that nothing vouches for."""
    source: str = "127.1.0.99"
    code: int | None = 403
    on: bool = True
    method: str = "MESSAGE"
    user: str = "bob"


# fmt: off
INCOMING = (
    Case(1, "federation", AWAY),
    Case(2, "federation", AWAY, "-"),
    Case(3, "routes", "mtls.example", "sip.mtls.example", code=None),
    Case(3, "federation", "mtls.example", "sip.mtls.example", code=None),
    Case(4, "lan-mtls", HOME, "uc.berlin.example", code=None),
    Case(5, "federation", AWAY, f"sip.{AWAY}", code=None),
    Case(5, "federation", EVIL, EVIL, code=None),
    Case(6, "federation", AWAY, f"sip.{EVIL}"),
    Case(7, "federation", "nothing.example", "sip.nothing.example"),
    Case(7, "federation", "failing.example", "sip.failing.example", code=504),
    Case(8, "federation", "denied.example", "sip.denied.example"),
    Case(9, "routes", AWAY, f"sip.{AWAY}"),
    Case(9, "federation", AWAY, f"sip.{AWAY}", on=False),
    Case(10, "tls", "tls.example", "tls.example", source="127.1.0.2", code=None),
    Case(11, "tls", "tls.example", "-", source="127.1.0.2"),
    Case(12, "tls", "tls.example", source="127.1.0.2", code=None),
    Case(14, "tls", "asked.tls.example", source="127.1.0.3", code=407),
    Case(14, "tls", "asked.tls.example", source="127.1.0.3", code=401, method="REGISTER"),
    Case(16, "lan-tls", HOME, code=407),
    Case(17, "tls", HOME),
    Case(17, "tls", AWAY, f"sip.{AWAY}"),
    Case(18, "tcp", "tcp.example", source="127.1.0.4", code=None),
    Case(19, "tcp", "asked.tcp.example", source="127.1.0.5", code=407),
    Case(20, "tcp", AWAY),
    Case(20, "lan", HOME, code=407),
    Case(21, "udp", "udp.example", source="127.1.0.6", code=None),
    Case(22, "udp", "asked.udp.example", source="127.1.0.7", code=407),
    Case(23, "udp", AWAY),
    Case(23, "lan-udp", HOME, code=407),
    Case(24, "tcp", "off.example", source="127.1.0.8"),
    Case(25, "federation", HOME, f"sip.{AWAY}"),
    Case(25, "tcp", HOME, source="127.1.0.4"),
    Case(26, "routes", "third.example", "sip.mtls.example"),
    Case(29, "lan", HOME, source="127.9.0.1", code=None, user="cheap"),
)
# The domain of the Request-URI, the row, the code; rows 8 to 10 with open federation on or off.
OUTGOING = (
    (HOME, 1, None, True),
    ("empty.example", 2, 404, True),
    ("denied.example", 3, 403, True),
    ("mtls.example", 4, None, True),
    ("tls.example", 5, None, True),
    ("tcp.example", 6, None, True),
    ("udp.example", 6, None, True),
    ("off.example", 7, 404, True),
    ("off.example", 7, 403, False),
    (AWAY, 8, None, True),
    (OTHER, 8, 404, True),
    ("nothing.example", 8, 404, True),
    ("failing.example", 8, 504, True),
    ("sips.example", 9, None, True),
    (AWAY, 10, 403, False),
    ("192.0.2.1", 11, 403, True),
)
# fmt: on


@pytest.fixture
async def asked(lab, tmp_path, monkeypatch):
    """A function that runs ``sipx routes explain --json`` in a thread; what it says."""
    lab.dns.load(ZONE)
    lab.dns.fail(f"{SERVICE}.failing.example")
    lab.dns.fail("_sips._tcp.failing.example")
    lab.ca.leaf(dns=[f"sip.{HOME}"]).write(tmp_path, "own")
    monkeypatch.setattr("sipx.state.state_directory", lambda configured: tmp_path / "state")
    monkeypatch.setenv("SIPX_SOCKET", str(tmp_path / "none.sock"))
    for on in ("true", "false"):
        lines = [HEAD.format(dns=lab.dns.server, on=on)]
        for number, (name, (protocol, role)) in enumerate(INTERFACES.items()):
            lines += [f"[interface.{name}]", 'bind = "127.0.0.1"', f"port = {6000 + number}"]
            lines += [f'protocol = "{protocol}"', f'role = "{role}"', 'certificate = "own"']
        for domain, route in ROUTES.items():
            lines.append(f'[static-routes.route."{domain}"]')
            lines += [f"{key} = {json.dumps(value)}" for key, value in route.items()]
        tmp_path.joinpath(f"{on}.toml").write_text("\n".join(lines))

    async def run(*words, on=True):
        file = str(tmp_path / ("true.toml" if on else "false.toml"))
        call = partial(
            CliRunner().invoke,
            sipx,
            ["routes", "explain", *words, "--config", file, "--offline", "--json"],
        )
        result = await trio.to_thread.run_sync(call)
        assert result.stdout, result.output
        return json.loads(result.stdout)

    return run


async def test_each_row_of_the_incoming_table_is_shown(asked, lab, tmp_path):
    seen = {}
    for case in INCOMING:
        words = [f"sip:ada@{HOME}", "--interface", case.interface, "--method", case.method]
        if case.names:
            issuer = authority("Unknown CA") if case.names == "-" else lab.ca
            names = [f"sip.{AWAY}"] if case.names == "-" else [case.names]
            cert, _ = issuer.leaf(dns=names).write(tmp_path, "shown")
            words += ["--certificate", str(cert)]
        words += ["--from", case.source, "--from", f"sip:{case.user}@{case.sender}"]
        told = await asked(*words, on=case.on)
        [arrival] = told["arrivals"]
        through = case.row in arrival.get("through", ())
        seen[case] = (case.row if through else arrival["row"], arrival["status"])
    wrong = {case: told for case, told in seen.items() if told != (case.row, case.code)}
    assert not wrong, "\n".join(map(str, wrong.items()))
    rows = {case: row for case, (row, _) in seen.items()}
    assert set(rows.values()) == set(range(1, 30)) - NOT_ASKABLE.keys()


async def test_each_row_of_the_outgoing_table_is_shown(asked):
    seen = set()
    for domain, row, code, on in OUTGOING:
        told = await asked(f"sip:bob@{domain}", on=on)
        shown = {told["row"], *([7] if told["switched_off"] else [])}
        assert row in shown, (domain, told)
        assert told["status"] == code, (domain, told)
        seen |= shown
    assert seen == set(range(1, 12))
