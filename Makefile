# For machines without Nix: every target does its own set-up.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SPEC ?= examples/aspen1.toml
OUT ?= out/$(basename $(notdir $(SPEC)))

.PHONY: help generate test lint bench bench-plan nix prometheus llama clean

help:
	@echo "make generate [SPEC=examples/aspen1.toml] [OUT=out/aspen1]   write a flake"
	@echo "make test      every test        make lint    ruff and mypy"
	@echo "make bench     the benchmarks    make bench-plan   the planner against published measurements"
	@echo "make clean     remove what this made"

generate: $(VENV)/ready
	@$(BIN)/llmflake generate $(SPEC) -o $(OUT)

test: $(VENV)/dev nix prometheus llama
	$(BIN)/pytest

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev nix
	$(BIN)/python -m bench

bench-plan: $(VENV)/dev
	$(BIN)/python -m bench plan

clean:
	rm -rf $(VENV) .prometheus .llama out .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml
	@bin/set-up-python $(PYTHON) $(VENV) .
	@touch $@

$(VENV)/dev: pyproject.toml $(VENV)/ready
	@bin/set-up-python $(PYTHON) $(VENV) '.[dev]'
	@touch $@

nix:
	@bin/set-up-nix

prometheus:
	@bin/set-up-prometheus .prometheus

llama: $(VENV)/dev
	@bin/set-up-llama .llama $(BIN)/pip
