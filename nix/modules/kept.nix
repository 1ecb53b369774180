# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  What this system uses of models and images, and the program that tells and removes what no system uses any more.
*/
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    any
    attrValues
    filter
    getExe
    mkIf
    ;
  pure = import ../lib;
  programs = import ../programs pkgs;
  servers = filter (server: server.problems == [ ]) (attrValues config.llmflake.resolved);
  inherit (config.virtualisation) oci-containers;
in
{
  config = mkIf (config.llmflake.servers != { }) {
    environment.systemPackages = [ programs.kept ];
    environment.etc."llmflake/uses.json".text = builtins.toJSON (
      pure.kept.uses {
        inherit servers;
        runtime =
          if any (server: server.image != null) servers then
            getExe config.virtualisation.${oci-containers.backend}.package
          else
            null;
      }
    );
  };
}
