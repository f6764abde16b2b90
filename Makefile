# These need nothing but Python >= 3.11, git and make:
#   make demo       the whole job in ten seconds, against an API that this program embeds
#   make check      while you work: lint, types, import contracts, unit and config tests
#   make test       what CI runs
#   make test-long  everything: all store kinds, all rounds, 1,000 random examples and more
#   make release    what is published, the same to the byte each time; see docs/releasing.md

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROTATION := tests/rotation tests/leak tests/report tests/listing tests/nocturna tests/http_client tests/unit
BOTS := tests/client tests/accessing tests/executing
PAGES := tests/page tests/status
COMMANDS := tests/commands
SERVERS := tests/vault tests/aws tests/kubernetes
PLACES := tests/backends tests/door tests/examples tests/helm tests/init tests/cron tests/image tests/release
PROMISES := tests/crash tests/commands/test_races.py tests/faults tests/stateful
LAST := tests/test_secrets_stay_inside.py
# It reads all of the code: in the sessions that see most messages; by test-long in each.
TOLD := tests/test_messages_told.py
OFTEN :=
PYTEST := -m pytest --quiet
MEASURED :=
RELEASED = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' rotator/__init__.py)
REGISTRY := registry.example.com
BASE := python:3.13-slim
PLATFORM := linux/amd64
BUILDAH := buildah
BUILDAH_OPTIONS :=
IMAGE = --base '$(BASE)' --platform '$(PLATFORM)' --buildah '$(BUILDAH)' --options '$(BUILDAH_OPTIONS)'
MEASURING := COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml COVERAGE_FILE=$(CURDIR)/.coverage

# Compiled modules are kept, whatever a container's image says: each of a thousand processes would
# compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check check-tests test test-long core rotation bots commands servers places promises lint check-types check-imports bench crash-matrix soak test-lowest test-image release release-packages release-chart release-image release-note push sign github-release version lock schemas messages site clean

demo: $(VENV)/installed
	@$(BIN)/rotator demo

check: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory --jobs=3 --output-sync lint check-types check-imports check-tests

check-tests: $(VENV)/installed-dev
	$(BIN)/python $(PYTEST) tests/unit tests/config

# Sessions side by side, as much of their time is waiting for processes and servers.
test: lint
	@$(MAKE) --no-print-directory --jobs=9 --output-sync commands core rotation places bots promises servers check-types check-imports

core: $(VENV)/installed-dev
	$(MEASURED) $(BIN)/python $(PYTEST) $(addprefix --ignore=,$(ROTATION) $(BOTS) $(PAGES) $(COMMANDS) $(SERVERS) $(PLACES) $(PROMISES))

rotation: $(VENV)/installed-dev
	$(MEASURED) $(BIN)/python $(PYTEST) $(ROTATION) $(LAST) $(OFTEN)

bots: $(VENV)/installed-dev
	$(MEASURED) $(BIN)/python $(PYTEST) $(BOTS) $(PAGES) $(LAST) $(OFTEN)

commands: $(VENV)/installed-dev
	$(MEASURED) $(BIN)/python $(PYTEST) $(COMMANDS) $(addprefix --ignore=,$(PROMISES)) $(LAST) $(TOLD)

servers: $(VENV)/installed-dev
	$(MEASURED) $(BIN)/python $(PYTEST) $(SERVERS) $(LAST) $(OFTEN)

places: $(VENV)/installed-dev
	$(BIN)/python $(PYTEST) $(PLACES) $(LAST) $(OFTEN)

promises: $(VENV)/installed-dev
	$(BIN)/python $(PYTEST) $(PROMISES) $(LAST) $(OFTEN)

# Coverage, also that of the commands which the tests start, doubles the time. It leaves out what
# starts processes by the thousand and kills them.
test-long: $(VENV)/installed-dev
	$(BIN)/coverage erase
	@$(MAKE) --no-print-directory test PYTEST='$(PYTEST) --long' OFTEN='$(TOLD)' MEASURED='$(MEASURING)'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

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

