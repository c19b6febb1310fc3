"""A Kamailio as the proxy of a partner, over mutual TLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .programs import IN_CI, Process, free_port, program, wait_bound

if TYPE_CHECKING:
    from sipx.testing import Issued

KAMAILIO = "127.0.0.4"

_TLS = """\
[server:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = {key}
certificate = {certificate}
ca_list = {ca}

[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
ca_list = {ca}
{shown}
"""


def modules() -> Path:
    """Where Kamailio's modules are, that for TLS among them."""
    program("kamailio")
    found = sorted(Path("/usr").glob("lib*/**/kamailio/modules/tls.so"))
    if not found and IN_CI:
        pytest.fail("kamailio-tls-modules is not installed, and CI must not skip")
    if not found:
        pytest.skip("kamailio-tls-modules is not installed")
    return found[0].parent


class TlsKamailio:
    """Kamailio on 127.0.0.4 with a certificate; it believes ``ca`` and nobody else.

    ``shows``: it shows its certificate when it connects, too. ``address`` and ``tls_port`` are
    where it is, if that matters.
    """

    def __init__(
        self,
        folder: Path,
        *,
        identity: Issued,
        ca: Path,
        domain: str,
        callee: tuple[str, int],
        sipx: tuple[str, int],
        shows: bool = True,
        address: str = KAMAILIO,
        tls_port: int = 0,
    ) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.address = address
        self.ports = (free_port(address), tls_port or free_port(address))
        certificate, key = identity.write(folder, "kamailio")
        tls = folder / "tls.cfg"
        shown = f"private_key = {key}\ncertificate = {certificate}" if shows else ""
        tls.write_text(_TLS.format(key=key, certificate=certificate, ca=ca, shown=shown))
        text = Path(__file__).with_name("kamailio-tls.cfg").read_text()
        for name, value in {
            "IP": address,
            "PORT": self.ports[0],
            "TLSPORT": self.ports[1],
            "MPATH": modules(),
            "TLSCFG": tls,
            "DOMAIN": domain,
            "CALLEE": f"{callee[0]}:{callee[1]}",
            "SIPX": f"{sipx[0]}:{sipx[1]}",
        }.items():
            text = text.replace(f"@{name}@", str(value))
        self.file = folder / "kamailio.cfg"
        self.file.write_text(text)
        self.start()

    @property
    def place(self) -> tuple[str, int]:
        """Where its users send to, by UDP."""
        return self.address, self.ports[0]

    @property
    def tls_port(self) -> int:
        """Where sipx reaches it."""
        return self.ports[1]

    def start(self) -> None:
        """Start it, for the first time or again."""
        argv = [program("kamailio"), "-DD", "-E", "-m", "64", "-M", "8", "-f", str(self.file)]
        argv += ["-Y", str(self.folder), "-P", str(self.folder / "pid"), "-w", str(self.folder)]
        self.process = Process("kamailio", argv, self.folder)
        wait_bound(self.address, self.tls_port, "tcp", self.process)

    def end(self) -> None:
        """End it."""
        self.process.end()
