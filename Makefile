# make setup | demo | test | test-fast | lint | lock | clean

BIN := .venv/bin
# Files of tests are shared out over processes, those with slow tests first.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/.uv/bin:$(PATH)

# Threads that wait yield their core to data loaders and other work.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: setup demo test test-fast lint lock clean

setup: ## .venv with the locked versions; a second call takes about a second
	@sh tools/setup.sh

demo: setup ## the whole path on small data; DATA=DIR takes the real data there
	$(BIN)/python tools/demo.py $(if $(DATA),--data "$(DATA)") $(if $(SCALE),--scale $(SCALE))

test: setup ## the whole test suite
	$(PYTEST)

test-fast: setup ## what takes no training in processes and no hosts' models
	$(PYTEST) -m "not slow"

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
	rm -rf .venv .uv work_dirs/demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
