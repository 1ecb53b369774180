# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The way back to Ollama, ready on the machine: a specialisation, which one command switches to and the boot menu offers.
*/
{ config, lib, ... }:
let
  inherit (lib) mapAttrs mkForce mkIf;
  pure = import ../lib;
  changes = pure.rollback.ollama {
    servers = mapAttrs (
      name: settings: settings // { inherit (config.llmflake.resolved.${name}) port; }
    ) config.llmflake.servers;
    units = mapAttrs (_: server: server.unit) config.llmflake.resolved;
  };
in
{
  config.specialisation = mkIf (changes != { }) {
    ollama.configuration.llmflake = {
      servers = mapAttrs (_: mapAttrs (_: mkForce)) changes;
      # Ollama has no metrics: what looks for those of the server that it replaces would call a working service down.
      monitoring = mapAttrs (_: mkForce) config.llmflake.monitoring.rolledBack;
    };
  };
}
