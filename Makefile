# make demo     a whole simulated city on this machine; its page at http://127.0.0.1:8480
# make test     set up what the tests need (Debian servers too), then run them all
# make check    format, lint, types
# make bench    the engine and the store's text, measured beside the obvious alternative
# make long-life  running statistics after 10⁸ readings of one channel (an hour or two)
# make lock     requirements/: versions and hashes of all that is installed (UPGRADE=1: the newest)
# make setup    only the environment, in .venv
# make clean    remove .venv and everything that was built

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PACKAGES := rules ingest simulators lifeline tests

.PHONY: demo test test-setup check bench long-life lock setup clean
.DEFAULT_GOAL := demo

$(PY):
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.12 demo" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "the venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 2; }

# Everything comes from the lock, by hash: what was built by somebody else meanwhile is refused.
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check
FROM_LOCK := $(PIP_INSTALL) --require-hashes --requirement requirements/build.lock
OURSELVES := $(PIP_INSTALL) --no-deps --no-build-isolation --editable .

# The stamps are renewed when the lock or pyproject.toml changes: a second run is quick.
.make/installed: pyproject.toml requirements/run.lock requirements/build.lock | $(PY)
	@echo "== installing City Lifeline and what it needs into $(VENV)"
	$(FROM_LOCK) --requirement requirements/run.lock
	$(OURSELVES)
	@mkdir -p .make && touch $@

.make/developing: pyproject.toml requirements/dev.lock requirements/build.lock | $(PY)
	@echo "== installing City Lifeline and its development tools into $(VENV)"
	$(FROM_LOCK) --requirement requirements/dev.lock
	$(OURSELVES)
	@mkdir -p .make && touch .make/installed $@

# For all Pythons and machines that pyproject.toml allows. Pins stay as they are unless UPGRADE=1.
LOCK := $(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet $(if $(UPGRADE),--upgrade)
BUILD_NEEDS := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"] \
  ["optional-dependencies"]["build"], sep="\n")
lock: | $(PY)
	@test -x $(VENV)/bin/uv || $(MAKE) --no-print-directory .make/developing
	$(LOCK) --extra dev --output-file requirements/dev.lock pyproject.toml
	$(LOCK) --constraint requirements/dev.lock --output-file requirements/run.lock pyproject.toml
	$(PY) -c '$(BUILD_NEEDS)' | \
	  $(LOCK) --constraint requirements/dev.lock --output-file requirements/build.lock -
	@echo "== locked: requirements/"

setup: .make/developing
	@echo "== ready: $(VENV)/bin/lifeline --help"

demo: .make/installed
	@$(VENV)/bin/lifeline demo

test-setup: .make/developing
	@.ci/test-servers

test: test-setup
	@echo "== tests, two at a time"
	$(PY) -m pytest -n 2 --dist loadfile -m 'not alone'
	@echo "== tests that need the machine to themselves"
	$(PY) -m pytest -m alone

check: .make/developing
	@echo "== format, lint, types"
	$(VENV)/bin/ruff format --check $(PACKAGES)
	$(VENV)/bin/ruff check $(PACKAGES)
	$(VENV)/bin/mypy

bench: .make/installed
	$(VENV)/bin/lifeline bench engine
	$(VENV)/bin/lifeline bench store

long-life: .make/developing
	ROWS=100000000 $(PY) -m pytest -n 2 tests/rules/test_long_life.py

clean:
	rm -rf $(VENV) .make build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(PACKAGES) -name __pycache__ -type d -prune -exec rm -rf {} +
	$(MAKE) --no-print-directory -C gateway-firmware-sim clean
