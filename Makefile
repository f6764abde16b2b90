# Two commands need nothing but Python >= 3.11, git and make:
#   make demo   the whole job in ten seconds, against an API that this program embeds
#   make test   everything that CI runs

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROMISES := tests/crash tests/faults tests/stateful tests/commands/test_races.py

.PHONY: demo test suite promises lint check-types check-imports bench crash-matrix test-lowest clean

demo: $(VENV)/installed
	@$(BIN)/rotator demo

test: lint check-types check-imports
	@$(MAKE) --no-print-directory --jobs=2 suite promises

suite: $(VENV)/installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(addprefix --ignore=,$(PROMISES))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# These try to break the rotator's promises in thousands of ways: beside the others, and without
# coverage, which would double their time and which killed processes cannot save.
promises: $(VENV)/installed-dev
	$(BIN)/python -m pytest --quiet $(PROMISES) tests/test_secrets_stay_inside.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet

check-types: $(VENV)/installed-dev
	$(BIN)/mypy

check-imports: $(VENV)/installed-dev
	$(BIN)/lint-imports

# Whole processes, side by side, as ratios; by hand, because a shared machine is a bad clock.
bench: $(VENV)/installed-dev
	$(BIN)/python -m bench

# A rotation killed at each of its moments, as a table; its tests are a part of `make test`.
crash-matrix: $(VENV)/installed-dev
	$(BIN)/python -m tests.crash

# The lower bounds of pyproject.toml, exactly, in a virtualenv of their own.
test-lowest: $(VENV)/installed-dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest --resolution lowest-direct --editable . --group dev
	.venv-lowest/bin/python -m pytest

clean:
	rm -rf $(VENV) .venv-lowest .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f .coverage .coverage.*

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; try: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into $(VENV) (once)..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "Installing the development tools (once)..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@
