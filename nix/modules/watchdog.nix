# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Readiness and watchdogs: a server counts as started when it answered, and is restarted when it hangs.
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
    any
    attrNames
    concatLists
    filter
    getExe
    mapAttrs
    mapAttrsToList
    mkForce
    mkIf
    mkMerge
    optionalAttrs
    unique
    ;
  pure = import ../lib;
  programs = import ../programs pkgs;
  settingsOf = name: config.llmflake.servers.${name};
  servers = lib.filterAttrs (_: server: server.problems == [ ]) config.llmflake.resolved;
  asked = mapAttrs (name: _: pure.health.asked (settingsOf name)) servers;
  watched = filter (name: asked.${name}.watchdog) (attrNames servers);
  keyFile =
    name:
    let
      given = (settingsOf name).health.keyFile;
    in
    if given != null then given else config.llmflake.keyFiles.${name} or null;
  settingsFile =
    name:
    pkgs.writeText "llm-health-${name}.json" (builtins.toJSON servers.${name}.health);
  credential = file: optionalAttrs (file != null) { LoadCredential = [ "llm-key:${file}" ]; };

  readiness =
    name: server:
    let
      inherit (settingsOf name) health;
    in
    {
      ${server.unit} = mkIf asked.${name}.readiness {
        unitConfig = mapAttrs (_: mkForce) (pure.health.startLimits health.startLimit);
        serviceConfig = {
          ExecStartPost = [
            (utils.escapeSystemdExecArgs [
              (getExe programs.ready)
              (settingsFile name)
            ])
          ];
          # llmflake-ready ends by itself at the start limit. Before it a container's image may have to be fetched.
          TimeoutStartSec = mkForce "infinity";
          # llmflake-ready says in `systemctl status` what it waits for.
          NotifyAccess = mkForce "all";
        }
        // credential (keyFile name);
      };
    };

  watchdog =
    name:
    let
      server = servers.${name};
    in
    {
      "${server.unit}-watchdog" = {
        description = "Watchdog of the LLM server ${name}";
        wantedBy = [ "multi-user.target" ];
        after = [
          "network.target"
          "polkit.service"
        ];
        serviceConfig =
          pure.watchdog.service {
            keyFile = keyFile name;
            inherit (server) host;
          }
          // {
            ExecStart = utils.escapeSystemdExecArgs [
              (getExe programs.watchdog)
              (settingsFile name)
            ];
          };
      };
    };
in
{
  config = mkIf (servers != { }) {
    llmflake.monitoring.textfileDirectories = mkIf (watched != [ ]) [ "/var/lib/llm-watchdog" ];

    systemd.services = mkMerge (mapAttrsToList readiness servers ++ map watchdog watched);

    users = mkIf (watched != [ ]) {
      users.llm-watchdog = {
        isSystemUser = true;
        group = "llm-watchdog";
        description = "Watchdogs of LLM servers";
      };
      groups.llm-watchdog = { };
    };

    security.polkit = mkIf (watched != [ ]) {
      enable = true;
      extraConfig = pure.watchdog.polkitRule {
        units = unique (
          concatLists (
            map (
              name:
              [ servers.${name}.unit ]
              ++ filter (unit: unit != null) [ (settingsOf name).health.fallback ]
            ) watched
          )
        );
        reboot = any (name: (settingsOf name).health.reboot) watched;
      };
    };
  };
}
