# make demo   build .venv and watch two domains talk through the proxy   ARGS="--seconds 8"
# make test   the tests, without the programs of others
# make help   the rest

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
BUILT := $(VENV)/.built
PLUGINS := $(sort $(wildcard plugins/*))
PLUGIN_SOURCES := $(sort $(wildcard plugins/*/sipx_*))
PYPROJECTS := pyproject.toml $(PLUGINS:%=%/pyproject.toml)
EDITABLE := -e '.[dev]' $(PLUGINS:%=-e %)
PIP := -m pip --disable-pip-version-check
# One line: a shell keeps a line break in quotes, and the bench would take it for an argument.
SIPX_TARGET := 'sipx=python benchmarks/sipx_target.py --port {port} --uas {uas} --protocol {protocol} --tlsport {tlsport} --certs {certs}'

.PHONY: help demo venv test check docs interop nat bench compiled pure constraints clean

help:
	@echo "make demo         build .venv (once) and run 'sipx demo'; ARGS=\"--seconds 8\" passes options on"
	@echo "make test         all tests that need nothing but this checkout; ARGS=\"-k uri\";"
	@echo "                  those of the console in a browser where Chromium is installed"
	@echo "make check        ruff, mypy --strict, the import rings, the documentation"
	@echo "make docs         write docs/cli.md, the man pages and the methods of docs/control.md from the code"
	@echo "make interop      the tests with sipp, sipsak, Kamailio, baresip, nsd and unbound (skipped where missing)"
	@echo "make nat          the tests behind routers of every kind, with stund, coturn, Kamailio, nsd and unbound (as root)"
	@echo "make bench        CPU per transaction beside Kamailio; ARGS=\"--rounds 5\""
	@echo "make compiled     compile the hot path (mypyc, needs a C compiler); all targets then use it"
	@echo "make pure         back to plain Python"
	@echo "make constraints  resolve all versions anew and write constraints.txt"
	@echo "make clean        remove .venv and everything that was made"
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter (3.11 or later) that .venv is made of."

demo: $(BUILT)
	@$(BIN)/sipx demo $(ARGS)

venv: $(BUILT)

# Without ensurepip (Debian without python3-venv) the pip of the machine fills the environment.
$(BUILT): $(PYPROJECTS) constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: '$(PYTHON)' is not found; sipx needs Python 3.11 or later (make PYTHON=...)" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $$($(PYTHON) --version) is too old; sipx needs Python 3.11 or later:" \
	    "make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	@echo "building $(VENV) (once, about a minute)" >&2
	@rm -f $@
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; \
	  then $(PYTHON) -m venv $(VENV); \
	  else $(PYTHON) -m venv --without-pip $(VENV) && \
	    $(PYTHON) $(PIP) --python $(BIN)/python install --quiet pip; fi
	@$(BIN)/python $(PIP) install --quiet -c constraints.txt $(EDITABLE)
	@touch $@

test: $(BUILT)
	@$(BIN)/python -m pytest -q -m "not interop and not nat" $(ARGS)

check: $(BUILT)
	@echo "ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "ruff format --check"
	@$(BIN)/ruff format --quiet --check . || { $(BIN)/ruff format --check .; exit 1; }
	@echo "mypy --strict"
	@$(BIN)/mypy --strict --no-error-summary sipx $(PLUGIN_SOURCES)
	@$(BIN)/mypy --strict --no-error-summary --explicit-package-bases tests/interop tests/nat
	@echo "import rings, documentation"
	@$(BIN)/python -m pytest -q tests/test_imports.py $(wildcard tests/test_docs*)

docs: $(BUILT)
	@$(BIN)/python -m sipx.cli.reference
	@$(BIN)/python tests/control/page.py

interop: $(BUILT)
	@$(BIN)/python -m pytest -q -rs -m interop tests/interop $(ARGS)

nat: $(BUILT)
	@$(BIN)/python -m pytest -q -rs -m nat tests/nat $(ARGS)

bench: $(BUILT)
	@benchmarks/run.sh --target kamailio --target $(SIPX_TARGET) $(ARGS)

compiled: $(BUILT)
	@echo "compiling the hot path (about two minutes)" >&2
	@HATCH_BUILD_HOOK_ENABLE_MYPYC=true $(BIN)/python $(PIP) install --quiet -c constraints.txt \
	  --no-deps -e .
	@$(BIN)/sipx version --verbose | grep 'hot path'

pure:
	@rm -f *__mypyc.*.so sipx/*.so sipx/sip/*.so

constraints:
	@echo "resolving all versions anew" >&2
	@rm -rf build/constraints
	@$(PYTHON) -m venv build/constraints
	@build/constraints/bin/python $(PIP) install --quiet $(EDITABLE)
	@build/constraints/bin/python $(PIP) freeze --exclude-editable > build/constraints.txt
	@mv build/constraints.txt constraints.txt
	@rm -rf build/constraints

clean: pure
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
