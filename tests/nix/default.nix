# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Every test set of this directory, by file: a new file is found by being here.
*/
let
  files = builtins.filter (name: builtins.match "test_.*\\.nix" name != null) (
    builtins.attrNames (builtins.readDir ./.)
  );
in
builtins.listToAttrs (
  map (name: {
    name = builtins.substring 5 (builtins.stringLength name - 9) name;
    value = import (./. + "/${name}") { lib = import ../../nix/lib; };
  }) files
)
