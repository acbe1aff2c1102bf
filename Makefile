# make setup | demo | test | test-fast | torture | mutants | lint | lock | clean

BIN := .venv/bin
# Files of tests are shared out over processes, those with slow tests first.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/.uv/bin:$(PATH)

# Threads that wait yield their core to data loaders and other work.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: setup demo test test-fast torture mutants lint lock clean

setup: ## .venv with the locked versions; a second call takes about a second
	@sh tools/setup.sh

demo: setup ## the whole path on small data; DATA=DIR takes the real data there
	$(BIN)/selfpatch demo $(if $(DATA),--data "$(DATA)")

test: setup ## the whole test suite
	$(PYTEST)

test-fast: setup ## what takes no training in processes and no hosts' models
	$(PYTEST) -m "not slow"

torture: setup ## 50 kills of each program, 40,000 odd files; about an hour
	TORTURE=$(or $(TORTURE),50) $(BIN)/python -m pytest tests/faults/test_kills.py --timeout 7200 -s
	TORTURE=$(or $(FUZZ),220) $(PYTEST) tests/faults --deselect tests/faults/test_kills.py --timeout 3600

mutants: setup ## 200 random changes of the code: which of them does no test notice?
	$(BIN)/python -m tests.mutants

lint: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: setup ## requirements.lock from setup.cfg's ranges, with the newest versions
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header --all-extras setup.cfg -o requirements.lock
	@! grep '^numba==' requirements.lock || \
	    { echo "error: uv has not read [tool.uv] in pyproject.toml" >&2; exit 1; }

clean: ## everything that make made here; runs of your own and uv's cache stay
	rm -rf .venv .uv work_dirs/demo build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
