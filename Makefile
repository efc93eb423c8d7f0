# SPDX-License-Identifier: Apache-2.0
#
# Every target stands on a fresh Debian machine with nothing but git, make and python3: scripts/setup brings the rest.
# A target stops what it started; only `make engine-up` and `make cluster` leave something running,
# until `make engine-down` and `make cluster-down`.

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-kubernetes demo-cloudrun test soak fuzz check lint fix bench docs clean engine-up engine-down cluster cluster-down

BIN := .venv/bin
SCRIPTS := scripts/paths scripts/setup scripts/engine scripts/cluster scripts/images scripts/run scripts/test scripts/showing \
	scripts/demo scripts/demo-kubernetes scripts/demo-cloudrun bench/peers/compose bench/peers/helm bench/peers/kubectl .ci/run
PROGRAMS := $(wildcard examples/shop/images/*/*) examples/shop/images/lib.sh

help: ## show these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## install what is missing: Debian packages, uv, the locked environment in .venv
	@scripts/setup

demo: ## deploy the example shop, here and through two Celery workers, break it, and take it down again
	@scripts/run scripts/demo

demo-kubernetes: ## the same on a Kubernetes of its own: a real node, roll-outs that nobody notices, claims that stay
	@scripts/run --cluster node scripts/demo-kubernetes

demo-cloudrun: ## the part of it that holds no data on Cloud Run, or rather on the server of its tests: roll-outs by percent, and back
	@scripts/run scripts/demo-cloudrun

test: ## every test, on a real Redis, a real Docker Engine and a real Kubernetes
	@scripts/setup docker-registry zsh fish
	@scripts/run --cluster node,plane scripts/test

soak: ## break workers, Redis, network and hints under many runs for ten minutes; SECONDS=60 SEED=42
	@scripts/setup
	@$(BIN)/python -m tests.engine.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

fuzz: ## look for ten minutes for bytes that give neither a project nor our errors; SECONDS=60 SEED=42
	@scripts/setup
	@$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

check: lint test ## exactly what CI runs: lint, types, layers, then every test

lint: ## format, lint, types, layers and shell scripts, changing nothing
	@scripts/setup shellcheck
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	shellcheck --external-sources $(SCRIPTS)
	shellcheck --shell=dash --exclude=SC1091,SC2034,SC2154,SC3003 $(PROGRAMS)

fix: ## format, and mend what ruff can mend
	@scripts/setup
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: ## measure beside Docker Compose, kubectl, Helm and Celery's canvas, many runs at once, and the command line; QUICK=1 for a short one
	@scripts/run $(BIN)/python bench/docker.py $(if $(QUICK),--quick)
	@scripts/run --cluster plane $(BIN)/python bench/kubernetes.py $(if $(QUICK),--quick)
	@$(BIN)/python bench/cloudrun.py $(if $(QUICK),--quick)
	@$(BIN)/python bench/engine.py $(if $(QUICK),--quick)
	@$(BIN)/python bench/fleet.py $(if $(QUICK),--quick)
	@$(BIN)/python bench/cli.py $(if $(QUICK),--quick)

docs: ## check the documentation: links, examples, what it says of the project
	@scripts/setup
	$(BIN)/pytest -q tests/house/test_docs.py tests/house/test_examples.py

clean: ## remove what builds and tests left in this folder; the cache stays
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov dist build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

engine-up: ## a Docker Engine that stays: the one that answers, or ours; prints its address
	@scripts/setup
	@scripts/engine keep
	@scripts/images

engine-down: ## stop our Docker Engine; one that was there before is left alone
	@scripts/engine down

cluster: ## a Kubernetes that stays, with the images of the examples; says what to export
	@scripts/run --cluster node scripts/cluster keep node

cluster-down: ## stop our Kubernetes
	@scripts/cluster down
