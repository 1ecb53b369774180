"""The generated flake as {path: text}: pure, the same bytes for the same spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generator import resources
from generator.emit import inputs
from generator.emit.data import deployment_json, host_data
from generator.emit.nix_text import Code, Commented, Dotted, print_nix
from generator.emit.runbook import runbook

if TYPE_CHECKING:
    from generator.spec.load import Spec
    from generator.spec.model import Machine

_MARKER = "Managed by llmflake: generated; change the spec and generate again."
LOCK = "flake.lock"
PINS = "llmflake.lock.toml"


def render(spec: Spec, existing_lock: str | None) -> dict[str, str]:
    """Return every file of the flake for a spec, by path; ``existing_lock`` is the text of the lock that is there.

    Raises OutputError when that lock cannot be read.
    """
    strix_halo = any(service.package == "nix-strix-halo" for service in spec.deployment.services.values()) or (
        spec.deployment.monitoring is not None and spec.deployment.monitoring.smu_exporter
    )
    names = inputs.input_names(strix_halo=strix_halo)
    files = {
        "flake.nix": _flake(spec, names),
        LOCK: inputs.lock_text(inputs.lock(names, spec.pins.inputs), existing_lock, LOCK, spec.pins.inputs),
        **({} if spec.pins.text is None else {PINS: spec.pins.text}),
        "deployment.json": deployment_json(spec),
        "RUNBOOK.md": runbook(spec),
        **{
            f"machines/{machine.name}/configuration.nix": _configuration(machine)
            for machine in spec.deployment.machines.values()
        },
        **resources.static_files(),
    }
    return dict(sorted(files.items()))


def _document(head: list[str], value: object) -> str:
    return "".join(f"# {line}\n" for line in head) + print_nix(value) + "\n"


def _flake(spec: Spec, names: list[str]) -> str:
    description = spec.deployment.clan.description or f"Language models of the clan {spec.deployment.clan.name}"
    caches = inputs.caches(names)
    outputs = "inputs:\nimport ./nix/flake {\n  inherit inputs;\n  root = ./.;\n}"
    return _document(
        [_MARKER],
        {
            "description": description,
            **({"nixConfig": Commented(caches, "Prebuilt packages; Nix asks before it uses them.")} if caches else {}),
            "inputs": Commented(Dotted(inputs.declarations(names))),
            "outputs": Commented(Code(outputs)),
        },
    )


def _configuration(machine: Machine) -> str:
    host = host_data(machine)
    commented: dict[str, Any] = {"tune": True, **host}
    if machine.gtt_mib is not None:
        commented["gttMiB"] = Commented(host["gttMiB"], f"ttm.pages_limit = {machine.gtt_mib * 256} pages of 4 KiB")
    body: dict[str, Any] = {
        "imports": [Code("import ../../nix/modules/machine.nix ./.")],
        "nixpkgs": Commented({"hostPlatform": machine.system}),
    }
    if machine.state_version is not None:
        body["system"] = {"stateVersion": machine.state_version}
    if machine.ssh_keys:
        body["users"] = {"users": {"root": {"openssh": {"authorizedKeys": {"keys": list(machine.ssh_keys)}}}}}
    body["llmflake"] = Commented({"host": commented})
    head = [_MARKER, f"What is yours goes into machines/{machine.name}/local.nix, which llmflake never writes."]
    return _document(head, Dotted(body))
