# Two commands are enough: `make run` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Today's plugin or the older program, whichever is here.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.PHONY: help run test test-quick test-browser check docs errors wheels stranger chaos format bench up down clean
.DEFAULT_GOAL := help

help:            ## Show what can be made.
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# Reused while neither the project's dependencies nor their pins have changed.
$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a minute or two the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' 2>$(VENV)/install.log \
	  || { cat $(VENV)/install.log; exit 1; }
	@touch $@

run: $(INSTALLED)     ## Run the first study: digits, all six steps, about half a minute.
	@$(BIN)/search-service run configs/01_digits.yaml

SPELT = README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs search_service trainables bench configs deploy
CHECK = $(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache \
  && $(BIN)/codespell $(SPELT)

check: $(INSTALLED)   ## Formatting, lint, types, import rules and spelling.
	$(CHECK)

# Three processes, a file at a time, the longest first (tests/conftest.py): fixtures like Ray start once in each, and much
# of the time is waited for processes. The checks run beside them; what they say comes at the end, where it is seen.
# A process of tests that dies is not replaced: xdist would wait for ever for those that it gives to nobody (3.8, loadfile).
test: $(INSTALLED)    ## Everything CI runs: the tests and, beside them, `check`.
	@echo 'Beside the tests: $(CHECK)'; ( $(CHECK) ) >$(VENV)/check.log 2>&1 & checking=$$!; \
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --durations 15 $(PYTEST); tests=$$?; \
	wait $$checking; checked=$$?; cat $(VENV)/check.log; \
	[ $$checked -eq 0 ] || echo 'make check has failed: see above.'; \
	[ $$tests -eq 0 ] || echo 'Tests have failed: see further above.'; \
	[ $$checked -eq 0 ] && [ $$tests -eq 0 ]

test-quick: $(INSTALLED) ## While typing: unit tests without Ray, MLflow, processes of their own and whole studies.
	$(BIN)/pytest --quick -n 2 --dist loadfile $(PYTEST)

# Chromium is the distribution's: Playwright's own is another 400 MB. SCREENSHOTS=DIR keeps the pictures there.
test-browser: $(INSTALLED) ## Pages in a real browser; it takes Chromium.
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { echo 'There is no Chromium: apt-get install chromium (or dnf, brew), or CHROMIUM=/path/to/it make test-browser'; exit 1; }
	$(BIN)/pytest --browser tests/browser $(PYTEST)

docs: $(INSTALLED)    ## Build the documentation as a site that needs no network: site/index.html.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict && echo 'Open site/index.html'

errors: $(INSTALLED)  ## Write docs/errors.md anew: what tests make this project say of mistakes (tests/messages.py).
	$(BIN)/python -m pytest -n 3 --dist loadfile -p tests.messages $(PYTEST)

# More, or others: make chaos CHAOS='--runs 100 --seed 5 --variants inline-random-4 ray-tpe-4'.
chaos: $(INSTALLED)   ## Kill studies at random moments, and look at what is left (docs/operations.md).
	$(BIN)/python -m tests.chaos $(CHAOS)

# More: make wheels WHEELS="python3.11 --clients python3.12 python3.13".
wheels: $(INSTALLED)  ## Try wheel and sdist in empty environments: the client alone, and all of it (tests/wheels.py).
	$(BIN)/python tests/wheels.py $(WHEELS)

# More: make stranger STRANGER="--build-network host", or --with-tests, --without-containers.
stranger:        ## Follow the README word by word in an empty clone, containers included (tests/word_by_word.py).
	$(PYTHON) tests/word_by_word.py $(STRANGER)

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
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
