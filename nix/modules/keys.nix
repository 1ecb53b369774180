# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Keys of servers: made by clan, encrypted in its vars, and handed to their unit as a systemd credential. Outside a clan,
  `apiKeyFile` names the file.
*/
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib)
    filterAttrs
    mapAttrs
    mapAttrs'
    mapAttrsToList
    mkIf
    mkMerge
    mkOption
    nameValuePair
    optional
    optionalAttrs
    types
    ;
  inherit (import ../lib) health keys;
  inClan = options ? clan;
  servers = filterAttrs (name: _: config.llmflake.servers.${name}.apiKey) config.llmflake.resolved;
  byClan = filterAttrs (_: key: key.file == null) config.llmflake.keys;
  path =
    name: key:
    if key.file != null then
      key.file
    else
      config.clan.core.vars.generators.${keys.generator name}.files.${keys.file}.path;
in
{
  options.llmflake = {
    keys = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            file = mkOption {
              type = types.nullOr (types.strMatching "/.+");
              default = null;
              description = "The file on the machine that holds the key; null is the one that clan makes.";
            };
            prompted = mkOption {
              type = types.bool;
              default = false;
              description = "Whether clan asks a person for the key, because somebody else made it.";
            };
            restartUnits = mkOption {
              type = types.listOf types.str;
              default = [ ];
              description = "Units that restart when the key changed.";
            };
          };
        }
      );
      default = { };
      internal = true;
      description = "Keys that units of this machine need, by name.";
    };
    keyFiles = mkOption {
      type = types.attrsOf types.str;
      readOnly = true;
      internal = true;
      default = if inClan then mapAttrs path config.llmflake.keys else mapAttrs (_: key: toString key.file) config.llmflake.keys;
      description = "Where the keys are on the machine: for LoadCredential, and for nothing that everybody reads.";
    };
  };

  config = mkMerge [
    {
      llmflake.keys = mapAttrs (name: server: {
        file = config.llmflake.servers.${name}.apiKeyFile;
        restartUnits = [
          "${server.unit}.service"
        ]
        ++ optional (health.asked config.llmflake.servers.${name}).watchdog "${server.unit}-watchdog.service";
      }) servers;

      assertions = mapAttrsToList (name: _: {
        assertion = inClan;
        message = "llmflake.servers.${name}.apiKeyFile: no clan makes keys here; name a file on the machine that holds one";
      }) byClan;

      systemd.services = mkMerge (
        mapAttrsToList (name: server: {
          ${server.unit}.serviceConfig.LoadCredential = [ "${keys.file}:${config.llmflake.keyFiles.${name}}" ];
        }) (filterAttrs (_: server: server.problems == [ ]) servers)
      );
    }
    (optionalAttrs inClan {
      clan.core.vars.generators = mapAttrs' (
        name: key:
        nameValuePair (keys.generator name) {
          share = true;
          files.${keys.file} = {
            secret = true;
            inherit (key) restartUnits;
          };
          runtimeInputs = [ pkgs.openssl ];
          prompts = mkIf key.prompted {
            ${keys.file} = {
              description = "The key ${name}";
              type = "hidden";
            };
          };
          script =
            if key.prompted then
              ''
                cat "$prompts"/${keys.file} > "$out"/${keys.file}
              ''
            else
              ''
                openssl rand -hex 32 > "$out"/${keys.file}
              '';
        }
      ) byClan;
    })
  ];
}
