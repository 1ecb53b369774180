# For machines without Nix: every target does its own set-up.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SPEC ?= examples/aspen1.toml
OUT ?= out/$(basename $(notdir $(SPEC)))

.PHONY: help generate test test-gateway test-systemd-gateway lint bench bench-plan nix clean

help:
	@echo "make generate [SPEC=examples/aspen1.toml] [OUT=out/aspen1]   write a flake"
	@echo "make test      every test        make lint    ruff and mypy"
	@echo "make test-gateway   the gateway, with the real Traefik and LiteLLM (fetches 800 MB once)"
	@echo "make test-systemd-gateway   the same under a real systemd, in a booted machine"
	@echo "make bench     the benchmarks    make bench-plan   the planner against published measurements"
	@echo "make clean     remove what this made"

generate: $(VENV)/ready
	@$(BIN)/llmflake generate $(SPEC) -o $(OUT)

test: $(VENV)/dev nix
	$(BIN)/pytest

test-gateway: $(VENV)/dev nix
	@bin/set-up-llama .llama $(BIN)/pip
	@bin/set-up-gateway $(PYTHON) .gateway
	$(BIN)/pytest tests/test_gateway.py

# Boots a machine with a real systemd, by root alone.
test-systemd-gateway: $(VENV)/dev nix
	@bin/set-up-llama .llama $(BIN)/pip
	@bin/set-up-gateway $(PYTHON) .gateway
	@bin/set-up-machine .machine/debian
	LLMFLAKE_BOOT=1 $(BIN)/pytest tests/test_systemd_gateway.py

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev nix
	$(BIN)/python -m bench

bench-plan: $(VENV)/dev
	$(BIN)/python -m bench plan

clean:
	rm -rf $(VENV) .llama .gateway .machine out .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml
	@bin/set-up-python $(PYTHON) $(VENV) .
	@touch $@

$(VENV)/dev: pyproject.toml $(VENV)/ready
	@bin/set-up-python $(PYTHON) $(VENV) '.[dev]'
	@touch $@

nix:
	@bin/set-up-nix
