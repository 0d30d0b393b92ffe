# Two commands on a fresh clone: make demo, make test. Needed: Python >= 3.11 with venv, git, make.

MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
PACKAGES := $(sort $(wildcard packages/*/pyproject.toml))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile
# How many tests run at once: they wait as long as they count, so two for each core.
WORKERS := $(or $(AT_TEST_WORKERS),$(shell expr 2 '*' `getconf _NPROCESSORS_ONLN`))
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.PHONY: help install demo test lint lock bench full
help:
	@echo "make demo    install into $(VENV) if needed, then show the product at work (no key, no model, no CLI)"
	@echo "make test    install into $(VENV) if needed, then lint and run the fast tests"
	@echo "make lint    the checks alone"
	@echo "make lock    renew requirements/*.txt from requirements/*.in"
	@echo "make bench   measure against the named yardsticks"
	@echo "make full    every nox session"

demo: $(RUN)
	@$(BIN)/at demo

test: $(DEV) lint
	@$(BIN)/python -m pytest -q -n $(WORKERS) --hypothesis-profile=ci -m "not crash and not clis" packages tests/workshop

lint: $(DEV)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/python tools/forbidden.py

lock: $(DEV)
	@$(COMPILE) --upgrade requirements/dev.in --output-file requirements/dev.txt
	@$(COMPILE) --constraint requirements/dev.txt requirements/run.in --output-file requirements/run.txt

bench full: $(DEV)
	@$(BIN)/nox -s $@

install: $(DEV)

# An existing virtual environment is kept and completed. Third parties come from the lock with their hashes; our own
# packages are linked in place, without a look at the index: the build backend is in the lock too.
$(RUN): requirements/run.txt $(PACKAGES)
	@if $(BIN)/python -c "" 2>/dev/null; then exit 0; fi; \
	for python in python3.13 python3.12 python3.11 python3 python3.14 python; do \
		if "$$python" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$python" --version) and installing into it; later calls skip this."; \
			exec "$$python" -m venv $(VENV); \
		fi; \
	done; \
	echo "auto-tundra needs Python 3.11 or newer with its venv module; none was found on PATH." >&2; exit 1
	@$(PIP) --require-hashes --requirement requirements/run.txt
	@$(PIP) --no-build-isolation --no-deps $(patsubst %/pyproject.toml,--editable %,$(PACKAGES))
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@echo "Installing the workshop's tools into $(VENV)."
	@$(PIP) --require-hashes --requirement requirements/dev.txt
	@touch $@