# A rotation, a rehearsal and `rotator leaked`, killed at each of their moments, as tables; their
# tests are a part of `make test`.
crash-matrix: $(VENV)/installed-dev
	$(BIN)/python -m tests.crash

# The daemon for half an hour, with 200 tokens, faults and kills; PLOT=docs/soak.svg draws its curves.
MINUTES := 30
PLOT :=
soak: $(VENV)/installed-dev
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(PLOT),--plot $(PLOT))

# The docs as a site, in the folder site/.
site: $(VENV)/installed-dev
	$(BIN)/mkdocs build --strict

# The lower bounds of pyproject.toml, exactly, in a virtualenv of their own.
test-lowest: $(VENV)/installed-dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest --resolution lowest-direct --editable . --group dev
	$(BIN)/uv pip install --quiet --python .venv-lowest --no-deps --group programs
	.venv-lowest/bin/python -m pytest

# The image built and run, cron and systemd in a container: as root, before each release.
test-image: $(VENV)/installed-dev
	$(BIN)/python -m pytest tests/image tests/cron

# What docs/releasing.md publishes, from the commit that is checked out, into dist/. The image takes
# root and buildah. BASE is best given with its digest: BASE=python:3.13-slim@sha256:...
release: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m release make $(IMAGE)

release-packages: $(VENV)/installed-dev
	$(BIN)/python -m release make packages

release-chart: $(VENV)/installed-dev
	$(BIN)/python -m release make chart

release-image: $(VENV)/installed-dev
	$(BIN)/python -m release make image $(IMAGE)

release-note: $(VENV)/installed-dev
	$(BIN)/python -m release make note

# Publishing, with accounts: REGISTRY=ghcr.io/you. skopeo and helm log in as docker does.
push:
	skopeo copy --all oci-archive:dist/nocturna-rotator-$(RELEASED)-$(subst /,-,$(PLATFORM)).oci.tar docker://$(REGISTRY)/nocturna-rotator:$(RELEASED)
	helm push dist/rotator-$(RELEASED).tgz oci://$(REGISTRY)/charts

sign:
	cosign sign --yes $(REGISTRY)/nocturna-rotator@$$(skopeo inspect --format '{{.Digest}}' docker://$(REGISTRY)/nocturna-rotator:$(RELEASED))
	cosign sign --yes $(REGISTRY)/charts/rotator@$$(skopeo inspect --raw docker://$(REGISTRY)/charts/rotator:$(RELEASED) | sha256sum | sed 's/^/sha256:/; s/ .*//')

github-release:
	gh release create v$(RELEASED) --verify-tag --title $(RELEASED) --notes-file dist/RELEASE-NOTE.md dist/*

# All files that name the version, and the section of CHANGELOG: make version VERSION=0.2.0
version: $(VENV)/installed-dev
	$(BIN)/python -m release version $(VERSION)

# After a change of the table of settings: the schemas of rotator.toml and of the chart's values.
schemas: $(VENV)/installed-dev
	$(BIN)/python -m tests.config.schemas

# After a change of what the program says is wrong: the page of all its messages.
messages: $(VENV)/installed-dev
	$(BIN)/python -m tests.messages.page

# The image's packages with their hashes; newer ones: make lock LOCK=--upgrade
LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock'
lock: $(VENV)/installed-dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile $(LOCKED) $(LOCK) --all-extras --no-emit-package nocturna-rotator pyproject.toml --output-file requirements.lock
	printf "hatchling\nclick>=8.4\n" | $(BIN)/uv pip compile $(LOCKED) $(LOCK) - --output-file requirements-build.lock

clean:
	rm -rf dist $(VENV) .venv-lowest .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf site
	rm -f .coverage .coverage.*

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; try: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into $(VENV) (once)..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[terminal]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "Installing the development tools (once)..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --group dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --group programs
	@touch $@
