# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The servers of a machine: their options, what they come to, and what is the same for all of them.
*/
{ config, lib, ... }:
let
  inherit (lib)
    attrValues
    concatMap
    elem
    filter
    mapAttrs
    mapAttrsToList
    mkOption
    types
    ;
  pure = import ../lib;
  inherit (config.llmflake) host resolved servers;
  names = builtins.attrNames resolved;
  takeTurns =
    first: second:
    elem resolved.${second}.unit servers.${first}.conflicts
    || elem resolved.${first}.unit servers.${second}.conflicts;
  # Every pair once: the first name sorts before the second.
  clashes =
    what: value: mayShare:
    concatMap (
      first:
      map (second: {
        assertion = false;
        message = "llmflake.servers: ${first} and ${second} share ${what} ${value first}; give each its own";
      }) (filter (second: first < second && value first == value second && !mayShare first second) names)
    ) names;
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
      ) servers;
      description = "What each server comes to; see nix/lib/server.nix.";
    };
  };

  config = lib.mkIf (servers != { }) {
    assertions =
      map (message: {
        assertion = false;
        inherit message;
      }) (concatMap (server: server.problems) (attrValues resolved))
      ++ clashes "unit" (name: resolved.${name}.unit) (_: _: false)
      ++ clashes "port" (name: toString resolved.${name}.port) takeTurns;

    networking.firewall.interfaces = lib.mkMerge (
      concatMap (
        name:
        map (interface: {
          ${interface}.allowedTCPPorts = [ resolved.${name}.port ];
        }) servers.${name}.firewallInterfaces
      ) names
    );

    systemd.services = lib.mkMerge (
      mapAttrsToList (name: server: {
        ${server.unit} = {
          description = lib.mkForce "LLM server ${name} (${servers.${name}.serviceType})";
          conflicts = map (unit: "${unit}.service") servers.${name}.conflicts;
          # What stops makes room on the GPU before what starts needs it: any order does that. By name there is no circle.
          after = map (unit: "${unit}.service") (
            filter (unit: unit < server.unit) servers.${name}.conflicts
          );
          before = map (unit: "${unit}.service") (
            filter (unit: unit > server.unit) servers.${name}.conflicts
          );
          # Rebooting into a machine whose server failed five times is a fresh start; see nix/lib/unit.nix.
          unitConfig = pure.unit.startLimits;
          serviceConfig = mapAttrs (_: lib.mkForce) (pure.unit.restart // pure.unit.memory);
        };
      }) resolved
    );
  };
}
