# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The checks of a generated flake: evaluation decides them, so `nix flake check` builds next to nothing.

  Type: { lib, deployment, pkgs, machines } -> attrs of derivation
*/
{
  lib,
  deployment,
  pkgs,
  machines,
}:
let
  pure = import ../lib;
  failures = (import ./run-tests.nix) (import ../../tests/nix);
  passed = name: text: pkgs.runCommandLocal name { inherit text; } "printf '%s\\n' \"$text\" > $out";
in
{
  unit =
    if failures == [ ] then
      passed "llmflake-unit-checks" "every unit check passed"
    else
      throw "llmflake: unit checks failed: ${lib.concatMapStringsSep ", " (failure: failure.name) failures}";
}
// lib.mapAttrs' (name: machine: {
  name = "machine-${name}";
  value =
    let
      units = map (server: server.unit) (lib.attrValues machine.llmflake.resolved);
      wanted = lib.attrNames (pure.deployment.serversOn deployment name);
      present = lib.attrNames machine.llmflake.servers;
    in
    if lib.subtractLists present wanted != [ ] then
      throw "llmflake: machine ${name} lacks the servers ${toString (lib.subtractLists present wanted)}"
    else
      # The path is text here, so that the check evaluates the whole system and builds none of it.
      passed "llmflake-machine-${name}" (
        toString units + " " + builtins.unsafeDiscardStringContext machine.system.build.toplevel.drvPath
      );
}) machines
