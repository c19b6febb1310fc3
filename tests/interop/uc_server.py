"""A Kamailio as a UC server: it logs on to sipx with digest and registers its users there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from .kamailio import modules
from .programs import Process, free_port, program, wait_bound, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipx.testing import Issued

_COLUMNS = (
    "id(int,auto) l_uuid(string) l_username(string) l_domain(string) r_username(string) "
    "r_domain(string) realm(string) auth_username(string) auth_password(string) "
    "auth_ha1(string,null) auth_proxy(string) expires(int) flags(int) reg_delay(int) "
    "contact_addr(string,null) socket(string,null)"
)
_VERSION = "id(int,auto) table_name(string) table_version(int)\n0:uacreg:5\n1:location:9\n"
_TLS = """\
[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = {key}
certificate = {certificate}
ca_list = {ca}

[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = {key}
certificate = {certificate}
ca_list = {ca}
"""
REGISTERED = 1 << 2
"""The bit of uac.reg_dump's flags that says: sipx answered 200."""


class UcServer:
    """Kamailio on an address of its own. ``protocol`` ("tcp" or "tls") is that towards sipx.

    It registers ``users`` of ``domain`` one by one, each with the digest credentials of the one
    ``account``, over one connection. Its users send to ``place`` by UDP.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        address: str,
        protocol: str,
        sipx: tuple[str, int],
        domain: str,
        account: str,
        password: str,
        users: Sequence[str],
        expires: int = 600,
        identity: Issued | None = None,
        ca: Path | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.place = (address, free_port(address))
        self.lan_port = free_port(address)
        self.users = users
        self._uacreg(domain, account, password, sipx, protocol, expires)
        if identity is not None:
            certificate, key = identity.write(self.folder, "own")
            tls = _TLS.format(key=key, certificate=certificate, ca=ca)
            (self.folder / "tls.cfg").write_text(tls)
        text = Path(__file__).with_name("kamailio-uc.cfg").read_text()
        for word, value in {
            "NAME": name,
            "IP": address,
            "PORT": self.place[1],
            "LANPORT": self.lan_port,
            "PROTOCOL": protocol,
            "MPATH": modules(),
            "FOLDER": self.folder,
            "SIPX": f"{sipx[0]}:{sipx[1]}",
            "REALM": domain,
            "USER": account,
            "PASSWORD": password,
            "TLS": "" if identity is not None else "# ",
        }.items():
            text = text.replace(f"@{word}@", str(value))
        self.file = self.folder / "kamailio.cfg"
        self.file.write_text(text)
        self.start()

    def _uacreg(
        self,
        domain: str,
        account: str,
        password: str,
        sipx: tuple[str, int],
        protocol: str,
        expires: int,
    ) -> None:
        """The table that Kamailio's uac module registers from; colons in it are escaped."""
        proxy = f"sip\\:{sipx[0]}\\:{sipx[1]};transport={protocol}"
        rows = [
            f"{number}:{user}:{user}:{domain}:{user}:{domain}:{domain}:{account}:{password}::"
            f"{proxy}:{expires}:0:0::"
            for number, user in enumerate(self.users, 1)
        ]
        (self.folder / "uacreg").write_text("\n".join([_COLUMNS, *rows, ""]))
        (self.folder / "version").write_text(_VERSION)

    def start(self) -> None:
        """Start it, for the first time or again."""
        argv = [program("kamailio"), "-DD", "-E", "-m", "64", "-M", "8", "-f", str(self.file)]
        argv += ["-Y", str(self.folder), "-P", str(self.folder / "pid"), "-w", str(self.folder)]
        self.process = Process(self.name, argv, self.folder)
        wait_bound(self.address, self.lan_port, "tcp", self.process)

    def dump(self) -> str:
        """What its uac module knows of its registrations."""
        done = subprocess.run(
            [program("kamcmd"), "-s", f"unix:{self.folder}/ctl", "uac.reg_dump"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout

    def registered(self) -> set[str]:
        """Its users that sipx has answered 200 for."""
        found: set[str] = set()
        user = ""
        for line in self.dump().splitlines():
            key, _, value = line.strip().partition(": ")
            if key == "l_username":
                user = value
            elif key == "flags" and int(value) & REGISTERED:
                found.add(user)
        return found

    def wait_registered(self, seconds: float = 30) -> None:
        """Until all of its users are registered at sipx."""
        wanted = set(self.users)
        wait_until(lambda: self.registered() == wanted, f"the users of {self.name}", seconds)

    def kill(self) -> None:
        """kill -9, the main process and its workers: what a crash of the machine's power does."""
        main = psutil.Process(self.process.pid)
        for process in [main, *main.children(recursive=True)]:
            process.kill()
        self.process.wait(10)

    def end(self) -> None:
        """End it politely."""
        self.process.end()
