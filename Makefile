# `make help` lists what there is. Needs Python 3.11+ and make; `make setup` brings the rest.

# The first Python that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; \
	done; echo python3)
ARGS ?=
TESTS ?= tests
RUNS ?= 100000

BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SOLCX_BINARY_PATH := $(CURDIR)/.venv/solcx
# Ape's packages and logs stay here; the accounts below ~/.ape are left alone by tests and demos.
export APE_DATA_FOLDER ?= $(CURDIR)/.cache/ape
export IPFS_TELEMETRY := off

PACKAGES := protocol network learning coordinator trainer scripts
# Folders that hold Python already; nothing to check in the others.
PRESENT := $(foreach p,$(PACKAGES),$(if $(wildcard $(p)/*.py),$(p)))
CONTRACTS := $(wildcard contracts/*.sol contracts/*/*.sol tests/forge/*.sol)

CHECKS := check-python check-format check-types check-imports check-solidity check-spelling analyze

.PHONY: help setup lock compile kubo check $(CHECKS) format test nightly fuzz demo attacks localnet bench vectors abi clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1 \t/p' Makefile | expand -t 12

setup: ## create .venv with every locked package, anvil, forge and solc
	@$(PYTHON) scripts/bootstrap.py

compile: setup ## compile the contracts
	@$(BIN)/python -m scripts.compiled

test: setup ## run the tests; TESTS=tests/unit for some, ARGS="-k merkle" for options
	@$(BIN)/python -m pytest $(TESTS) $(ARGS)

nightly: setup ## every test, the long ones too, then fuzz
	@$(BIN)/python -m pytest $(TESTS) -m "nightly or not nightly" $(ARGS)
	@$(MAKE) --no-print-directory fuzz ARGS=

fuzz: setup ## any bytes and any games against the contracts, nightly (40 min); RUNS=100000 ARGS="--match-test ssq"
	@$(BIN)/forge test --fuzz-runs $(RUNS) --fuzz-seed $$(od -An -N8 -tx8 /dev/urandom | sed 's/ */0x/') $(ARGS)

demo: setup ## train one model with several untrusting trainers on this machine; ARGS="--help"
	@$(BIN)/python -m scripts.demo $(ARGS)

attacks: setup ## measure every adversary with and without the defence, for docs/attacks.md; ARGS="--only lazy"
	@$(BIN)/python -m scripts.attacks $(ARGS)

localnet: setup ## the demo's network, kept up, with the explorer
	@$(BIN)/python -m scripts.localnet $(ARGS)

bench: setup ## measure gas, time and memory
	@$(BIN)/python -m scripts.bench $(ARGS)

vectors: setup ## write tests/vectors anew
	@$(BIN)/python -m scripts.make_vectors $(ARGS)

abi: setup ## write network/contracts.json anew, after a contract changed
	@$(BIN)/python -m scripts.export_contracts

kubo: setup ## build the pinned Kubo where Go is installed
	@$(BIN)/python scripts/build_kubo.py

check: setup ## linters, formatter, types, import rules, spelling, Slither
	@$(MAKE) --no-print-directory --keep-going $(CHECKS)

check-python:
	$(BIN)/ruff check .

check-format:
	$(BIN)/ruff format --check .

check-types:
	$(if $(PRESENT),$(BIN)/mypy $(PRESENT))

check-imports:
ifneq ($(PRESENT),$(PACKAGES))
	@echo "import rules wait for: $(filter-out $(PRESENT),$(PACKAGES))"
else
	PYTHONPATH=. $(BIN)/lint-imports --cache-dir .cache/import-linter
endif

check-solidity:
	$(if $(CONTRACTS),node_modules/.bin/solhint --disc --max-warnings 0 $(foreach c,$(CONTRACTS),'$(c)'))

check-spelling:
	$(BIN)/codespell

# Without VIRTUAL_ENV solc-select, which Slither imports, makes a folder in the home directory.
analyze: setup ## Slither over the contracts; exceptions stand beside their lines, with a reason
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/python -m scripts.analyze

format: setup ## format the Python code, and fix what ruff can fix
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

UV_LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

lock: setup ## resolve requirements/*.in and package.json anew
	$(UV_LOCK) --override requirements/overrides.txt requirements/dev.in -o requirements/dev.lock $(ARGS)
	$(UV_LOCK) --constraint requirements/dev.lock requirements/uv.in -o requirements/uv.lock
	$(UV_LOCK) requirements/node.in -o requirements/node.lock $(ARGS)
	npm install --package-lock-only --ignore-scripts

clean: ## remove everything that make made
	rm -rf .venv .cache .build build out node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
