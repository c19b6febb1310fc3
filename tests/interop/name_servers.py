"""The DNS as it is out there: nsd answers for the zones of several domains, unbound looks them up.

Zones change while both run. A change is complete when nsd serves it; what unbound remembers of the
old one, and sipx, is the TTL's business, and what is tested.
"""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import psutil

from .programs import Process, free_port, program, wait_bound, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Not .53 and .54: systemd-resolved listens there.
AUTHORITATIVE = "127.0.0.55"
RECURSIVE = "127.0.0.56"
TOP = "example"
"""The zone that all of the domains are below: what is in none of them does not exist."""
TTL = 1
"""Seconds, of all records and of "no such name"."""
_NSD = """\
server:
    ip-address: {address}@{port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    zonelistfile: "{folder}/zone.list"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    pidfile: "{folder}/nsd.pid"
    server-count: 1
    verbosity: 1
remote-control:
    control-enable: yes
    control-interface: {folder}/nsd.control
pattern:
    name: "served"
    zonefile: "%s.zone"
"""
_ZONE = """\
$ORIGIN {domain}.
$TTL {ttl}
@ SOA ns hostmaster ( {serial} 3600 600 86400 {ttl} )
@ NS ns
ns A {address}
{records}
"""
_UNBOUND = """\
server:
    interface: {address}
    port: {port}
    access-control: 0.0.0.0/0 allow
    do-daemonize: no
    do-not-query-localhost: no
    do-ip6: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    logfile: ""
    num-threads: 1
    # What its name servers fail to do is tried anew at once.
    infra-host-ttl: 0
    module-config: "iterator"
    extended-statistics: yes
remote-control:
    control-enable: yes
    control-interface: {folder}/unbound.control
    control-use-cert: no
"""
_STUB = """\
stub-zone:
    name: "{domain}"
    stub-addr: {place[0]}@{place[1]}
"""


SERVICE = "_sipfederationtls._tcp"


def srv(domain: str, target: str, port: int, *, priority: int = 10, weight: int = 10) -> str:
    """The record that open federation looks for, as a line of the domain's zone."""
    return f"{SERVICE}.{domain}. SRV {priority} {weight} {port} {target}."


def host(name: str, *addresses: str) -> str:
    """Address records."""
    return "\n".join(f"{name}. A {address}" for address in addresses)


def _ask(place: tuple[str, int], name: str, kind: str, seconds: float = 1.0) -> dns.message.Message:
    """One question over UDP, without recursion of our own. Raises DNSException, OSError."""
    question = dns.message.make_query(name, kind)
    return dns.query.udp(question, place[0], seconds, place[1])


