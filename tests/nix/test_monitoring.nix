# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = import ./monitored.nix;
  other = lib.monitoring.on deployment "aspen2";
in
{
  features.test_what_is_there = {
    expr = lib.monitoring.features deployment;
    expected = [
      "llamacpp"
      "ollama"
      "vllm"
      "metrics"
      "amd"
      "gtt"
      "floor"
      "models"
    ];
  };
  features.test_what_a_gateway_adds = {
    expr =
      map
        (
          settings:
          builtins.filter (name: name == "keys" || name == "certificates") (
            lib.monitoring.features (
              deployment
              // {
                gateways.front = {
                  machine = "aspen1";
                  inherit settings;
                };
              }
            )
          )
        )
        [
          { tls.enable = true; }
          { tls.certificate = "/run/secrets/tls.pem"; }
          {
            tls.resolver = "tailscale";
            metricsPort = 8899;
          }
        ];
    expected = [
      [ "keys" ]
      [
        "keys"
        "certificates"
      ]
      [
        "keys"
        "certificates"
      ]
    ];
  };
  ruleGroups.test_what_is_recorded_comes_first = {
    expr = map (group: group.name) (lib.monitoring.ruleGroups deployment);
    expected = [
      "llmflake"
      "llmflake-names"
      "llmflake-alerts"
    ];
  };
  ruleFile.test_it_is_the_rules = {
    expr = builtins.fromJSON (lib.monitoring.ruleFile deployment);
    expected.groups = lib.monitoring.ruleGroups deployment;
  };
  on = {
    test_a_machine_that_scrapes_gets_everything = {
      expr = builtins.attrNames (lib.monitoring.on deployment "aspen1");
      expected = [
        "dashboards"
        "exporter"
        "grafana"
        "prometheus"
        "ruleFile"
        "scrapeConfigs"
        "scrapeKeys"
        "smuExporter"
      ];
    };
    test_while_it_is_rolled_back_it_does_not_look_for_the_server = {
      expr =
        let
          told = lib.monitoring.on (
            deployment
            // {
              services = deployment.services // {
                batch = deployment.services.batch // {
                  settings = deployment.services.batch.settings // {
                    rollback.ollama = [ "gpt-oss:20b" ];
                  };
                };
              };
            }
          ) "aspen1";
          jobs = map (config: config.job_name);
        in
        {
          now = jobs told.scrapeConfigs;
          then_ = jobs told.rolledBack.scrapeConfigs;
        };
      expected = {
        now = [
          "vllm"
          "llamacpp"
          "llm-node"
        ];
        then_ = [
          "llamacpp"
          "llm-node"
        ];
      };
    };
    test_what_runs_already_is_not_enabled = {
      expr = (lib.monitoring.on deployment "aspen1").grafana.enable;
      expected = false;
    };
    test_another_machine_gets_an_exporter_that_is_reached = {
      expr = other;
      expected = {
        exporter = {
          configure = true;
          enable = true;
          interfaces = [ "tailscale0" ];
        };
        smuExporter = false;
      };
    };
    test_nothing_where_nothing_is_watched = {
      expr = lib.monitoring.on (removeAttrs deployment [ "monitoring" ]) "aspen1";
      expected = { };
    };
  };
  dashboardDirectory.test_where_modules_of_others_can_name_it = {
    expr = lib.monitoring.dashboardDirectory;
    expected = "/etc/llmflake/dashboards";
  };
  dashboardProvider.test_it_reads_that_directory = {
    expr = lib.monitoring.dashboardProvider.options.path;
    expected = lib.monitoring.dashboardDirectory;
  };
}
