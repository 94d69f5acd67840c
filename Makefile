# `make demo` and `make test` work on a fresh machine that has only python3 and make.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo serve test browser test-resolution test-wheel check lint types imports docs build bench fmt api nav news audit sbom lock clean

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
PIP    := $(PY) -m pip --disable-pip-version-check --no-input
ARGS   ?=
RESOLUTION ?= lowest-direct

# A PYTHONPATH from the caller's shell could put another `shared` in front of ours.
unexport PYTHONPATH PYTHONHOME
export PIP_USER := 0

help:  ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# --- environment: a stamp appears only after its step has succeeded -----------------

$(VENV)/.made:
	@$(PYTHON) .ci/make_venv.py $(VENV)

# Asking for another interpreter than .venv holds is answered, not ignored.
ifneq ($(origin PYTHON),file)
ifneq ($(wildcard $(VENV)/.made),)
ifneq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info[:2])'),$(shell $(PY) -c 'import sys; print(sys.version_info[:2])'))
ifeq ($(filter clean help,$(MAKECMDGOALS)),)
$(error $(VENV) was made with another Python than '$(PYTHON)'; run: make clean, or add VENV=.venv-other)
endif
endif
endif
endif

$(VENV)/.test: $(VENV)/.made requirements/test.txt pyproject.toml
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
	@$(PY) -m examples.demo $(ARGS)

serve: $(VENV)/.test  ## The same services, kept running until Ctrl-C
	@$(PY) -m examples.demo --serve $(ARGS)

test: $(VENV)/.test  ## Run the whole test suite with coverage
	@$(PY) -m pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=95 $(ARGS)

browser: $(VENV)/.test  ## /docs and /redoc in a real Chromium (apt-get install chromium)
	@$(PY) -m pytest tests/e2e/browser/documentation_pages.py $(ARGS)

test-resolution: $(VENV)/.dev  ## The suite with RESOLUTION=lowest-direct or highest dependencies
	@$(BIN)/uv venv --quiet --clear --seed --python $(PY) $(VENV)-$(RESOLUTION)
	@$(BIN)/uv pip install --quiet --python $(VENV)-$(RESOLUTION) --resolution $(RESOLUTION) \
	  -e '.[all]' -r requirements/test.in
	@$(VENV)-$(RESOLUTION)/bin/python -m pytest -n auto --dist worksteal $(ARGS)

test-wheel: $(VENV)/.test  ## The suite against dist/*.whl, in a folder without the source
	@ls dist/*.whl > /dev/null 2>&1 || { echo "no wheel in dist/; run: make build"; exit 1; }
	@rm -rf build/wheel && mkdir -p build/wheel/run
	@$(PIP) install --quiet --no-deps --no-index --target build/wheel/site dist/*.whl
	@cp -R pyproject.toml tests $(wildcard examples benchmarks migrations docs README.md) build/wheel/run
	@cd build/wheel/run && PYTHONPATH=$(CURDIR)/build/wheel/site $(abspath $(PY)) -m pytest -n auto \
	  --dist worksteal --ignore tests/house --ignore tests/packaging --ignore tests/docs $(ARGS)

# --- everything else ------------------------------------------------------------------

check: lint types imports docs build demo test  ## All that CI runs

lint: $(VENV)/.dev  ## ruff, bandit, spelling, project metadata, news fragments
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@mkdir -p build
	@$(BIN)/bandit -q -c pyproject.toml -r src -f json --exit-zero 2> build/bandit.log | $(PY) .ci/bandit_findings.py \
	  || { cat build/bandit.log; exit 1; }
	@$(BIN)/codespell
	@$(BIN)/validate-pyproject pyproject.toml
	@$(BIN)/towncrier build --draft --version next > build/news.log 2>&1 || { cat build/news.log; exit 1; }

types: $(VENV)/.dev  ## mypy strict, pyright: every public attribute declares its type
	@echo "== types"
	@$(BIN)/mypy
	@$(BIN)/mypy tests/typing
	@PATH="$(abspath $(BIN)):$$PATH" basedpyright --verifytypes shared --ignoreexternal --outputjson \
	  | $(PY) .ci/type_gaps.py
	@PATH="$(abspath $(BIN)):$$PATH" basedpyright

imports: $(VENV)/.dev  ## The floors: imports point down, heavy libraries stay in their rooms
	@echo "== imports"
	@$(BIN)/lint-imports --no-logo

docs: $(VENV)/.dev  ## Build the documentation with both builders, strictly
	@echo "== docs"
	@$(BIN)/zensical build --strict --clean
	@$(BIN)/mkdocs build --strict --clean --site-dir build/mkdocs

build: $(VENV)/.dev  ## Build wheel and sdist into dist/
	@echo "== build"
	@rm -rf dist
	@mkdir -p build
	@$(PY) -m build --no-isolation --outdir dist . > build/build.log 2>&1 || { cat build/build.log; exit 1; }
	@ls dist

bench: $(VENV)/.bench  ## Ours, the bare floor and the peers, side by side
	@$(PY) -m benchmarks $(ARGS)

fmt: $(VENV)/.dev  ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

api: $(VENV)/.test  ## Write tests/public_api.txt anew (read the diff: it is the contract)
	@$(PY) -m tests.house.public_api

nav:  ## Add new pages of the documentation to the navigation and the reference index
	@$(PYTHON) .ci/nav.py

news: $(VENV)/.dev  ## Show the news fragments as the next release will print them
	@$(BIN)/towncrier build --draft --version next

audit: $(VENV)/.dev  ## Known vulnerabilities of the pinned dependencies
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements/test.txt \
	  $$(sed -n 's/^\([A-Z][A-Z]*-[^ ]*\) .*/--ignore-vuln \1/p' .ci/audit-ignore.txt)

sbom: $(VENV)/.made requirements/release.txt  ## CycloneDX bill of materials into dist/
	@$(PIP) install --quiet --require-hashes -r requirements/release.txt
	@mkdir -p dist
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o dist/sbom.cdx.json requirements/test.txt

lock: $(VENV)/.dev  ## Resolve the requirement files anew
	@for name in test dev bench release; do \
	  extra=""; if [ $$name = test ]; then extra="pyproject.toml --all-extras"; fi; \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --quiet $(ARGS) $$extra requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean:  ## Remove what the other targets made
	@rm -rf $(VENV) $(VENV)-highest $(VENV)-lowest-direct build dist site .coverage* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
