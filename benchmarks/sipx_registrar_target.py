#!/usr/bin/env python3
"""sipx as a target of registrations.py: one account, ``bench``, for all users of a.example."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from sipx.cli.root import sipx

CONFIGURATION = """\
config_version = 1
domains = ["a.example"]
plugins = ["udp", "tcp", "lan", "registrar"]

[interface.lan]
bind = "{ip}"
port = {port}
protocol = "tcp"
role = "lan"

[log]
level = "{log_level}"

[service]
state_dir = "{state}"
control_socket = "{control}"
stop_timeout = "1s"

[limits]
max_transactions = 1000000  # 32 s of finished transactions at full speed

[lan]

[lan.server.bench]
password = "secret"

[registrar]
store = "{store}"
register_rate = 1000000
max_expires = "24h"
ping_interval = 0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ip", default="127.0.0.1")
    parser.add_argument("--store", choices=["sqlite", "memory"], default="sqlite")
    parser.add_argument("--state", type=Path, help="where the store is kept; default: nowhere")
    parser.add_argument("--log-level", default="warning")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sipx-bench-registrar.") as folder:
        state = args.state or Path(folder, "state")
        file = Path(folder, "sipx.toml")
        file.write_text(
            CONFIGURATION.format(
                ip=args.ip,
                port=args.port,
                state=state,
                control=Path(folder, "control.sock"),
                store=args.store,
                log_level=args.log_level,
            )
        )
        sipx(["run", "--config", str(file)], prog_name="sipx")


if __name__ == "__main__":
    main()
