# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Model files: downloaded and checked, at their revision, before the server that needs them starts.
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
    getExe
    hasPrefix
    listToAttrs
    mkIf
    mkMerge
    mkOption
    nameValuePair
    types
    ;
  pure = import ../lib;
  programs = import ../programs pkgs;
  tokenFile = config.llmflake.hubTokenFile;
  servers = filter (server: server.weights != null && server.problems == [ ]) (
    attrValues config.llmflake.resolved
  );
  # Two servers may serve the same files.
  all = attrValues (listToAttrs (map (server: nameValuePair server.weights.name server.weights) servers));
  manifest =
    weights:
    builtins.toFile "${pure.weights.unit weights}.json" (builtins.toJSON (pure.weights.manifest weights));
  download =
    weights:
    nameValuePair (pure.weights.unit weights) {
      description = "Files of ${weights.repository} at ${weights.revision}";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      environment = pure.weights.environment { inherit tokenFile; };
      serviceConfig =
        pure.weights.service {
          inherit (weights) directory;
          inherit tokenFile;
        }
        // {
          # llmflake-kept may have removed the directory since tmpfiles made it.
          ExecStartPre = "+${
            utils.escapeSystemdExecArgs [
              "${config.systemd.package}/bin/systemd-tmpfiles"
              "--create"
              "--prefix=${weights.directory}"
            ]
          }";
          ExecStart = utils.escapeSystemdExecArgs [
            (getExe programs.fetch)
            "${manifest weights}"
          ];
        };
    };
in
{
  options.llmflake.hubTokenFile = mkOption {
    type = types.nullOr (types.strMatching "/.+");
    default = null;
    example = "/run/secrets/hub-token";
    description = ''
      A file on the machine that holds a token for private model repositories. It is handed to the downloads as a systemd
      credential: it is in no argument, environment or log, and must not be in the Nix store.
    '';
  };

  config = mkIf (all != [ ]) {
    assertions = [
      {
        assertion = tokenFile == null || !hasPrefix builtins.storeDir tokenFile;
        message = "llmflake.hubTokenFile: ${toString tokenFile} is in the Nix store, which everybody can read; give a path outside it, as a string";
      }
    ];

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
