"""The generated machine, evaluated by real nixpkgs and real clan-core: it gets what the plan asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import write_flake
from tests.nix_program import ROOT, NixError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

FACTS = """machine: let c = machine.config; in {
  toplevel = c.system.build.toplevel.drvPath;
  inherit (c.boot) kernelParams;
  kernel = c.boot.kernelPackages.kernel.version;
  udev = c.services.udev.extraRules;
  inherit (c.environment) variables;
  firewall = c.networking.firewall.interfaces;
  inherit (c.networking.firewall) allowedTCPPorts;
  inherit (c) warnings;
  units = builtins.mapAttrs (_: unit: unit.text) c.systemd.units;
  containers = builtins.mapAttrs (_: container: { inherit (container) image cmd devices extraOptions volumes environment
    networks ports serviceName; }) c.virtualisation.oci-containers.containers;
  backend = c.virtualisation.oci-containers.backend;
  checks = builtins.attrNames c.system.preSwitchChecks;
}"""


@pytest.fixture(scope="session")
def aspen1_flake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flake(ROOT / "examples" / "aspen1.toml", tmp_path_factory.mktemp("aspen1"))


@pytest.fixture(scope="session")
def aspen1(flakes: Flakes, aspen1_flake: Path) -> dict[str, Any]:
    facts: dict[str, Any] = flakes.eval(aspen1_flake, "nixosConfigurations.aspen1", FACTS)
    return facts


def test_the_machine_evaluates_to_a_system(aspen1: dict[str, Any]) -> None:
    assert aspen1["toplevel"].startswith("/nix/store/")
    assert "nixos-system-aspen1" in aspen1["toplevel"]


def test_both_memory_parameters_come_from_one_size(aspen1: dict[str, Any]) -> None:
    for parameter in ("ttm.pages_limit=30146560", "amdgpu.gttsize=117760", "amd_iommu=off"):
        assert aspen1["kernelParams"].count(parameter) == 1


def test_the_kernel_is_new_enough(aspen1: dict[str, Any]) -> None:
    assert tuple(map(int, aspen1["kernel"].split("."))) >= (6, 18, 4)


def test_the_plans_udev_rules_are_there(aspen1: dict[str, Any]) -> None:
    for subject in ('SUBSYSTEM=="kfd"', 'KERNEL=="card[0-9]*"', 'KERNEL=="renderD[0-9]*"'):
        line = next(line for line in aspen1["udev"].splitlines() if subject in line)
        assert 'GROUP="render", MODE="0666"' in line


def test_the_container_serves_the_plans_flags(aspen1: dict[str, Any]) -> None:
    assert aspen1["backend"] == "podman"
    assert aspen1["containers"]["vllm"]["cmd"] == [
        *("vllm", "serve", "/var/lib/llm/models/gpt-oss-120b-derestricted"),
        *("--host", "127.0.0.1", "--port", "8000"),
        *("--served-model-name", "ArliAI/gpt-oss-120b-Derestricted"),
        *("--max-model-len", "4096", "--gpu-memory-utilization", "0.85", "--max-num-seqs", "4"),
        *("--tensor-parallel-size", "1", "--enforce-eager", "--dtype", "bfloat16"),
    ]


def test_the_container_has_the_gpu_and_the_model(aspen1: dict[str, Any]) -> None:
    container = aspen1["containers"]["vllm"]
    assert container["image"].endswith("@sha256:5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d")
    assert container["devices"] == ["/dev/kfd", "/dev/dri"]
    assert container["networks"] == ["host"]
    assert container["ports"] == []
    directory = "/var/lib/llm/models/gpt-oss-120b-derestricted"
    assert container["volumes"] == [
        "/var/lib/vllm:/var/lib/vllm",
        "/var/cache/vllm:/var/cache/vllm",
        f"{directory}:{directory}:ro",
    ]
    assert {"--group-add=26", "--group-add=303"} <= set(container["extraOptions"])


def test_the_hosts_rocm_environment_reaches_the_container_and_the_sessions(aspen1: dict[str, Any]) -> None:
    assert aspen1["containers"]["vllm"]["environment"]["HSA_ENABLE_SDMA"] == "0"
    assert aspen1["variables"]["HSA_ENABLE_SDMA"] == "0"


def test_the_server_waits_for_its_model_and_its_image(aspen1: dict[str, Any]) -> None:
    (requires,) = (line for line in aspen1["units"]["vllm.service"].splitlines() if line.startswith("Requires="))
    for unit in ("llm-model-gpt-oss-120b-derestricted.service", "llm-image-vllm.service"):
        assert unit in requires.removeprefix("Requires=").split()


def test_the_image_unit_brings_the_image_by_its_digest(aspen1: dict[str, Any]) -> None:
    (start,) = (
        line for line in aspen1["units"]["llm-image-vllm.service"].splitlines() if line.startswith("ExecStart=")
    )
    digest = "5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d"
    assert "/bin/llmflake-image" in start
    assert start.endswith(f'"vllm" "docker.io/rocm/vllm@sha256:{digest}"')


def test_the_download_finds_its_directory_again_after_llmflake_kept_removed_it(aspen1: dict[str, Any]) -> None:
    """Outside its own view of the machine, in which nothing else can be written; as tmpfiles makes it at each boot."""
    unit = aspen1["units"]["llm-model-gpt-oss-120b-derestricted.service"]
    (before,) = (line for line in unit.splitlines() if line.startswith("ExecStartPre="))
    directory = "/var/lib/llm/models/gpt-oss-120b-derestricted"
    assert before.startswith('ExecStartPre=+"/nix/store/')
    assert before.endswith(f'/bin/systemd-tmpfiles" "--create" "--prefix={directory}"')


def test_the_download_sees_little_of_the_machine(aspen1: dict[str, Any], tmp_path: Path) -> None:
    """By systemd's own measure of exposure, from 0 to 10."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on PATH; install systemd")
    unit = tmp_path / "llm-model-x.service"
    unit.write_text(aspen1["units"]["llm-model-gpt-oss-120b-derestricted.service"], encoding="utf-8")
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_token_reaches_the_download_as_a_credential(flakes: Flakes, tmp_path: Path) -> None:
    local = """{ llmflake.hubTokenFile = "/run/secrets/hub"; }"""
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path, aspen1=local)
    unit = "llm-model-gpt-oss-120b-derestricted.service"
    text = flakes.eval(flake, "nixosConfigurations.aspen1", f'machine: machine.config.systemd.units."{unit}".text')
    assert "LoadCredential=hub-token:/run/secrets/hub" in text
    assert 'Environment="HF_TOKEN_PATH=%d/hub-token"' in text


