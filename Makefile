# Every target makes what it needs; a fresh clone needs Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help venv demo test check lint format unit long azure simulation drill-matrix chaos differential mutants bench bench-offsets bench-scale bench-snapshot pictures lock clean

help:            ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

venv: $(STAMP)   ## make .venv from the hashed lock and install the project into it

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "replicator needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --no-deps --require-hashes -r requirements/build.lock
	$(PIP) install --no-deps --no-build-isolation --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: venv       ## two clusters, a real stream, a real outage, a failover (<= 5 minutes)
	$(BIN)/replicator demo

test: venv       ## every test that needs nothing but Python: in two processes, one of them with the shared lab
	$(BIN)/python -m pytest -n 2 --dist loadgroup

long: venv       ## the longer matrices that `make test` leaves out: crash points, secured and watched demos
	$(BIN)/python -m pytest -m long --timeout 1800

azure: venv      ## the object stores' contract on Azure's interface, by Azurite; needs npm
	$(BIN)/python -m pytest -m long tests/contracts -k "azure"

simulation: venv  ## the runbooks in a disturbed world, ten thousand seeds; one of them: python -m tests.simulation --seed N
	$(BIN)/python -m tests.simulation --seeds 10000

drill-matrix: venv  ## SIGKILL at every step of every runbook, resumed to the same end
	$(BIN)/python -m pytest tests/drills/crash_matrix.py --timeout 3600

chaos: venv      ## faults on real brokers under traffic, judged by a ledger from outside (30 minutes)
	$(BIN)/python -m pytest tests/chaos -m "long or not long" --timeout 1500

differential: venv  ## the offset rules beside Kafka's own OffsetSyncStore, a million questions; needs a JDK
	$(BIN)/python -m tests.unit.offsets.sync_store --queries 1000000

mutants: venv    ## small mistakes in the pure rules that the tests must notice (ROOM=failover; N=200 draws so many)
	$(BIN)/python -m tests.mutation $(if $(ROOM),--room $(ROOM)) $(if $(N),--sample $(N))

check: lint unit  ## lint, format, types, layers, unit tests

lint: venv       ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: venv       ## unit tests only
	$(BIN)/python -m pytest tests/unit

format: venv     ## rewrite the sources in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv      ## stock MirrorMaker 2 against our template, on the same records
	$(BIN)/python -m benchmarks.flow

bench-offsets: venv  ## what moving groups costs: MirrorMaker's checkpoints against ours
	$(BIN)/python -m benchmarks.offsets

bench-snapshot: venv ## snapshots and restores beside plain loops: speed, CPU, memory, objects
	$(BIN)/python -m benchmarks.snapshot

bench-scale: venv    ## what watching 10,000 partitions and 1,000 groups costs
	$(BIN)/python -m benchmarks.scale

pictures: venv   ## draw the dashboard's screens from a recording, into docs/pictures
	$(BIN)/python -m tui.pictures docs/pictures

lock: venv       ## resolve requirements.lock anew (hashes and names only)
	$(PIP) install uv
	printf 'setuptools>=80\nwheel\n' | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/build.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --all-extras --overrides requirements/overrides.txt pyproject.toml requirements/dev.in -o requirements.lock

clean:           ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
