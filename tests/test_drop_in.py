"""The generated flake in its first user's own repository, as that stood in January 2026: two lines, or one instance."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import write_flake
from tests.nix_program import ROOT, inputs_folder
from tests.test_plan_instances import plan_block

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

CLAN_INPUTS = ("disko", "flake-parts", "sops-nix", "systems", "treefmt-nix", "nix-select", "data-mesher", "nix-darwin")
# For inputs of theirs that have nothing to do with aspen1's server.
STAND_IN = "{ outputs = _: { nixosModules.default = { }; wrapperModules = { }; }; }"
FACTS = """machine: let c = machine.config; in {
  container = { inherit (c.virtualisation.oci-containers.containers.vllm) cmd image devices environment; };
  unit = c.systemd.units."vllm.service".text;
  inherit (c.boot) kernelParams;
  inherit (c.networking.firewall) allowedTCPPorts;
  variables = c.environment.variables;
}"""


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a copy of their repository, without what today's nixpkgs and the public clan-core do not have."""
    source = inputs_folder() / "onix-core-2026-01"
    if not source.is_dir():
        pytest.skip(f"no onix-core at {source}; put a checkout of its commit bc416fb5 there, or set LLMFLAKE_INPUTS")
    shutil.copytree(source, tmp_path / "theirs", copy_function=shutil.copyfile)
    repository = tmp_path / "theirs"
    # Users come from a service of their clan-core fork.
    (repository / "inventory" / "core" / "roster.nix").write_text("_: { instances = { }; }", encoding="utf-8")
    # services.radicle has other options now.
    machine = repository / "machines" / "aspen1" / "configuration.nix"
    text = machine.read_text(encoding="utf-8")
    start, end = text.index("    # Radicle - Decentralized"), text.index("  # Generate SSH keys for Radicle")
    machine.write_text(f"{text[:start]}  }};\n\n{text[end:]}", encoding="utf-8")
    edit(repository / "flake.nix", "  inputs = {\n", '  inputs = {\n    llm-deploy.url = "path:/llm-deploy";\n')
    return repository


def evaluate(flakes: Flakes, repository: Path) -> dict[str, Any]:
    """Evaluate aspen1 of their repository."""
    stand_in = repository.parent / "stand-in"
    stand_in.mkdir()
    (stand_in / "flake.nix").write_text(STAND_IN, encoding="utf-8")
    deploy = write_flake(ROOT / "examples" / "aspen1.toml", repository.parent / "llm-deploy")
    stores = flakes.stores
    lock = json.loads((repository / "flake.lock").read_text(encoding="utf-8"))
    inputs: dict[str, Path | str] = {name: stores.get(name, stand_in) for name in lock["nodes"]["root"]["inputs"]}
    inputs["llm-deploy"] = deploy
    inputs["flake-parts/nixpkgs-lib"] = stores["nixpkgs"]
    for flake in ("clan-core", "llm-deploy"):
        inputs.update({f"{flake}/{name}": stores[name] for name in (*CLAN_INPUTS, "nixpkgs")})
        inputs.update({f"{flake}/{name}/nixpkgs": stores["nixpkgs"] for name in ("disko", "sops-nix", "treefmt-nix")})
        inputs[f"{flake}/flake-parts/nixpkgs-lib"] = stores["nixpkgs"]
    inputs["llm-deploy/clan-core"] = stores["clan-core"]
    # The dot in front: their packages, among which Nix would look first, need more inputs.
    facts: dict[str, Any] = flakes.eval(repository, ".nixosConfigurations.aspen1", FACTS, **inputs)
    return facts


def test_two_lines_give_their_machine_the_service(flakes: Flakes, theirs: Path) -> None:
    machine = theirs / "machines" / "aspen1" / "configuration.nix"
    edit(
        machine,
        "{ config, pkgs, ... }:\n{\n",
        ("{ config, inputs, pkgs, ... }:\n{\n  imports = [ inputs.llm-deploy.nixosModules.aspen1 ];\n"),
    )
    facts = evaluate(flakes, theirs)
    assert facts["container"]["cmd"] == [
        *("vllm", "serve", "/var/lib/llm/models/gpt-oss-120b-derestricted"),
        *("--host", "127.0.0.1", "--port", "8000"),
        *("--served-model-name", "ArliAI/gpt-oss-120b-Derestricted"),
        *("--max-model-len", "4096", "--gpu-memory-utilization", "0.85", "--max-num-seqs", "4"),
        *("--tensor-parallel-size", "1", "--enforce-eager", "--dtype", "bfloat16"),
    ]
    assert {"ttm.pages_limit=30146560", "amdgpu.gttsize=117760", "amd_iommu=off"} <= set(facts["kernelParams"])
    assert facts["variables"]["HSA_ENABLE_SDMA"] == "0"
    assert "WantedBy=multi-user.target" in facts["unit"]
    assert 8000 not in facts["allowedTCPPorts"]


def test_the_plans_option_a_runs_with_our_module_in_the_place_of_theirs(flakes: Flakes, theirs: Path) -> None:
    modules = theirs / "modules" / "default.nix"
    edit(modules, '"llm" = import ./llm;', '"llm" = inputs.llm-deploy.clan.modules.llm;')
    edit(modules, "_:\nlet", "{ inputs, ... }:\nlet")
    (theirs / "inventory" / "services" / "llm.nix").write_text(f"_:\n{plan_block('A')}", encoding="utf-8")
    facts = evaluate(flakes, theirs)
    assert facts["container"]["cmd"] == [
        *("vllm", "serve", "ArliAI/gpt-oss-120b-Derestricted", "--host", "0.0.0.0", "--port", "8000"),  # noqa: S104
        *("--max-model-len", "4096", "--gpu-memory-utilization", "0.85", "--max-num-seqs", "4"),
        *("--tensor-parallel-size", "1", "--enforce-eager"),
    ]
    assert facts["container"]["devices"] == ["/dev/kfd", "/dev/dri"]
    assert 8000 not in facts["allowedTCPPorts"]
