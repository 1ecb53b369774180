# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  server = {
    port = 8000;
    conflicts = [ ];
    health.fallback = null;
    rollback.ollama = [ ];
  };
  ollama =
    servers:
    lib.rollback.ollama {
      inherit servers;
      units = builtins.mapAttrs (name: _: "unit-${name}") servers;
    };
  rolled = server // {
    rollback.ollama = [ "gpt-oss:20b" ];
  };
  monitored = import ./monitored.nix;
  rolledBack =
    let
      batch = monitored.services.batch;
    in
    lib.rollback.deployment (
      monitored
      // {
        services = monitored.services // {
          batch = batch // {
            settings = batch.settings // {
              rollback.ollama = [ "gpt-oss:20b" ];
            };
          };
        };
      }
    ) "aspen1";
in
{
  deployment = {
    test_without_models_it_is_what_it_was = {
      expr = lib.rollback.deployment monitored "aspen1" ? standIns;
      expected = false;
    };
    test_what_watches_sees_ollama_in_the_servers_place = {
      expr = map (server: { inherit (server) service engine unit port metrics; }) (
        builtins.filter (server: server.machine == "aspen1") (lib.scrape.servers rolledBack)
      );
      expected = [
        {
          service = "batch";
          engine = "ollama";
          unit = "ollama";
          port = 8000;
          metrics = false;
        }
        {
          service = "spare";
          engine = "llamacpp";
          unit = "llama-spare";
          port = 8081;
          metrics = true;
        }
      ];
    };
    test_it_takes_its_turns_still = {
      expr = rolledBack.standIns.aspen1.batch.conflicts;
      expected = [ "llama-spare" ];
    };
    test_no_plan_promises_anything_of_ollama = {
      expr = rolledBack.monitoring.floors;
      expected = { };
    };
  };
  ollama = {
    test_without_models_nothing_changes = {
      expr = ollama { a = server; };
      expected = { };
    };
    test_it_serves_its_models_on_the_same_port_and_to_nobody_else = {
      expr = {
        inherit ((ollama { a = rolled; }).a)
          serviceType
          models
          host
          port
          firewallInterfaces
          apiKey
          ;
      };
      expected = {
        serviceType = "ollama";
        models = [ "gpt-oss:20b" ];
        host = "127.0.0.1";
        port = 8000;
        firewallInterfaces = [ ];
        apiKey = false;
      };
    };
    test_who_took_turns_with_it_takes_turns_with_ollama = {
      expr =
        (ollama {
          a = rolled;
          b = server // {
            conflicts = [
              "unit-a"
              "other"
            ];
          };
        }).b;
      expected = {
        conflicts = [
          "ollama"
          "other"
        ];
        health.fallback = null;
      };
    };
    test_whose_fallback_it_was_falls_back_to_ollama = {
      expr =
        (ollama {
          a = rolled;
          b = server // {
            health.fallback = "unit-a";
          };
        }).b.health.fallback;
      expected = "ollama";
    };
    test_nothing_of_the_other_engines_health_stays = {
      expr = builtins.attrValues (ollama { a = rolled; }).a.health;
      expected = [
        null
        null
        null
        null
        null
        null
      ];
    };
  };
}
