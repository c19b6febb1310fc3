#!/bin/sh
# run.sh --target kamailio --target 'sipx=python benchmarks/sipx_target.py --port {port} ...'
# The Python of the project's .venv is used for the harness and for targets that say "python".
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ -x "$here/../.venv/bin/python" ]; then
    PATH="$here/../.venv/bin:$PATH"
    export PATH
fi
exec "${PYTHON:-python3}" "$here/bench.py" "$@"
