# Two commands are enough: `make run` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Today's plugin or the older program, whichever is here.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.PHONY: help run test check chaos format bench up down clean
.DEFAULT_GOAL := help

help:            ## Show what can be made.
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# Reused while neither the project's dependencies nor their pins have changed.
$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a minute or two the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' 2>$(VENV)/install.log \
	  || { cat $(VENV)/install.log; exit 1; }
	@touch $@

run: $(INSTALLED)     ## Run the first study: digits, all six steps, about a minute.
	@$(BIN)/search-service run configs/01_digits.yaml

check: $(INSTALLED)   ## Formatting, lint, types and import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Two processes, a file at a time: fixtures like Ray start once in each. More would only wait for the CPUs that two Rays use.
test: check           ## Everything CI runs: `check`, then the tests.
	$(BIN)/pytest -n 2 --dist loadfile --durations 15 $(PYTEST)

# More, or others: make chaos CHAOS='--runs 100 --seed 5 --variants inline-random-4 ray-tpe-4'.
chaos: $(INSTALLED)   ## Kill studies at random moments, and look at what is left (docs/operations.md).
	$(BIN)/python -m tests.chaos $(CHAOS)

format: $(INSTALLED)  ## Rewrite the code in the project's format.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)   ## The performance promises, as ratios.
	$(BIN)/python bench/step_throughput.py

up:              ## Start the service, MLflow, Ray and PostgreSQL in containers; WORKERS=3 for three workers (docs/deploy.md).
	@$(PYTHON) deploy/stack.py secrets
	@$(COMPOSE) up --build --detach $(if $(WORKERS),--scale ray-worker=$(WORKERS))
	@$(PYTHON) deploy/stack.py ready

down:            ## Stop them; studies and records stay.
	@$(COMPOSE) down

clean:           ## Remove the virtual environment and caches (studies in runs/ stay).
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
