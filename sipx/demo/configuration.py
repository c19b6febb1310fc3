"""The configuration files of the demonstration's two proxies, which differ in names only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx.demo.people import HOME, PEOPLE, SERVERS, STAND_INS

if TYPE_CHECKING:
    from sipx.demo.people import Person

ADDRESS: Final = "127.0.0.1"
PASSWORDS: Final = {
    "berlin": "Spree-7-Brücken",
    "munich": "Isar-9-Brücken",
    "vienna": "Donau-3-Brücken",
}
"""The servers that log on, and how. They are made for this show."""

_TEXT: Final = """\
# The configuration of the sipx of {domain} in `sipx demo`, with {servers} and no word about
# anybody else: {other} is found in the DNS, and proves itself by its certificate.
config_version = 1
domains = ["{domain}"]
plugins = ["tcp", "tls", "lan", "registrar", "open-federation"{more}]

[open-federation]                             # with everybody who can prove who it is
bind = "{address}"
port = 0                                      # 5061 in real life; 0 takes a free one
certificate = "own"
ports = []                                    # here the others have any port, too
messages_per_second = 1000.0                  # 20 is enough, unless somebody gives --rate
burst = 2000

[certificate.own]                             # made for this show; `sipx cert` makes yours
cert_file = "../tls/{domain}.crt"
key_file = "../tls/{domain}.key"

[trust]
ca = "../tls/ca.crt"                          # "system" in real life: the public authorities
networks = ["127.0.0.0/8"]                    # where a record may lead to, though not public

[dns]
servers = ["{dns}"]                # the DNS server of the show; yours without this

[lan]                                         # where our own UC servers log on
bind = "{address}"
port = 0
protocol = "tcp"
{accounts}
[registrar]
store = "memory"                              # "sqlite" outlives a restart of sipx
ping_interval = "2s"                          # so often a server is asked whether it is there
ping_timeout = "2s"
up_after = 1                                  # this is a short show

{console}[log]
level = "error"                               # that a server stops is part of the show

[service]
state_dir = "state"                           # beside this file, in a temporary directory
"""

_CONSOLE: Final = """\
[monitor]                                     # the web console, for this machine only
port = 0                                      # 8061 in real life
record = "always"                             # "watched" is enough where nobody looks back
capture_bodies = "all"                        # "sdp" in real life: what people write is theirs

"""

_ACCOUNT: Final = """\

[lan.server.{name}]
password = "{password}"
users = [{users}]
"""


def configuration(domain: str, dns: str, *, console: bool = False) -> str:
    """The text of the file of one domain's proxy; ``dns`` is the name server.

    ``console``: with the web console.
    """
    names = [name for name, where in SERVERS.items() if where == domain]
    return _TEXT.format(
        domain=domain,
        other="the partner" if domain == HOME else HOME,
        servers="two UC servers" if len(names) > 1 else "one UC server",
        address=ADDRESS,
        dns=dns,
        accounts="".join(map(_account, names)),
        more=', "monitor"' if console else "",
        console=_CONSOLE if console else "",
    )


def _account(name: str) -> str:
    users = ", ".join(f'"{person.name}"' for person in PEOPLE if name in _servers_of(person))
    return _ACCOUNT.format(name=name, password=PASSWORDS[name], users=users)


def _servers_of(person: Person) -> tuple[str, str]:
    """The servers that may have somebody: his own, and whose stands in for him."""
    return person.server, STAND_INS.get(person, "")