class Zones:
    """nsd. ``zones`` are the lines of each domain's zone; one without lines is empty."""

    def __init__(self, folder: Path, zones: Mapping[str, Sequence[str]]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.place = (AUTHORITATIVE, free_port(AUTHORITATIVE))
        self._serial = 0
        self._file = folder / "nsd.conf"
        address, port = self.place
        self._file.write_text(_NSD.format(address=address, port=port, folder=folder))
        self.process = Process("nsd", [program("nsd"), "-d", "-c", str(self._file)], folder)
        wait_bound(address, port, "udp", self.process)
        wait_until((folder / "nsd.control").exists, "nsd's control socket")
        self._served: set[str] = set()
        for domain, lines in {TOP: (), **zones}.items():
            self.publish(domain, *lines)

    def publish(self, domain: str, *lines: str) -> None:
        """These are the records of a domain from now on; they are served when this returns."""
        self._serial += 1
        serial = self._serial
        text = _ZONE.format(
            domain=domain, ttl=TTL, serial=serial, address=AUTHORITATIVE, records="\n".join(lines)
        )
        (self.folder / f"{domain}.zone").write_text(text)
        if domain in self._served:
            self._control("reload", domain)
        else:
            self._control("addzone", domain, "served")
            self._served.add(domain)
        wait_until(lambda: self._has(domain) == serial, f"{domain}, serial {serial}, at nsd")

    def spoil(self, domain: str) -> None:
        """Fail to load the zone of a domain, so that it is SERVFAIL, until it is published anew."""
        self._control("delzone", domain)
        (self.folder / f"{domain}.zone").unlink()
        self._control("addzone", domain, "served")
        wait_until(lambda: self._has(domain) is None, f"the end of {domain} at nsd")

    def _has(self, domain: str) -> int | None:
        """The serial that is served."""
        try:
            answer = _ask(self.place, f"{domain}.", "SOA")
        except (dns.exception.DNSException, OSError):
            return None
        found = answer.get_rrset(
            dns.message.ANSWER,
            dns.name.from_text(f"{domain}."),
            dns.rdataclass.IN,
            dns.rdatatype.SOA,
        )
        return int(found[0].serial) if found else None

    def _control(self, *words: str) -> None:
        argv = [program("nsd-control"), "-c", str(self._file), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}\n{self.process.tail()}"

    def end(self) -> None:
        """End it; children that it has forked go with it."""
        self.process.end()


class Recursor:
    """unbound. It asks ``zones`` for ``domains`` and for all else that ends in their top."""

    def __init__(
        self, folder: Path, zones: Zones, domains: Sequence[str], address: str = RECURSIVE
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.place = (address, free_port(address))
        self._file = folder / "unbound.conf"
        address, port = self.place
        text = _UNBOUND.format(address=address, port=port, folder=folder)
        text += "".join(
            _STUB.format(domain=domain, place=zones.place) for domain in (TOP, *domains)
        )
        self._file.write_text(text)
        argv = [program("unbound"), "-d", "-p", "-c", str(self._file)]
        self.process = Process("unbound", argv, folder)
        wait_bound(address, port, "udp", self.process)

    @property
    def server(self) -> str:
        """As the setting ``[dns] servers`` wants it."""
        return f"{self.place[0]}:{self.place[1]}"

    def answer(self, name: str, kind: str = "SRV") -> list[str]:
        """What it says of a name: the records as text, or the one word of its failure."""
        try:
            said = _ask(self.place, f"{name}.", kind, 5.0)
        except dns.exception.Timeout:
            return ["TIMEOUT"]
        if said.rcode() != dns.rcode.NOERROR:
            return [dns.rcode.to_text(said.rcode())]
        return [record.to_text() for rrset in said.answer for record in rrset]

    def asked(self, kind: str) -> int:
        """How many questions for records of a type have come since the start."""
        argv = [program("unbound-control"), "-c", str(self._file), "stats_noreset"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True)
        found = [line for line in done.stdout.splitlines() if f"num.query.type.{kind}=" in line]
        return int(found[0].partition("=")[2]) if found else 0

    def stall(self) -> None:
        """Answer nothing, as if the network were cut, until ``go_on``."""
        psutil.Process(self.process.pid).send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        psutil.Process(self.process.pid).send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it, also while it is stalled."""
        self.go_on()
        self.process.end()


class NameServers:
    """Both. ``zones`` are the lines of each domain's zone; unbound listens on ``address``."""

    def __init__(
        self, folder: Path, zones: Mapping[str, Sequence[str]], address: str = RECURSIVE
    ) -> None:
        self.zones = Zones(folder / "nsd", zones)
        self.recursor = Recursor(folder / "unbound", self.zones, list(zones), address)

    @property
    def server(self) -> str:
        """As the setting ``[dns] servers`` wants it."""
        return self.recursor.server

    def publish(self, domain: str, *lines: str) -> None:
        """These are the records of a domain from now on."""
        self.zones.publish(domain, *lines)

    def wait_known(self, name: str, words: str, kind: str = "SRV") -> None:
        """Until what unbound says of a name has these words: the new record, or the failure."""
        wait_until(
            lambda: any(words in text for text in self.recursor.answer(name, kind)),
            f"{kind} {name} with {words!r} at unbound",
        )

    def end(self) -> None:
        """End both."""
        self.recursor.end()
        self.zones.end()
