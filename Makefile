# Everything starts here. A fresh machine needs Python 3.11 or newer, make and a package registry;
# the first target that needs .venv creates it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet --quiet
# What the demo needs: the development set-up holds the same versions and more, so it serves too.
READY := $(if $(wildcard $(VENV)/.dev-pins),dev,runtime)
PROJECTS := pyproject.toml apps/support_agent/pyproject.toml
# The pins say nothing of where they were resolved: no index, no path, no command line.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-emit-package adjourn \
	--custom-compile-command "make pins" $(if $(UPGRADE),--upgrade)

# pyright-python asks a registry whether a newer release exists; ours is pinned.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help check test demo story teams-app bench crash format formatted lint types imports safe audited fast audit pins clean

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: formatted lint types imports safe audited fast ## The one gate, under two minutes: format, lint, types, imports, bandit, pip-audit, fast tests.

test: $(VENV)/.dev ## Run all tests, with a short crash campaign; finds or installs Chromium, PostgreSQL.
	@$(BIN)/python tests/browser/chromium.py
	@$(BIN)/python apps/support_agent/tests/postgres.py
	@$(BIN)/python -m pytest --quiet -n 2 --dist worksteal

demo: $(VENV)/.$(READY) ## Serve the support agent until Ctrl-C: the customers' chat and the supervisors' dashboard.
	@exec $(BIN)/python -m support_agent.serve --channel $(or $(CHANNEL),web)

story: $(VENV)/.$(READY) ## Play a refund in the terminal: two kill -9, one payment, one message.
	@$(BIN)/python -m support_agent.story

teams-app: $(VENV)/.$(READY) ## Write build/teams-app.zip: make teams-app SUPPORT_TEAMS_CLIENT_ID=... TEAMS_HOST=support.example.com
	@$(BIN)/python -m support_agent.channels.teams.package \
		--client-id "$(SUPPORT_TEAMS_CLIENT_ID)" --host "$(TEAMS_HOST)" $(TEAMS_APP)

bench: $(VENV)/.dev ## Run every benchmark and print its table; minutes, on a quiet machine.
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

crash: $(VENV)/.dev ## Run the full crash campaign: real processes, killed at every named point.
	@$(BIN)/python -m pytest --quiet tests/crash -m crash

format: $(VENV)/.dev ## Format the code and sort the imports.
	@$(BIN)/ruff check --quiet --fix --exit-zero .
	@$(BIN)/ruff format .

formatted: $(VENV)/.dev ## Part of check: is the code formatted? (`make format` does it.)
	@$(BIN)/ruff format --check . || { echo "Run 'make format'." >&2; exit 1; }

lint: $(VENV)/.dev ## Part of check: ruff's rules, and what would differ on replay.
	@$(BIN)/ruff check .

types: $(VENV)/.dev ## Part of check: pyright, strict on src.
	@$(BIN)/pyright

imports: $(VENV)/.dev ## Part of check: imports point down, the pure rooms stay pure.
	@$(BIN)/lint-imports --no-logo

safe: $(VENV)/.dev ## Part of check: bandit finds nothing in our sources.
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src apps/support_agent/src

audited: $(VENV)/.audited ## Part of check: make audit, once after the pins have changed.

fast: $(VENV)/.dev ## Part of check: the tests that are not marked slow.
	@$(BIN)/python -m pytest --quiet -n 2 --dist worksteal -m "not slow and not crash"

audit: $(VENV)/.dev ## Is anything that is pinned known to be vulnerable? It says so where nobody could be asked.
	$(ask_of_pins)

pins: $(VENV)/.dev ## Recompile requirements/*.txt after a dependency changed (UPGRADE=1: take newer ones).
	@$(COMPILE) $(PROJECTS) --extra agents --extra server --extra postgres --extra stripe --extra teams \
		--group build --output-file requirements/runtime.txt
	@$(COMPILE) $(PROJECTS) --extra agents --extra server --group dev --constraint requirements/runtime.txt \
		--output-file requirements/dev.txt
	@echo "Wrote requirements/runtime.txt and requirements/dev.txt."

clean: ## Remove .venv, caches and builds.
	@rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamp files say what is installed, so that the second run starts at once. When pins change, .venv
# is made anew: pip would leave behind the packages that are no longer asked for.

define install_pins
@test ! -L $(VENV) || { \
	echo "$(VENV) is a link: making it anew would empty what it leads to. Remove the link, or" >&2; \
	echo "run make where it leads to." >&2; exit 1; }
@command -v "$(PYTHON)" >/dev/null || { \
	echo "Adjourn needs Python 3.11 or newer, and there is no '$(PYTHON)' here." >&2; \
	echo "Install one, or name the one you have: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Adjourn needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)." >&2; \
	echo "Install a newer one, or name it: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "'$(PYTHON)' comes without venv. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	exit 1; }
@echo "Installing $< into $(VENV) (once; again when it changes)"
@"$(PYTHON)" -m venv --clear $(VENV)
@$(PIP) install --require-hashes --requirement $< || { \
	echo "pip could not install $<; its own message is above." >&2; \
	echo "If it found no version at all, the registry was not reached: give pip your proxy or" >&2; \
	echo "mirror (pip config set), then run make again." >&2; exit 1; }
@touch $@
endef

define install_projects
@$(PIP) install --no-deps --no-build-isolation --editable . --editable apps/support_agent
@touch $@
endef

define ask_of_pins
@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/house/audit.py requirements/*.txt
@touch $(VENV)/.audited
endef

# What is found out later about old pins would make commits red that were green: then `make audit`.
$(VENV)/.audited: requirements/dev.txt requirements/runtime.txt | $(VENV)/.dev
	$(ask_of_pins)

$(VENV)/.runtime-pins: requirements/runtime.txt
	$(install_pins)

$(VENV)/.dev-pins: requirements/dev.txt
	$(install_pins)

$(VENV)/.runtime: $(VENV)/.runtime-pins $(PROJECTS)
	$(install_projects)

$(VENV)/.dev: $(VENV)/.dev-pins $(PROJECTS)
	$(install_projects)
