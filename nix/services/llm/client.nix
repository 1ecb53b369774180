# Managed by llmflake: the static tier, copied unchanged into every generated flake.
settings:
{ lib, pkgs, ... }:
let
  pure = import ../../lib;
  client = pure.client.resolve settings;
  package =
    path:
    lib.attrByPath (lib.splitString "." path) (throw
      "llm client: nixpkgs has no package ${path}; correct it in extraPackages"
    ) pkgs;
in
{
  environment.systemPackages =
    map package (client.programs ++ settings.extraPackages)
    ++ lib.optional (client.python != [ ]) (
      pkgs.python3.withPackages (python: map (name: python.${name}) client.python)
    );
  environment.variables = pure.environment.forShell client.variables;
}
