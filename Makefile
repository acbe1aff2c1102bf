# make setup | demo | test | lint | clean

PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
BIN := .venv/bin

# Threads that wait yield their core to data loaders and other work.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: setup demo test lint clean

setup: ## .venv with the pinned versions; a second call takes about a second
	@$(PYTHON) -m tools.setup

demo: setup ## the whole path on small data; DATA=DIR takes the real data there
	$(BIN)/python tools/demo.py $(if $(DATA),--data $(DATA))

test: setup ## the whole test suite
	$(BIN)/python -m pytest

lint: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## everything that make made here; the user cache stays
	rm -rf .venv work_dirs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
