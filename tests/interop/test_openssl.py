"""OpenSSL's own client as a critic of the TLS that sipx speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from sipx.testing import Authority

from .programs import program

if TYPE_CHECKING:
    from pathlib import Path

    from sipx.testing import StartProxy

pytestmark = pytest.mark.interop


class Listening:
    """A proxy with two certificates on one port, and what the client needs to talk to it."""

    def __init__(self, folder: Path, start: StartProxy) -> None:
        self.folder = folder
        self._start = start
        self.root = Authority("Root CA")
        self.sub = Authority("Sub CA", issuer=self.root)
        self.root.write(folder, "root")
        self.port = 0

    async def start(self) -> None:
        tables = {}
        for name, issuer in (("one", self.root), ("two", self.sub)):
            files = issuer.leaf(dns=[f"{name}.example"]).write(self.folder, name)
            tables[name] = dict(zip(("cert_file", "key_file"), files, strict=True))
        interface = {
            "bind": "127.0.0.1",
            "port": 0,
            "protocol": "mtls",
            "certificate": ["one", "two"],
        }
        proxy = await self._start(
            plugins=["tls"],
            interface={"far": interface},
            certificate=tables,
            trust={"ca": str(self.folder / "root.crt")},
        )
        self.port = proxy.place("far")[1]
        self.root.leaf(dns=["client.example"]).write(self.folder, "client")

    async def client(self, *options: str, said: bytes = b"", certificate: bool = True) -> str:
        argv = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{self.port}"]
        argv += ["-CAfile", str(self.folder / "root.crt"), *options]
        if certificate:
            argv += ["-cert", str(self.folder / "client.crt")]
            argv += ["-key", str(self.folder / "client.key")]
        done = await trio.run_process(
            argv, stdin=said, capture_stdout=True, capture_stderr=True, check=False
        )
        return (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
async def sipx(tmp_path: Path, sipx_on_loopback: StartProxy) -> Listening:
    listening = Listening(tmp_path, sipx_on_loopback)
    await listening.start()
    return listening


async def test_tls_1_3_is_spoken_and_the_chain_verifies(sipx: Listening) -> None:
    said = await sipx.client()
    assert "New, TLSv1.3" in said
    assert "Verify return code: 0 (ok)" in said
    assert "Acceptable client certificate CA names" not in said, "any authority may be right"


async def test_the_chain_is_that_of_the_name_asked_for(sipx: Listening) -> None:
    one = await sipx.client("-servername", "one.example", "-showcerts")
    two = await sipx.client("-servername", "two.example", "-showcerts")
    assert "0 s:CN = one.example" in one
    assert "1 s:" not in one
    assert "0 s:CN = two.example" in two
    assert "1 s:CN = Sub CA" in two
    assert "2 s:" not in two
    for said in (one, two):
        assert "Verify return code: 0 (ok)" in said


async def test_tls_1_1_is_refused(sipx: Listening) -> None:
    said = await sipx.client("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0")
    assert "alert protocol version" in said
    assert "Cipher is (NONE)" in said


async def test_tls_1_2_has_no_compression_and_no_renegotiation(sipx: Listening) -> None:
    said = await sipx.client("-tls1_2", said=b"R\n")
    assert "Compression: NONE" in said
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


async def test_a_client_without_a_certificate_is_told_so(sipx: Listening) -> None:
    said = await sipx.client("-ign_eof", certificate=False)
    assert "alert certificate required" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_ticket_resumes_the_session(sipx: Listening, version: str) -> None:
    # The ticket of TLS 1.3 comes after the handshake: a keepalive has its answer behind it.
    ticket = str(sipx.folder / "session.pem")
    ask = b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n\r\n"
    await sipx.client(version, "-ign_eof", "-sess_out", ticket, said=ask)
    again = await sipx.client(version, "-sess_in", ticket)
    assert "Reused, TLSv1" in again


async def test_early_data_is_not_offered(sipx: Listening) -> None:
    said = await sipx.client("-ign_eof", said=b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n\r\n")
    assert "Max Early Data: 0" in said