@pytest.mark.parametrize(
    ("local", "message"),
    [
        ('llmflake.hubTokenFile = "/nix/store/x";', "is in the Nix store, which everybody can read"),
        (
            'virtualisation.podman.autoPrune = { enable = true; flags = [ "--all" ]; };',
            "--all would remove the image that a rollback needs",
        ),
    ],
)
def test_what_would_give_away_a_token_or_a_rollback_is_refused(
    flakes: Flakes, tmp_path: Path, local: str, message: str
) -> None:
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path, aspen1=f"{{ {local} }}")
    with pytest.raises(NixError, match=message):
        flakes.eval(flake, "nixosConfigurations.aspen1", "machine: machine.config.system.build.toplevel.drvPath")


def test_an_image_whose_hash_is_locked_is_a_package(flakes: Flakes, tmp_path: Path) -> None:
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path)
    path = flake / "deployment.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    image = data["services"]["llm"]["settings"]["containerImage"]
    hashed = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    path.write_text(json.dumps({**data, "images": {image: {"amd64": hashed}}}), encoding="utf-8")
    found = flakes.eval(
        flake,
        "packages.x86_64-linux.image-vllm-5b0389109bb2",
        "image: { inherit (image) imageName imageDigest outputHash; }",
    )
    assert found == {"imageName": "docker.io/rocm/vllm", "imageDigest": image.split("@")[1], "outputHash": hashed}


def test_the_server_restarts_always_but_not_for_ever(aspen1: dict[str, Any]) -> None:
    unit = aspen1["units"]["vllm.service"].splitlines()
    assert [line for line in unit if line.startswith("Restart=")] == ["Restart=always"]
    assert "StartLimitBurst=5" in unit
    assert "MemoryMax=infinity" in unit
    assert not [line for line in unit if line.startswith("WatchdogSec")]


def test_no_port_of_a_server_is_open(aspen1: dict[str, Any]) -> None:
    assert [name for name, rules in aspen1["firewall"].items() if rules["allowedTCPPorts"]] == []
    assert 8000 not in aspen1["allowedTCPPorts"]


