# `make demo` and `make test` work on a fresh machine that has only python3 and make.
.DEFAULT_GOAL := help
.PHONY: help install demo serve test check lint types imports docs build bench fmt audit lock clean

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input
ARGS   ?=

help:  ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment: each stamp is made anew when what it stands for changes ---------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "python 3.11 or newer is needed, $(PYTHON) is: $$($(PYTHON) --version); run: make PYTHON=python3.12 ..."; exit 1; }
	@echo "== creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing: install your system's python3-venv package"; exit 1; }

$(VENV)/.test: $(BIN)/python requirements/test.txt pyproject.toml
	@echo "== installing the package, its extras and the test tools (about a minute)"
	@$(PIP) install --quiet --require-hashes -r requirements/test.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.test requirements/dev.txt
	@echo "== installing linters, type checkers and the docs tools"
	@$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.test requirements/bench.txt
	@echo "== installing the peers"
	@$(PIP) install --quiet --require-hashes -r requirements/bench.txt
	@touch $@

install: $(VENV)/.dev  ## Make .venv with everything a contributor needs

# --- the two commands ---------------------------------------------------------------

demo: $(VENV)/.test  ## Start two services on loopback, take the tour, check every step
	@$(BIN)/python -m examples.demo $(ARGS)

serve: $(VENV)/.test  ## The same services, kept running until Ctrl-C
	@$(BIN)/python -m examples.demo --serve $(ARGS)

test: $(VENV)/.test  ## Run the whole test suite with coverage
	@$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=95 $(ARGS)

# --- everything else ------------------------------------------------------------------

check: lint types imports docs build demo test  ## All that CI runs

lint: $(VENV)/.dev  ## ruff, bandit, spelling, docstrings
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/bandit -q -c pyproject.toml -r src
	@$(BIN)/codespell
	@$(BIN)/validate-pyproject pyproject.toml

types: $(VENV)/.dev  ## mypy strict, pyright on the public API
	@echo "== types"
	@$(BIN)/mypy
	@$(BIN)/basedpyright --verifytypes shared --ignoreexternal | tail -n 12
	@$(BIN)/basedpyright tests/typing

imports: $(VENV)/.dev  ## The floors: imports point down
	@echo "== imports"
	@$(BIN)/lint-imports --no-logo

docs: $(VENV)/.dev  ## Build the documentation, strictly
	@echo "== docs"
	@$(BIN)/zensical build --strict --clean

build: $(VENV)/.dev  ## Build wheel and sdist into dist/
	@echo "== build"
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist . > /dev/null
	@ls dist

bench: $(VENV)/.bench  ## Ours, the bare floor and the peers, side by side
	@$(BIN)/python -m benchmarks $(ARGS)

fmt: $(VENV)/.dev  ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

audit: $(VENV)/.dev  ## Known vulnerabilities of the pinned dependencies
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements/test.txt

lock: $(VENV)/.dev  ## Resolve the requirement files anew
	@for name in test dev bench; do \
	  extra=""; if [ $$name = test ]; then extra="pyproject.toml --all-extras"; fi; \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --quiet --upgrade $$extra requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean:  ## Remove what the other targets made
	@rm -rf $(VENV) build dist site .coverage* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis
