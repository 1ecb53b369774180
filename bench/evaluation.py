"""How long Nix takes for aspen1's server unit: the generated flake, against the owner's own module of January 2026."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure
from generator.emit import inputs
from generator.emit.nix_text import Dotted, print_nix
from tests import nix_program
from tests.conftest import write_flake
from tests.test_plan_instances import plan_block

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNS = 5
_GOAL = 1.1
# The owner's clan of January 2026 around the owner's own module, on the same nixpkgs and clan-core.
_THEIRS = """{
@INPUTS@
  outputs = inputs: let clan = inputs.clan-core.lib.clan {
    inherit (inputs) self;
    meta.name = "onix";
    modules.llm = import ./llm;
    inventory.machines.aspen1.tags = [ "llm" ];
    inventory.instances = (import ./instances.nix).instances;
    machines.aspen1 = {
      nixpkgs.hostPlatform = "x86_64-linux";
      # nixpkgs refuses this vLLM unless it is permitted by name.
      nixpkgs.config.permittedInsecurePackages = [ "vllm-0.16.0" "python3.13-vllm-0.16.0" ];
    };
  }; in { inherit (clan.config) nixosConfigurations; };
}"""
_UNIT = 'nixosConfigurations.aspen1.config.systemd.units."vllm.service".text'


def run() -> Iterator[str]:
    """Yield the ratio of two whole ``nix eval`` processes, without Nix's evaluation cache."""
    nix = nix_program.find_nix()
    folder = nix_program.inputs_folder()
    module = folder / "onix-core-2026-01" / "modules" / "llm"
    if nix is None or not nix_program.reads_nixpkgs(nix):
        yield f"evaluation: not measured: {nix_program.NEED_NIX if nix is None else nix_program.NEED_FLAKES}"
        return
    if not module.is_dir() or not (folder / "nixpkgs").is_dir():
        yield f"evaluation: not measured: {nix_program.NEED_INPUTS.format(folder)}; and onix-core-2026-01"
        return
    stores = {path.name: nix_program.add_to_store(nix, path) for path in sorted(folder.iterdir())}
    flakes = nix_program.Flakes(nix, stores)
    root = nix_program.ROOT
    with tempfile.TemporaryDirectory() as temporary:
        ours = write_flake(root / "examples" / "aspen1.toml", Path(temporary, "ours"))
        theirs = Path(temporary, "theirs")
        shutil.copytree(module, theirs / "llm")
        declared = print_nix(Dotted(inputs.declarations(inputs.input_names(strix_halo=False))))
        (theirs / "flake.nix").write_text(_THEIRS.replace("@INPUTS@", f"inputs = {declared};"), encoding="utf-8")
        (theirs / "instances.nix").write_text(plan_block("A"), encoding="utf-8")
        # The same inputs and the same lock: what differs is the module.
        (theirs / "flake.lock").write_text((ours / "flake.lock").read_text(encoding="utf-8"), encoding="utf-8")
        first, second = measure.medians(flakes.eval_command(ours, _UNIT), flakes.eval_command(theirs, _UNIT), _RUNS)
    detail = f"generated {first:.2f} s, hand-written {second:.2f} s, median of {_RUNS}"
    yield measure.verdict("evaluation", first / second, _GOAL, detail)
