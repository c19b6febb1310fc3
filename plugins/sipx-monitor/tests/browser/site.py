"""The site that the browser looks at: a file with comments that have to survive every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.testing import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from .people import People

_FILE = """\
# The proxy of example.com. Ask the telephone people before you change it.
config_version = 1
domains = ["example.com"]  # the only one, for now
plugins = [
    "udp", "tcp", "tls", "lan", "registrar", "static-routes", "open-federation", "log-rotation",
    "metrics", "stun", "monitor",{plugins}
]

# ---- the world
[wan]
certificate = "main"  # ordered in May
use_public_address = false
public_address = "192.0.2.1"  # from the provider's letter
public_port = 5061

[interface.office]
bind = "127.0.0.1"  # the only cable
port = {office}
protocol = "udp"

[interface.branch]
enabled = false  # until the line is there
bind = "127.0.0.1"
port = 0
protocol = "tcp"

[certificate.main]
cert_file = "tls/main.crt"
key_file = "tls/main.key"

[certificate.other]
cert_file = "tls/other.crt"
key_file = "tls/other.key"

[trust]
ca = "tls/ca.crt"

[dns]
servers = ["127.0.0.1:9"]  # nobody: this site asks no one

[lan]
user = "ucserver"
password = {{ file = "lan.password" }}  # in the safe
bind = "127.0.0.1"
port = 0
protocol = "tcp"

[static-routes]
enabled = true

# Our own people.
[static-routes.route."example.com"]
trusted = true
server = "127.0.0.1"
port = {bob}
protocol = "udp"

# The partner since 2019.
[static-routes.route."partner.example"]
trusted = true
server = "127.0.0.1"
port = {alice}
protocol = "udp"
comment = "contract 4711"

[open-federation]
enabled = false
bind = "127.0.0.1"
port = 0

[stun]
servers = []  # nobody is asked

[metrics]
port = 0

[log]
level = "info"

[log-rotation]
directory = "log"
max_size = "20MB"  # the disk is small

[monitor]
port = {console}
record = "always"
capture_bodies = "sdp"
{more}
[service]
state_dir = "state"
"""


def write_site(
    folder: Path,
    people: People,
    *,
    plugins: str = "",
    more: str = "",
    console: int = 0,
    office: int = 0,
) -> str:
    """Put certificates and secrets into the folder; the text of the file."""
    tls = folder / "tls"
    tls.mkdir()
    authority = Authority("Site authority")
    authority.write(tls)
    authority.leaf(dns=("sip.example.com",)).write(tls, "main")
    authority.leaf(dns=("other.example.com",)).write(tls, "other")
    (folder / "lan.password").write_text("a secret of forty-two letters\n", encoding="utf-8")
    return _FILE.format(
        alice=people.alice.place[1],
        bob=people.bob.place[1],
        plugins=plugins,
        more=more,
        console=console,
        office=office,
    )
