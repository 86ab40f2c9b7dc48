# make demo     a whole simulated city on this machine; its page at http://127.0.0.1:8480
# make test     set up what the tests need (Debian servers too), then run them all
# make check    format, lint, types
# make bench    the engine and the store's text, measured beside the obvious alternative
# make long-life  running statistics after 10⁸ readings of one channel (an hour or two)
# make setup    only the environment, in .venv
# make clean    remove .venv and everything that was built

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PACKAGES := rules ingest simulators lifeline tests

.PHONY: demo test test-setup check bench long-life setup clean
.DEFAULT_GOAL := demo

$(PY):
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.12 demo" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "the venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 2; }

# The stamps are renewed when pyproject.toml changes: a second run is quick.
.make/installed: pyproject.toml | $(PY)
	@echo "== installing City Lifeline and what it needs into $(VENV)"
	$(PY) -m pip install --disable-pip-version-check --editable .
	@mkdir -p .make && touch $@

.make/developing: pyproject.toml | $(PY)
	@echo "== installing City Lifeline and its development tools into $(VENV)"
	$(PY) -m pip install --disable-pip-version-check --editable '.[dev]'
	@mkdir -p .make && touch .make/installed $@

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
