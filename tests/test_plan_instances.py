"""The plan's own clan instances, Options A and B, word for word: each yields a server that starts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import write_flake
from tests.nix_program import ROOT, NixError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

CLAN_INPUTS = ["nixpkgs", "disko", "flake-parts", "sops-nix", "systems", "treefmt-nix", "nix-select"]
CLAN_INPUTS += ["data-mesher", "nix-darwin"]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the plan says
COMMON = "--max-model-len 4096 --gpu-memory-utilization 0.85 --max-num-seqs 4"
# The owner's existing clan: its own machines, and the module as one of its own.
CLAN = """{
  inputs.nixpkgs.url = "nixpkgs";
  inputs.clan-core.url = "path:/clan-core";
  inputs.llm-deploy.url = "path:/llm-deploy";
%s
  outputs = inputs: let
    clan = inputs.clan-core.lib.clan {
      inherit (inputs) self;
      meta.name = "onix";
      modules.llm = inputs.llm-deploy.clan.modules.llm;
      inventory.machines.aspen1.tags = [ "llm" ];
      inventory.instances = (import ./instances.nix%s).instances;
      machines.aspen1 = {
        nixpkgs.hostPlatform = "x86_64-linux";
        boot.loader.grub.device = "nodev";
        fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; };
        %s
      };
    };
  in { clan = clan.config; inherit (clan.config) nixosConfigurations; };
}"""
FACTS = """machine: let c = machine.config; in {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
  containers = builtins.mapAttrs (_: container: {
    inherit (container) image cmd environment serviceName autoStart devices;
  }) c.virtualisation.oci-containers.containers;
  units = builtins.mapAttrs (_: unit: unit.text) c.systemd.units;
  ports = c.networking.firewall.allowedTCPPorts;
  interfaces = builtins.mapAttrs (_: rules: rules.allowedTCPPorts) c.networking.firewall.interfaces;
  packages = map (package: package.name or (toString package)) c.environment.systemPackages;
  inherit (c.environment) variables;
  toplevel = c.system.build.toplevel.drvPath;
}"""


def plan_block(option: str) -> str:
    """Return the Nix of an option of the plan, as it stands there."""
    plan = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    found = re.search(rf"### Option {option}:.*?```nix\n(.*?)```", plan, re.DOTALL)
    assert found
    return found[1]


def evaluate(flakes: Flakes, folder: Path, instances: str, machine: str = "") -> dict[str, Any]:
    """Evaluate the owner's clan with these instances."""
    deploy = write_flake(ROOT / "examples" / "aspen1.toml", folder / "llm-deploy")
    clan = folder / "clan"
    clan.mkdir()
    follows = [f'  inputs.{name}.follows = "llm-deploy/{name}";' for name in CLAN_INPUTS[1:]]
    follows += [f'  inputs.clan-core.inputs.{name}.follows = "{name}";' for name in CLAN_INPUTS]
    follows += [f'  inputs.llm-deploy.inputs.{name}.follows = "{name}";' for name in ("nixpkgs", "clan-core")]
    is_function = instances.lstrip().startswith("_:")
    (clan / "flake.nix").write_text(
        CLAN % ("\n".join(follows), " { }" if is_function else "", machine), encoding="utf-8"
    )
    (clan / "instances.nix").write_text(instances, encoding="utf-8")
    replaced = {f"llm_deploy/{name}": flakes.stores[name] for name in CLAN_INPUTS[1:]}
    facts: dict[str, Any] = flakes.eval(
        clan,
        "nixosConfigurations.aspen1",
        FACTS,
        nixpkgs=flakes.stores["nixpkgs"],
        clan_core=flakes.stores["clan-core"],
        llm_deploy=deploy,
        **replaced,
    )
    return facts


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("A", f"{COMMON} --tensor-parallel-size 1 --enforce-eager"),
        ("B", f"{COMMON} --enforce-eager --dtype bfloat16"),
    ],
)
def test_the_plans_instance_yields_its_server(flakes: Flakes, tmp_path: Path, option: str, arguments: str) -> None:
    facts = evaluate(flakes, tmp_path, plan_block(option))
    assert facts["failed"] == []
    container = facts["containers"]["vllm"]
    assert container["cmd"] == [
        *("vllm", "serve", "ArliAI/gpt-oss-120b-Derestricted", "--host", EVERYWHERE, "--port", "8000"),
        *arguments.split(),
    ]
    assert container["serviceName"] == "vllm"
    assert "WantedBy=multi-user.target" in facts["units"]["vllm.service"]
    assert 8000 not in facts["ports"]


OWNERS = """_: {{ instances."llm" = {{ module.name = "llm"; module.input = "self";
  roles.server = {{ tags."llm" = {{ }}; settings = {{ {settings} }}; }}; {more} }}; }}"""


def test_ollama_serves_with_its_models(flakes: Flakes, tmp_path: Path) -> None:
    settings = 'serviceType = "ollama"; port = 11434; host = "0.0.0.0"; models = [ "llama3.2:3b" ]; model = null;'
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=""))
    assert facts["failed"] == []
    assert 'Environment="OLLAMA_HOST=0.0.0.0:11434"' in facts["units"]["ollama.service"]
    assert "ollama-model-loader.service" in facts["units"]


