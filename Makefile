# Every target sets up what it needs in .venv. To begin with: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin
ITEMS ?= 3700 100000 1000000
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help setup demo test lint bench prove chaos test-docker clean

help: ## Print this list.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 18

setup: .venv/ready ## Create .venv with all dependencies.

# recbole brings the data of the demo; its dependencies are not needed.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) torch
	$(PIP_INSTALL) -e '.[dev]'
	$(PIP_INSTALL) --no-deps recbole
	touch $@

demo: setup ## Run the whole service on this machine on real ratings.
	$(BIN)/dch demo

test: setup lint ## Run the linters and all tests but the long proofs.
	$(BIN)/python -m pytest -n 3 --dist loadfile

lint: setup ## Check formatting, lint rules and types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Needs an idle machine and Apache Kafka; the largest catalogue takes 8 GiB of memory.
bench: setup ## Measure search, ingest and requests at three sizes; write the tables of the README and docs/costs.md.
	$(BIN)/python tests/bench/bench_search.py $(ITEMS)
	$(BIN)/python tests/bench/bench_neighbours.py $(ITEMS)
	$(BIN)/python tests/bench/bench_service.py --items $(ITEMS)
	$(BIN)/python tests/bench/report.py

prove: setup ## Run the long proofs: the wheel in new environments, hanging brokers, transactions, whole demos.
	DCH_PROVE=1 $(BIN)/python -m pytest -m prove

chaos: setup ## Kill, restart and poison a service on Apache Kafka, and check every code.
	$(BIN)/python -m tests.chaos.chaos

test-docker: setup ## Build the images and run deploy/compose.yaml on a Docker engine.
	TEST_DOCKER=1 $(BIN)/python -m pytest -q tests/deploy/test_docker.py

clean: ## Remove .venv and everything built.
	rm -rf .venv build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
