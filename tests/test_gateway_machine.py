"""The gateway on a machine, evaluated by real nixpkgs: units, keys, firewall, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import write_flake
from tests.nix_program import ROOT, NixError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

SPEC = (ROOT / "tests" / "data" / "gateway.toml").read_text(encoding="utf-8")
FACTS = """machine: let c = machine.config; in {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
  toplevel = c.system.build.toplevel.drvPath;
  units = builtins.mapAttrs (_: unit: unit.text) c.systemd.units;
  interfaces = builtins.mapAttrs (_: rules: rules.allowedTCPPorts) c.networking.firewall.interfaces;
  ports = c.networking.firewall.allowedTCPPorts;
  generators = builtins.mapAttrs (_: generator: { inherit (generator) share prompts;
    restartUnits = generator.files.api-key.restartUnits or [ ]; }) c.clan.core.vars.generators;
  traefik = c.services.traefik.enable;
  entryPoints = c.services.traefik.staticConfigOptions.entryPoints or { };
  http = c.services.traefik.dynamicConfigOptions.http;
  permitted = c.services.tailscale.permitCertUid;
  back = if c.specialisation ? ollama then { inherit (c.specialisation.ollama.configuration.services.litellm) settings;
    units = builtins.mapAttrs (_: unit: unit.text) c.specialisation.ollama.configuration.systemd.units;
    generators = builtins.attrNames c.specialisation.ollama.configuration.clan.core.vars.generators; } else null;
}"""


def evaluate(flakes: Flakes, folder: Path, text: str, local: str = "{ }") -> dict[str, Any]:
    (folder / "spec.toml").write_text(text, encoding="utf-8")
    flake = write_flake(folder / "spec.toml", folder / "flake", m=local)
    facts: dict[str, Any] = flakes.eval(flake, "nixosConfigurations.m", FACTS)
    assert facts["failed"] == []
    return facts


@pytest.fixture(scope="module")
def machine(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    text = SPEC.replace(
        'host = "llm.test"', 'host = "m.tail1.ts.net"\nexpose = ["tailscale0"]\ntls.resolver = "tailscale"'
    )
    text = text.replace('open_paths = ["/health"]', 'open_paths = ["/health"]\nrollback.ollama = ["gpt-oss:20b"]')
    return evaluate(flakes, tmp_path_factory.mktemp("machine"), text)


def test_the_firewall_opens_the_gateway_on_its_interface_alone(machine: dict[str, Any]) -> None:
    assert {name: ports for name, ports in machine["interfaces"].items() if ports} == {"tailscale0": [47443]}
    assert not set(machine["ports"]) & {47001, 47002, 47400, 47443}
    assert machine["entryPoints"] == {"llm": {"address": ":47443"}}


def test_a_tailnets_certificate_is_allowed_to_traefik(machine: dict[str, Any]) -> None:
    assert machine["permitted"] == "traefik"
    assert machine["http"]["routers"]["llm-front"]["tls"] == {"certResolver": "tailscale"}


def test_clan_makes_a_key_for_each_client_and_asks_for_the_clouds(machine: dict[str, Any]) -> None:
    made = {name: entry for name, entry in machine["generators"].items() if name.startswith("llm-key-")}
    clients = [f"llm-key-front.{name}" for name in ("ann", "bob", "cat", "dan")]
    assert sorted(made) == sorted([*clients, "llm-key-batch", "llm-key-chat", "llm-key-front.backup"])
    assert [name for name, entry in made.items() if entry["prompts"]] == ["llm-key-front.backup"]
    assert all(entry["share"] for entry in made.values())
    assert sorted(made["llm-key-batch"]["restartUnits"]) == [
        *("litellm.service", "vllm-watchdog.service", "vllm.service")
    ]


def test_keys_reach_litellm_as_credentials_and_stand_in_no_unit(machine: dict[str, Any]) -> None:
    unit = machine["units"]["litellm.service"]
    for name in ("client-ann", "backend-batch", "backend-chat", "cloud-backup"):
        assert f"LoadCredential={name}:" in unit
    assert '"llm_key_backend_batch=/run/credentials/litellm.service/backend-batch"' in unit
    environment = [line for line in unit.splitlines() if line.startswith("Environment")]
    assert not [line for line in environment if "KEY" in line.upper().split("=")[1]]


def test_rolled_back_the_gateway_asks_ollama_by_the_same_names(machine: dict[str, Any]) -> None:
    back = machine["back"]["settings"]
    (batch,) = [entry for entry in back["model_list"] if entry["model_name"] == "batch"]
    assert batch["litellm_params"]["model"] == "openai/gpt-oss:20b"
    assert batch["litellm_params"]["api_base"] == "http://127.0.0.1:47001/v1"
    assert batch["litellm_params"]["api_key"] == "no-key"
    assert back["router_settings"]["model_group_alias"] == {"gpt-oss:20b": "batch", "smollm2": "batch"}
    assert set(machine["back"]["generators"]) <= set(machine["generators"])


def test_rolled_back_the_clients_of_one_engine_keep_its_key(flakes: Flakes, tmp_path: Path) -> None:
    text = SPEC.partition("[services.chat]")[0].replace('fallback = ["chat"]\n', 'rollback.ollama = ["gpt-oss:20b"]\n')
    gateway = '[gateways.front]\nmachine = "m"\nhost = "llm.test"\n'
    facts = evaluate(flakes, tmp_path, text + gateway)
    assert "litellm.service" not in facts["units"]
    assert "LoadCredential=client-everybody:" in facts["back"]["units"]["litellm.service"]
    assert set(facts["back"]["generators"]) <= set(facts["generators"])


def test_an_existing_traefik_gets_router_and_middlewares_and_nothing_else(flakes: Flakes, tmp_path: Path) -> None:
    theirs = (
        """{ services.traefik.dynamicConfigOptions.http.routers.theirs = { rule = "Host(`x`)"; service = "y"; }; }"""
    )
    text = SPEC.replace('host = "llm.test"', 'host = "llm.test"\nproxy = "existing"\nexpose = ["tailscale0"]')
    facts = evaluate(flakes, tmp_path, text, theirs)
    assert facts["traefik"] is False
    assert not [ports for ports in facts["interfaces"].values() if ports]
    assert {"theirs", "llm-front"} <= set(facts["http"]["routers"])
    assert facts["http"]["routers"]["llm-front"]["entryPoints"] == ["websecure"]


def test_onix_cores_module_gets_its_settings(flakes: Flakes, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC, encoding="utf-8")
    found = flakes.eval(write_flake(tmp_path / "spec.toml", tmp_path / "flake"), "tailscaleTraefik.front")
    assert found["front"]["port"] == 47400
    assert found["front"]["subdomain"] == "llm"
    assert found["front"]["middlewares"][0] == "llm-front-auth"


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8"])
def test_an_attackers_litellm_is_refused(flakes: Flakes, tmp_path: Path, version: str) -> None:
    local = '{ pkgs, ... }: { services.litellm.package = pkgs.litellm // { version = "VERSION"; }; }'
    with pytest.raises(NixError, match=f"LiteLLM {version} was published by an attacker"):
        evaluate(flakes, tmp_path, SPEC, local.replace("VERSION", version))