def test_llama_cpp_serves_natively_with_words_kept_apart(flakes: Flakes, tmp_path: Path) -> None:
    settings = (
        'serviceType = "llamacpp"; model = "/srv/a model.gguf"; extraArgs = [ "--seed" "7; reboot" ]; '
        'llamacpp.ctxSize = 4096; firewallInterfaces = [ "tailscale0" ];'
    )
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=""))
    assert facts["failed"] == []
    start = next(line for line in facts["units"]["llama-cpp.service"].splitlines() if line.startswith("ExecStart="))
    assert '"--model" "/srv/a model.gguf"' in start
    assert start.endswith('"--seed" "7; reboot"')
    assert facts["interfaces"]["tailscale0"] == [8080]
    assert 8080 not in facts["ports"]


def test_an_openai_compatible_container_is_published_where_asked(flakes: Flakes, tmp_path: Path) -> None:
    image = "a/b@sha256:" + "0" * 64
    settings = f'serviceType = "openai-compatible"; containerImage = "{image}"; containerPort = 9000; port = 8123;'
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=""))
    assert facts["failed"] == []
    assert facts["containers"]["llm"]["image"] == image


def test_autostart_false_means_that_it_does_not_start(flakes: Flakes, tmp_path: Path) -> None:
    settings = 'serviceType = "vllm"; model = "a/b"; autoStart = false;'
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=""))
    assert "WantedBy" not in facts["units"]["vllm.service"]
    assert facts["containers"]["vllm"]["autoStart"] is False


def test_the_environment_arrives_literally(flakes: Flakes, tmp_path: Path) -> None:
    settings = r"""serviceType = "vllm"; model = "a/b"; extraEnv.A = "\${x} \"q\" 'q' \$y\nsecond";"""
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=""))
    assert facts["containers"]["vllm"]["environment"]["A"] == "${x} \"q\" 'q' $y\nsecond"


def test_a_client_finds_its_server(flakes: Flakes, tmp_path: Path) -> None:
    client = """roles.client = { tags."llm" = { }; settings = { clientType = "curl";
      defaultServer = "http://aspen1:8000/v1"; extraPackages = [ "jq" "python3Packages.tiktoken" ]; }; };"""
    settings = 'serviceType = "vllm"; model = "a/b";'
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=client))
    assert facts["variables"]["OPENAI_BASE_URL"] == "http://aspen1:8000/v1"
    names = " ".join(facts["packages"])
    assert "curl" in names
    assert "tiktoken" in names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('serviceType = "vllm"; model = "a/b"; containerImage = "rocm/vllm:latest";', "not pinned by digest"),
        ('serviceType = "vllm";', "no model: set `model`"),
        ('serviceType = "vllm"; model = "a/b"; extraArgs = [ "--port" "1" ];', "--port is given twice"),
        (
            (
                'serviceType = "openai-compatible"; containerPort = 1; host = "0.0.0.0"; '
                f'containerImage = "a/b@sha256:{"0" * 64}";'
            ),
            "bypasses the firewall",
        ),
    ],
)
def test_what_cannot_work_is_an_assertion_that_says_what_to_do(
    flakes: Flakes, tmp_path: Path, settings: str, message: str
) -> None:
    instances = OWNERS.format(settings=settings, more="")
    with pytest.raises(NixError, match=re.escape(message)):
        evaluate(flakes, tmp_path, instances)


def test_ollama_with_autostart_false_stays_down_with_its_downloads(flakes: Flakes, tmp_path: Path) -> None:
    settings = 'serviceType = "ollama"; models = [ "llama3.2:3b" ]; autoStart = false;'
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=""))
    assert facts["failed"] == []
    assert "WantedBy" not in facts["units"]["ollama.service"]
    assert "WantedBy=ollama.service" in facts["units"]["ollama-model-loader.service"]


def test_two_servers_that_take_turns_may_share_a_port(flakes: Flakes, tmp_path: Path) -> None:
    first = 'serviceType = "llamacpp"; model = "/m.gguf"; port = 8080;'
    more = """}; instances."other" = { module.name = "llm"; module.input = "self"; roles.server = { tags."llm" = { };
      settings = { serviceType = "vllm"; model = "a/b"; port = 8080; %s }; };"""
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=first, more=more % 'conflicts = [ "llama-cpp" ];'))
    assert facts["failed"] == []
    assert "Conflicts=llama-cpp.service" in facts["units"]["vllm.service"]


def test_two_servers_on_one_port_are_refused(flakes: Flakes, tmp_path: Path) -> None:
    first = 'serviceType = "llamacpp"; model = "/m.gguf"; port = 8080;'
    more = """}; instances."other" = { module.name = "llm"; module.input = "self"; roles.server = { tags."llm" = { };
      settings = { serviceType = "vllm"; model = "a/b"; port = 8080; }; };"""
    with pytest.raises(NixError, match="llm and other share port 8080"):
        evaluate(flakes, tmp_path, OWNERS.format(settings=first, more=more))


def test_an_nvidia_container_gets_the_gpu_through_the_toolkit(flakes: Flakes, tmp_path: Path) -> None:
    image = "a/b@sha256:" + "0" * 64
    settings = f'serviceType = "vllm"; model = "a/b"; containerImage = "{image}";'
    machine = 'llmflake.host = { tune = true; hardware = { accelerator = "cuda"; target = "sm_89"; }; };'
    facts = evaluate(flakes, tmp_path, OWNERS.format(settings=settings, more=""), machine)
    assert facts["failed"] == []
    assert facts["containers"]["vllm"]["devices"] == ["nvidia.com/gpu=all"]
    assert "HSA_ENABLE_SDMA" not in facts["containers"]["vllm"]["environment"]
