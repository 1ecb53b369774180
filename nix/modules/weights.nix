# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Model files: downloaded once, at their revision, before the server that needs them starts.
*/
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib)
    attrValues
    filter
    getExe'
    listToAttrs
    mkIf
    mkMerge
    nameValuePair
    ;
  pure = import ../lib;
  servers = filter (server: server.weights != null && server.problems == [ ]) (
    attrValues config.llmflake.resolved
  );
  # Two servers may serve the same files.
  all = attrValues (listToAttrs (map (server: nameValuePair server.weights.name server.weights) servers));
  hub = getExe' pkgs.python3Packages.huggingface-hub "hf";
  touch = getExe' pkgs.coreutils "touch";
  download =
    weights:
    nameValuePair (pure.weights.unit weights) {
      description = "Download of ${weights.repository} at ${weights.revision}";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      unitConfig.ConditionPathExists = "!${pure.weights.stamp weights}";
      environment = {
        HF_HOME = "/var/cache/llm-models";
        HF_HUB_DISABLE_TELEMETRY = "1";
      };
      serviceConfig = {
        Type = "oneshot";
        ExecStart = utils.escapeSystemdExecArgs ([ hub ] ++ pure.weights.download weights);
        ExecStartPost = utils.escapeSystemdExecArgs [
          touch
          (pure.weights.stamp weights)
        ];
        User = "llm-models";
        Group = "llm-models";
        CacheDirectory = "llm-models";
        ReadWritePaths = [ weights.directory ];
        # 65 GB over a home connection takes hours.
        TimeoutStartSec = "infinity";
        Restart = "on-failure";
        RestartSec = 60;
      }
      // pure.unit.helper;
    };
in
{
  config = mkIf (all != [ ]) {
    users.users.llm-models = {
      isSystemUser = true;
      group = "llm-models";
      description = "Owner of model files";
    };
    users.groups.llm-models = { };

    systemd.tmpfiles.settings.llmflake = listToAttrs (
      map (
        weights:
        nameValuePair weights.directory {
          d = {
            user = "llm-models";
            group = "llm-models";
            mode = "0755";
          };
        }
      ) all
    );

    systemd.services = mkMerge (
      [ (listToAttrs (map download all)) ]
      ++ map (server: {
        ${server.unit} = {
          requires = [ "${pure.weights.unit server.weights}.service" ];
          after = [ "${pure.weights.unit server.weights}.service" ];
        };
      }) servers
    );
  };
}
