"""nix/overlays/vllm.nix: vLLM for gpt-oss on gfx1151, from nixpkgs or nix-strix-halo; no release that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import write_flake
from tests.nix_program import ROOT, NixError, inputs_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

# nixpkgs of July 2026 has vLLM 0.16.0, which has known vulnerabilities: its user must permit it by name.
PERMIT = '{ nixpkgs.config.permittedInsecurePackages = [ "vllm-0.16.0" "python3.13-vllm-0.16.0" ]; }'


def native_spec(tmp_path: Path, *, package: str, version: str | None) -> Path:
    text = (ROOT / "examples" / "vllm-native.toml").read_text(encoding="utf-8")
    text = text.replace('package = "nix-strix-halo"', f'package = "{package}"')
    text = text.replace('version = "0.25.1"\n', f'version = "{version}"\n' if version else "")
    path = tmp_path / "spec.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nixpkgs_builds_vllm_for_rocm_and_the_machines_gpu(flakes: Flakes, tmp_path: Path) -> None:
    flake = write_flake(native_spec(tmp_path, package="nixpkgs", version=None), tmp_path / "out", aspen1=PERMIT)
    apply = """machine: { inherit (machine.pkgs.vllm) drvPath version;
      start = machine.config.systemd.services.vllm.serviceConfig.ExecStart;
      targets = machine.pkgs.vllm.env.PYTORCH_ROCM_ARCH or machine.pkgs.vllm.PYTORCH_ROCM_ARCH or null; }"""
    found = flakes.eval(flake, "nixosConfigurations.aspen1", apply)
    assert found["drvPath"].endswith(".drv")
    assert found["targets"] == "gfx1151"
    assert f"vllm-{found['version']}/bin/vllm" in found["start"]


def test_a_vllm_with_known_vulnerabilities_is_not_built_unasked(flakes: Flakes, tmp_path: Path) -> None:
    flake = write_flake(native_spec(tmp_path, package="nixpkgs", version=None), tmp_path / "out")
    with pytest.raises(NixError, match="insecure"):
        flakes.eval(flake, "nixosConfigurations.aspen1", "machine: machine.config.system.build.toplevel.drvPath")


def test_nix_strix_halo_has_the_package_that_the_overlay_takes() -> None:
    flake = inputs_folder() / "nix-strix-halo" / "flake.nix"
    if not flake.exists():
        pytest.skip(f"no nix-strix-halo at {flake.parent}; put a checkout there, or set LLMFLAKE_INPUTS")
    assert "packages.${system}.vllm-rocm" in flake.read_text(encoding="utf-8")


def test_a_release_without_kernels_for_the_gpu_throws_and_names_a_good_one(flakes: Flakes, tmp_path: Path) -> None:
    """The generator refuses it earlier; this is for who sets the option by hand."""
    local = '{ lib, ... }: { llmflake.servers.llm-gptoss.engineVersion = lib.mkForce "0.20.0"; }'
    flake = write_flake(native_spec(tmp_path, package="nixpkgs", version=None), tmp_path / "out", aspen1=local)
    with pytest.raises(NixError, match=r"vLLM 0\.20\.0 does not work with mxfp4 weights on gfx1151.*use vLLM 0\.23\.0"):
        flakes.eval(flake, "nixosConfigurations.aspen1", "machine: machine.config.system.build.toplevel.drvPath")


def test_the_binary_cache_is_named_where_people_look() -> None:
    for path in ("nix/overlays/vllm.nix", "nix/services/llm/options.nix", "schema/deployment.schema.json"):
        assert "https://cache.hellas.ai" in (ROOT / path).read_text(encoding="utf-8")
