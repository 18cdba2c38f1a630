# What people and machines run. Everything is installed into .venv, data is kept in .eye/.
#   make run [ONCE=1]   the whole stack on this machine, and what the sample events become in it
#   make bench [QUICK=1] every stage measured beside its reference; QUICK: under three minutes
#   make load [USERS=150 SECONDS=30]   locust against the stack of `make up`
#   make test           lint, types, import contracts and every test, on a real Kafka and a real Postgres
#   make places         the first command as other users, in other places and environments; needs root
#   make shell          a shell in which eye, pytest and ruff are found
#   make reference      docs/reference from the code
#   make docs           the documents as a site in build/site; a broken link fails
#   make example        a small shop that uses both clients, on the stack that runs or on one of its own
#   make client         the browser client, built into gateway/static; needs node and npm
#   make alerts         the alert rules against promtool
#   make faults         drills: what can break does, and an independent reader counts; DRILLS="--quick" for short ones

PYTHON ?= python3
# Variables meant for another Python (PYTHONHOME, PYTHONPATH, ...) reach nobody here.
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES)))
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: run up shell test lint reference docs places test-fast faults cluster secure bench load clean alerts client example

run: $(INSTALLED)
	$(BIN)/eye up --send tests/sample-events.ndjson $(if $(ONCE),--once)

up: $(INSTALLED)
	$(BIN)/eye up

# examples/shop/README.md says what it shows.
example: $(INSTALLED)
	$(BIN)/python -m examples.shop

shell: $(INSTALLED)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $${SHELL:-sh}

# Two files at a time, since a test mostly waits for its servers; those that take longest come first.
test: lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file clients/python/pyproject.toml
	$(BIN)/lint-imports

# `make run ONCE=1` as other users, in other places and environments; PLACES="NAME ..." for some, needs root
places: $(INSTALLED)
	$(BIN)/python -m tests.places $(PLACES)

reference: $(INSTALLED)
	$(BIN)/python -m docs.generate

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml

test-fast: $(INSTALLED)
	$(BIN)/pytest tests/unit

faults: $(INSTALLED)
	$(BIN)/python -m tests.faults $(DRILLS)

# Drills on this machine, with figures; docs/deploy.md says what they show.
cluster: $(INSTALLED)
	$(BIN)/python -m tests.faults.cluster

secure: $(INSTALLED)
	$(BIN)/python -m tests.faults.secure

bench: $(INSTALLED)
	$(BIN)/python -m bench $(if $(QUICK),--quick)

load: $(INSTALLED)
	$(BIN)/python -m tests.load --users $(or $(USERS),150) --seconds $(or $(SECONDS),30)

# The alert rules against promtool, which has to be on the PATH; docs/observability.md says where it comes from.
alerts:
	cd deploy/prometheus && promtool check config prometheus.yml && promtool test rules alerts.test.yaml

# What the gateway serves at /eye.js; a test fails when it is older than its source.
client:
	cd clients/browser && npm ci --no-audit --no-fund && npm run --silent check && npm run --silent build
	cp clients/browser/dist/eye.js gateway/static/eye.js

clean:
	rm -rf .venv .eye

$(INSTALLED): pyproject.toml clients/python/pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "The Eye needs Python 3.11 or newer and finds no $(PYTHON):" \
	  "install it with 'apt-get install python3 python3-venv'." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit("The Eye needs Python 3.11 or newer, and %s is %d.%d: name a newer one, \
	make PYTHON=/path/to/python3." % ((sys.executable,) + tuple(sys.version_info[:2])) if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) can't make a virtual environment:" \
	  "install it with 'apt-get install python3-venv'." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]' --editable clients/python
	touch $@
