# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The servers of a machine: their options, what they come to, and what is the same for all of them.
*/
{ config, lib, ... }:
let
  inherit (lib)
    attrValues
    concatMap
    filter
    groupBy
    mapAttrs
    mapAttrsToList
    mkOption
    types
    ;
  pure = import ../lib;
  host = config.llmflake.host;
  resolved = config.llmflake.resolved;
  clashes =
    what: servers:
    concatMap (
      group:
      lib.optional (lib.length group > 1) {
        assertion = false;
        message = "llmflake.servers: ${lib.concatMapStringsSep " and " (entry: entry.name) group} share ${what} ${(lib.head group).value}; give each its own";
      }
    ) (attrValues (groupBy (entry: entry.value) servers));
in
{
  options.llmflake = {
    servers = mkOption {
      type = types.attrsOf (types.submodule {
        options = (import ../services/llm/options.nix { inherit lib; }).server;
      });
      default = { };
      description = "Inference servers of this machine, by name.";
    };
    resolved = mkOption {
      type = types.attrsOf types.raw;
      internal = true;
      readOnly = true;
      default = mapAttrs (
        name: settings:
        pure.server.resolve {
          inherit name settings;
          inherit (host) hardware;
          hostEnvironment = host.environment;
        }
      ) config.llmflake.servers;
      description = "What each server comes to; see nix/lib/server.nix.";
    };
  };

  config = lib.mkIf (config.llmflake.servers != { }) {
    assertions =
      map (message: {
        assertion = false;
        inherit message;
      }) (concatMap (server: server.problems) (attrValues resolved))
      ++ clashes "unit" (
        mapAttrsToList (name: server: {
          inherit name;
          value = server.unit;
        }) resolved
      )
      ++ clashes "port" (
        mapAttrsToList (name: server: {
          inherit name;
          value = toString server.port;
        }) resolved
      );

    networking.firewall.interfaces = lib.mkMerge (
      concatMap (
        name:
        map (interface: {
          ${interface}.allowedTCPPorts = [ resolved.${name}.port ];
        }) config.llmflake.servers.${name}.firewallInterfaces
      ) (builtins.attrNames resolved)
    );

    systemd.services = lib.mkMerge (
      mapAttrsToList (name: server: {
        ${server.unit} = {
          description = lib.mkForce "LLM server ${name} (${config.llmflake.servers.${name}.serviceType})";
          conflicts = map (unit: "${unit}.service") config.llmflake.servers.${name}.conflicts;
          # Rebooting into a machine whose server failed five times is a fresh start; see nix/lib/unit.nix.
          unitConfig = pure.unit.startLimits;
          serviceConfig = mapAttrs (_: lib.mkForce) pure.unit.restart;
        };
      }) resolved
    );
  };
}