def test_clan_knows_where_to_deploy(flakes: Flakes, aspen1_flake: Path) -> None:
    deploy = flakes.eval(aspen1_flake, "clan.inventory.machines.aspen1.deploy.targetHost")
    assert deploy == "root@aspen1"


def test_a_machine_without_disks_or_keys_refuses_to_be_switched_to(aspen1: dict[str, Any]) -> None:
    assert {"llmflakeDisks", "llmflakeLogin"} <= set(aspen1["checks"])


def test_disks_and_a_key_lift_the_guard(flakes: Flakes, tmp_path: Path) -> None:
    local = """{
      fileSystems."/" = { device = "/dev/nvme0n1p2"; fsType = "ext4"; };
      users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA you" ];
    }"""
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path, aspen1=local)
    facts = flakes.eval(flake, "nixosConfigurations.aspen1", FACTS)
    assert not [name for name in facts["checks"] if name.startswith("llmflake")]
    assert facts["warnings"] == []


def test_an_old_kernel_is_refused_with_what_to_set(flakes: Flakes, tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    text = (ROOT / "examples" / "aspen1.toml").read_text(encoding="utf-8")
    spec.write_text(text.replace('minimum = "6.18.4"', 'minimum = "99.0"'), encoding="utf-8")
    flake = write_flake(spec, tmp_path / "out")
    with pytest.raises(NixError, match=r"is older than 99\.0, .*set llmflake\.host\.kernelPackage"):
        flakes.eval(flake, "nixosConfigurations.aspen1", "machine: machine.config.system.build.toplevel.drvPath")


def test_the_flake_check_of_the_machine_passes(flakes: Flakes, aspen1_flake: Path) -> None:
    flakes.check(aspen1_flake)


def test_the_lock_agrees_with_the_flake(flakes: Flakes, aspen1_flake: Path) -> None:
    locks = flakes.metadata(aspen1_flake)["locks"]["nodes"]
    assert locks["nixpkgs"]["locked"]["rev"] == "104240a772428cc2e20d8fd86c9ddbb886bbaff2"


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("clan.modules", ["llm"]),
        ("nixosModules", ["aspen1"]),
        ("overlays", ["aspen1", "default"]),
        (
            "packages.x86_64-linux",
            ["aspen1", *(f"llmflake-{name}" for name in ("fetch", "image", "kept", "ready", "watchdog"))],
        ),
        ("checks.x86_64-linux", ["machine-aspen1", "unit"]),
    ],
)
def test_the_flake_has_the_outputs_that_clan_and_others_look_for(
    flakes: Flakes, aspen1_flake: Path, output: str, names: list[str]
) -> None:
    assert flakes.eval(aspen1_flake, output, "builtins.attrNames") == names


def test_the_drop_in_module_gives_somebody_elses_machine_the_same_service(
    flakes: Flakes, aspen1_flake: Path, aspen1: dict[str, Any], tmp_path: Path
) -> None:
    """Two lines in an existing repository: an input, and an import."""
    (tmp_path / "flake.nix").write_text("""{
      inputs.nixpkgs.url = "nixpkgs";
      inputs.llm-deploy.url = "path:/llm-deploy";
      inputs.llm-deploy.inputs.nixpkgs.follows = "nixpkgs";
      outputs = inputs: { nixosConfigurations.theirs = inputs.nixpkgs.lib.nixosSystem { modules = [
        inputs.llm-deploy.nixosModules.aspen1
        { nixpkgs.hostPlatform = "x86_64-linux"; boot.loader.grub.device = "nodev"; }
        { fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; }; }
      ]; }; };
    }""")
    apply = """machine: { inherit (machine.config.virtualisation.oci-containers.containers.vllm) cmd image;
      inherit (machine.config.boot) kernelParams; toplevel = machine.config.system.build.toplevel.drvPath; }"""
    found = flakes.eval(
        tmp_path, "nixosConfigurations.theirs", apply, nixpkgs=flakes.stores["nixpkgs"], llm_deploy=aspen1_flake
    )
    assert found["cmd"] == aspen1["containers"]["vllm"]["cmd"]
    assert found["image"] == aspen1["containers"]["vllm"]["image"]
    assert {"ttm.pages_limit=30146560", "amdgpu.gttsize=117760"} <= set(found["kernelParams"])
