#!/usr/bin/env python3
"""sipx as a target of the bench: a temporary configuration, and `sipx run`.

The load generator is both ends: its client claims to be in a.example, and the request URI names
the address of its server. So a.example is the domain served here, with its UC server at the
client's address, and the server's address is a partner domain.

With --metrics the plugin metrics runs too, and a process beside reads them once a second; what
that reader costs is counted as the target's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography import x509

from sipx.cli.root import sipx
from sipx.identity import certificate_facts

CONFIGURATION = """\
config_version = 1
domains = ["a.example"]
plugins = ["udp", "tcp", {tls_plugin}"static-routes"{metrics_plugin}]

[interface.udp]
bind = "{ip}"
port = {port}
protocol = "udp"

[interface.tcp]
bind = "{ip}"
port = {port}
protocol = "tcp"

{tls_tables}
{metrics_table}
[log]
level = "{log_level}"

[service]
state_dir = "{state}"
stop_timeout = "1s"

[limits]
max_transactions = 1000000  # 32 s of finished transactions at full speed

[static-routes.route."a.example"]
trusted = true
server = "{ip}"
port = {uac_port}
protocol = "{protocol}"

[static-routes.route."{uas_ip}"]
trusted = true
server = "{uas_ip}"
port = {uas_port}
protocol = "{protocol}"
{pins}
"""

TLS_TABLES = """\
[interface.tls]
bind = "{ip}"
port = {tls_port}
protocol = "mtls"
certificate = "proxy"

[certificate.proxy]
cert_file = "{certs}/proxy.pem"
key_file = "{certs}/proxy.key"

[trust]
ca = "{certs}/ca.pem"
"""

READER = """\
import http.client, os, sys, time
while os.getppid() == int(sys.argv[2]):
    time.sleep(1)
    try:
        reader.request("GET", "/metrics")
        reader.getresponse().read()
    except (NameError, OSError, http.client.HTTPException):
        reader = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
"""
"""Reads the metrics as Prometheus does, on one connection, only more often."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the proxy's, UDP and TCP")
    parser.add_argument("--uas", required=True, metavar="HOST:PORT", help="where requests go")
    parser.add_argument("--ip", default="127.0.0.1", help="the proxy's and the client's address")
    parser.add_argument("--protocol", choices=["udp", "tcp", "tls"], default="udp")
    parser.add_argument("--tlsport", type=int, default=0, help="the proxy's, mutual TLS")
    parser.add_argument("--certs", type=Path, help="what mkcerts.sh has made, for tls")
    parser.add_argument("--log-level", default="warning")
    parser.add_argument("--metrics", action="store_true", help="with the plugin, read each second")
    return parser.parse_args()


def tls_tables(args: argparse.Namespace) -> str:
    certs = args.certs.resolve()
    return TLS_TABLES.format(ip=args.ip, tls_port=args.tlsport, certs=certs)


def spki(certs: Path) -> str:
    """The key of the load generator, whose certificate cannot name the address of its route."""
    certificate = x509.load_pem_x509_certificate((certs / "uac.pem").read_bytes())
    return certificate_facts(certificate).spki


def main() -> None:
    args = arguments()
    uas_ip, _, uas_port = args.uas.rpartition(":")
    tls = args.protocol == "tls"
    metrics_port = args.port + 2
    if args.metrics:
        here = (str(metrics_port), str(os.getpid()))
        subprocess.Popen([sys.executable, "-S", "-c", READER, *here])
    with tempfile.TemporaryDirectory(prefix="sipx-bench-target.") as folder:
        file = Path(folder, "sipx.toml")
        file.write_text(
            CONFIGURATION.format(
                ip=args.ip,
                port=args.port,
                state=Path(folder, "state"),
                log_level=args.log_level,
                uac_port=args.port + 1000,
                uas_ip=uas_ip,
                uas_port=uas_port,
                protocol="mtls" if tls else args.protocol,
                tls_plugin='"tls", ' if tls else "",
                tls_tables=tls_tables(args) if tls else "",
                metrics_plugin=', "metrics"' if args.metrics else "",
                metrics_table=f"[metrics]\nport = {metrics_port}\n" if args.metrics else "",
                pins=f'pins = ["{spki(args.certs)}"]' if tls else "",
            )
        )
        sipx(["run", "--config", str(file)], prog_name="sipx")


if __name__ == "__main__":
    main()
