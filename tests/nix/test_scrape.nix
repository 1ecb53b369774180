# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = import ./monitored.nix;
  withSettings =
    service: settings:
    deployment
    // {
      services = deployment.services // {
        ${service} = deployment.services.${service} // {
          settings = deployment.services.${service}.settings // settings;
        };
      };
    };
  fronted =
    settings:
    deployment
    // {
      gateways.front = {
        machine = "aspen1";
        inherit settings;
      };
    };
  jobs = configs: map (config: config.job_name) configs;
  targets = configs: map (config: map (group: builtins.head group.targets) config.static_configs) configs;
  byService =
    name: builtins.head (builtins.filter (server: server.service == name) (lib.scrape.servers deployment));
in
{
  servers = {
    test_a_server_is_what_its_settings_say = {
      expr = byService "chat";
      expected = {
        machine = "aspen2";
        service = "chat";
        engine = "llamacpp";
        unit = "llama-cpp";
        host = "0.0.0.0";
        port = 8080;
        metrics = true;
        starts = "boot";
        apiKey = false;
      };
    };
    test_ollama_exports_no_metrics = {
      expr = (byService "small").metrics;
      expected = false;
    };
    test_one_that_takes_turns_may_be_down_on_purpose = {
      expr = (byService "batch").starts;
      expected = "demand";
    };
    test_and_so_may_the_one_that_it_takes_turns_with = {
      expr = (byService "spare").starts;
      expected = "demand";
    };
    test_one_that_nobody_starts_at_boot_may_be_down_on_purpose = {
      expr = map (server: server.starts) (
        builtins.filter (server: server.service == "chat") (
          lib.scrape.servers (withSettings "chat" { autoStart = false; })
        )
      );
      expected = [ "demand" ];
    };
  };
  machines.test_those_with_a_server = {
    expr = lib.scrape.machines (
      deployment
      // {
        machines = deployment.machines // {
          idle = deployment.machines.aspen1;
        };
      }
    );
    expected = [
      "aspen1"
      "aspen2"
    ];
  };
  machines.test_and_those_with_a_gateway = {
    expr = lib.scrape.machines (fronted { } // { services = { }; });
    expected = [ "aspen1" ];
  };
  configs = {
    test_its_own_traefik_where_that_tells_of_certificates = {
      expr = map (config: { inherit (config) job_name static_configs; }) (
        builtins.filter (config: config.job_name == "traefik") (
          lib.scrape.configs (fronted { metricsPort = 8899; }) "aspen1"
        )
      );
      expected = [
        {
          job_name = "traefik";
          static_configs = [
            {
              targets = [ "127.0.0.1:8899" ];
              labels = {
                machine = "aspen1";
                instance = "aspen1:8899";
              };
            }
          ];
        }
      ];
    };
    test_no_traefik_without_metrics_and_none_of_another_machine = {
      expr = map (config: config.job_name) (
        lib.scrape.configs (fronted { }) "aspen1" ++ lib.scrape.configs (fronted { metricsPort = 8899; }) "aspen2"
      );
      expected = [
        "vllm"
        "llamacpp"
        "llm-node"
        "llamacpp"
        "llm-node"
      ];
    };
    test_a_job_for_each_engine_and_one_for_machines = {
      expr = jobs (lib.scrape.configs deployment "aspen1");
      expected = [
        "vllm"
        "llamacpp"
        "llm-node"
      ];
    };
    test_its_own_servers_on_loopback_and_others_where_they_are = {
      expr = targets (lib.scrape.configs deployment "aspen1");
      expected = [
        [ "127.0.0.1:8000" ]
        [
          "127.0.0.1:8081"
          "aspen2.lan:8080"
        ]
        [
          "127.0.0.1:9100"
          "aspen2.lan:9100"
        ]
      ];
    };
    test_the_plans_instance_is_the_machine_and_the_port = {
      expr = (builtins.head (builtins.head (lib.scrape.configs deployment "aspen1")).static_configs).labels;
      expected = {
        instance = "aspen1:8000";
        machine = "aspen1";
        service = "batch";
      };
    };
    test_machines_that_scrape_leave_each_other_to_themselves = {
      expr = targets (
        lib.scrape.configs (
          deployment
          // {
            monitoring = deployment.monitoring // {
              machines = [
                "aspen1"
                "aspen2"
              ];
            };
          }
        ) "aspen2"
      );
      expected = [
        [ "127.0.0.1:8080" ]
        [ "127.0.0.1:9100" ]
      ];
    };
    test_what_another_machine_keeps_on_loopback_is_not_scraped = {
      expr = targets (lib.scrape.configs (withSettings "chat" { host = "127.0.0.1"; }) "aspen1");
      expected = [
        [ "127.0.0.1:8000" ]
        [ "127.0.0.1:8081" ]
        [
          "127.0.0.1:9100"
          "aspen2.lan:9100"
        ]
      ];
    };
    test_an_address_of_six_is_in_brackets = {
      expr = builtins.head (targets (lib.scrape.configs (withSettings "batch" { host = "::1"; }) "aspen1"));
      expected = [ "[::1]:8000" ];
    };
    test_no_timeout_is_longer_than_the_interval = {
      expr = map (config: config.scrape_timeout) (
        lib.scrape.configs (
          deployment
          // {
            monitoring = deployment.monitoring // {
              scrapeInterval = 2;
            };
          }
        ) "aspen1"
      );
      expected = [
        "2s"
        "2s"
        "2s"
      ];
    };
    test_llama_cpp_with_a_key_is_a_job_of_its_own = {
      expr = jobs (lib.scrape.configs (withSettings "spare" { apiKey = true; }) "aspen1");
      expected = [
        "vllm"
        "llamacpp"
        "llamacpp-spare-aspen1"
        "llm-node"
      ];
    };
    test_vllm_asks_for_no_key = {
      expr = jobs (lib.scrape.configs (withSettings "batch" { apiKey = true; }) "aspen1");
      expected = [
        "vllm"
        "llamacpp"
        "llm-node"
      ];
    };
  };
  credential.test_systemd_hands_it_over = {
    expr = lib.scrape.credential "chat";
    expected = "/run/credentials/prometheus.service/llm-key-chat";
  };
  keys = {
    test_none_without_keys = {
      expr = lib.scrape.keys deployment "aspen1";
      expected = [ ];
    };
    test_that_of_a_llama_server_which_is_scraped = {
      expr = lib.scrape.keys (withSettings "chat" { apiKey = true; }) "aspen1";
      expected = [ "chat" ];
    };
  };
  exporter.test_the_collectors_that_the_plan_needs = {
    expr = lib.scrape.exporter.collectors;
    expected = [
      "drm"
      "hwmon"
      "systemd"
      "textfile"
    ];
  };
}
