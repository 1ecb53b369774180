# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Prometheus, node_exporter and Grafana for LLM services. What is scraped, which rules there are and what dashboards show is
  decided by nix/lib/monitoring.nix; here it is added to nixpkgs' own modules, in lists that concatenate, so that it goes
  into a machine that has a Prometheus and a Grafana already.
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
    genAttrs
    mapAttrs
    mkBefore
    mkDefault
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;
  pure = import ../lib;
  cfg = config.llmflake.monitoring;
in
{
  options.llmflake.monitoring = {
    exporter = {
      configure = mkEnableOption "the collectors that rules and dashboards need, in node_exporter";
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether to run node_exporter; otherwise it is left to whoever does.";
      };
      interfaces = mkOption {
        type = types.listOf (types.strMatching "[A-Za-z0-9_.-]{1,15}");
        default = [ ];
        example = [ "tailscale0" ];
        description = "Network interfaces on which the firewall opens node_exporter's port.";
      };
    };
    textfileDirectories = mkOption {
      type = types.listOf (types.strMatching "/.*");
      default = [ ];
      example = [ "/run/llm-ages" ];
      description = "Directories in which node_exporter's textfile collector finds metrics.";
    };
    prometheus.enable = mkEnableOption "Prometheus on loopback; otherwise one that runs already gets the rules";
    grafana.enable = mkEnableOption "Grafana on loopback; otherwise one that runs already gets the dashboards";
    grafana.provision = mkOption {
      type = types.bool;
      default = cfg.grafana.enable;
      defaultText = lib.literalExpression "config.llmflake.monitoring.grafana.enable";
      description = ''
        Whether to tell Grafana of the dashboards by {option}`services.grafana.provision.dashboards.settings`. A Grafana that
        runs already is not told unasked: where another module sets that option to null, as onix-core's does, a second
        definition is an error. The dashboards are in /etc/llmflake/dashboards all the same.
      '';
    };
    scrapeConfigs = mkOption {
      type = types.listOf types.raw;
      default = [ ];
      description = "What Prometheus scrapes; see nix/lib/scrape.nix.";
    };
    scrapeKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Services whose metrics ask for their key, which {option}`keyFiles` must then name.";
    };
    ruleFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The text of the file of rules; see nix/lib/monitoring.nix.";
    };
    dashboards = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      description = "Dashboards by the name of their file, for /etc/llmflake/dashboards; see nix/lib/dashboard.nix.";
    };
    rolledBack = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      internal = true;
      description = "Which of these options are other ones while the machine is rolled back to Ollama.";
    };
  };

  config = mkMerge [
    {
      # What a clan makes once it makes for every machine that needs it: a scraper of another machine's server has its key too.
      llmflake.keys = mkIf (options ? clan) (
        genAttrs cfg.scrapeKeys (_: {
          restartUnits = [ "prometheus.service" ];
        })
      );
      llmflake.monitoring.keyFiles = mkIf cfg.exporter.configure (mapAttrs (_: mkDefault) config.llmflake.keyFiles);
    }
    (mkIf cfg.exporter.configure {
      services.prometheus.exporters.node = {
        enable = mkIf cfg.exporter.enable true;
        listenAddress = mkIf (cfg.exporter.enable && cfg.exporter.interfaces == [ ]) (mkDefault "127.0.0.1");
        enabledCollectors = pure.scrape.exporter.collectors;
        extraFlags =
          pure.scrape.exporter.flags
          ++ map (directory: "--collector.textfile.directory=${directory}") cfg.textfileDirectories;
      };
      networking.firewall.interfaces = lib.genAttrs cfg.exporter.interfaces (_: {
        allowedTCPPorts = [ pure.scrape.exporter.port ];
      });
    })

    (mkIf (cfg.ruleFile != null) {
      assertions = map (service: {
        assertion = cfg.keyFiles ? ${service};
        message = "llmflake.monitoring.keyFiles: Prometheus needs the key of ${service} to read its metrics; name its file";
      }) cfg.scrapeKeys;
      services.prometheus = {
        enable = mkIf cfg.prometheus.enable true;
        listenAddress = mkIf cfg.prometheus.enable (mkDefault "127.0.0.1");
        retentionTime = mkIf cfg.prometheus.enable (mkDefault "30d");
        # Keys are there when Prometheus starts, and not when its configuration is checked.
        checkConfig = mkIf (cfg.scrapeKeys != [ ]) (mkDefault "syntax-only");
        inherit (cfg) scrapeConfigs;
        ruleFiles = [ (pkgs.writeText "llmflake-rules.json" cfg.ruleFile) ];
      };
      systemd.services.prometheus.serviceConfig.LoadCredential = mkIf (cfg.scrapeKeys != [ ]) (
        map (service: "llm-key-${service}:${cfg.keyFiles.${service}}") cfg.scrapeKeys
      );
    })

    (mkIf (cfg.dashboards != { }) {
      environment.etc = lib.mapAttrs' (name: dashboard: {
        name = "llmflake/dashboards/${name}";
        value.text = builtins.toJSON dashboard;
      }) cfg.dashboards;
      services.grafana = mkMerge [
        (mkIf cfg.grafana.provision {
          provision.enable = true;
          provision.dashboards.settings.providers = [ pure.monitoring.dashboardProvider ];
        })
        (mkIf cfg.grafana.enable {
          enable = true;
          provision.datasources.settings.datasources = mkIf cfg.prometheus.enable [
            {
              name = "Prometheus";
              type = "prometheus";
              url = "http://127.0.0.1:${toString config.services.prometheus.port}";
              isDefault = true;
            }
          ];
          settings.security = {
            secret_key = mkDefault "$__file{${config.services.grafana.dataDir}/secret_key}";
            admin_password = mkDefault "$__file{${config.services.grafana.dataDir}/admin_password}";
          };
        })
      ];
      # Made on the machine, where Grafana keeps what they protect, and nowhere else.
      systemd.services.grafana.preStart = mkIf cfg.grafana.enable (mkBefore ''
        for secret in secret_key admin_password; do
          [ -s "$secret" ] || (umask 077; ${lib.getExe pkgs.openssl} rand -hex 24 | tr -d '\n' > "$secret")
        done
      '');
    })
  ];
}
