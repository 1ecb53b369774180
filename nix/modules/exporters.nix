# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Programs beside node_exporter, which reads what they write: ages of keys and certificates, and the system management unit.
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
    concatLists
    mapAttrsToList
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;
  cfg = config.llmflake.monitoring;
  ages = pkgs.callPackage ../programs/ages.nix { };
  paths =
    description:
    mkOption {
      type = types.attrsOf (types.strMatching "/.*");
      default = { };
      inherit description;
    };
  credentials = kind: mapAttrsToList (name: path: "${kind}-${name}:${path}");
  arguments =
    kind: files:
    concatLists (
      mapAttrsToList (name: _: [
        kind
        name
      ]) files
    );
  # Programs that read files and write one.
  confined = {
    DynamicUser = true;
    CapabilityBoundingSet = [ "" ];
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateNetwork = true;
    PrivateUsers = true;
    ProcSubset = "pid";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    RestrictAddressFamilies = [ "none" ];
    RestrictNamespaces = true;
    RestrictRealtime = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
      "~@resources"
    ];
    UMask = "0022";
  };
in
{
  options.llmflake.monitoring = {
    smuExporter = mkEnableOption "the exporter of nix-strix-halo for the tables of the system management unit";
    keyFiles = paths "Files with API keys on this machine, by service: an alert tells when one gets old.";
    certificateFiles = paths "Files with certificates in PEM on this machine, by a name: an alert tells before one expires.";
  };

  config = mkMerge [
    (mkIf (cfg.keyFiles != { } || cfg.certificateFiles != { }) {
      llmflake.monitoring.textfileDirectories = [ "/run/llm-ages" ];
      systemd.timers.llm-ages = {
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnBootSec = "1min";
          OnUnitActiveSec = "1h";
        };
      };
      systemd.services.llm-ages = {
        description = "Ages of keys and certificates";
        serviceConfig = confined // {
          Type = "oneshot";
          ExecStart = utils.escapeSystemdExecArgs (
            [ (lib.getExe ages) ] ++ arguments "key" cfg.keyFiles ++ arguments "certificate" cfg.certificateFiles
          );
          LoadCredential = credentials "key" cfg.keyFiles ++ credentials "certificate" cfg.certificateFiles;
          StateDirectory = "llm-ages";
          StateDirectoryMode = "0700";
          # node_exporter reads it between two runs.
          RuntimeDirectory = "llm-ages";
          RuntimeDirectoryPreserve = true;
        };
      };
    })

    (mkIf cfg.smuExporter {
      llmflake.monitoring.textfileDirectories = [ "/run/llm-smu" ];
      assertions = [
        {
          assertion = config.llmflake.strixHalo != null;
          message = "llmflake.monitoring.smuExporter: its program comes from the flake nix-strix-halo; make that an input, or set smuExporter = false";
        }
      ];
      systemd.services.llm-smu = {
        description = "Metrics of the system management unit";
        wantedBy = [ "multi-user.target" ];
        serviceConfig = confined // {
          ExecStart = utils.escapeSystemdExecArgs [
            (lib.getExe (pkgs.callPackage "${config.llmflake.strixHalo}/pkgs/amdgpu-smu-exporter" { }))
            "--output"
            "/run/llm-smu/amdgpu-smu.prom"
            "--interval-ms"
            "5000"
          ];
          Restart = "on-failure";
          RestartSec = 10;
          RuntimeDirectory = "llm-smu";
        };
      };
    })
  ];
}
