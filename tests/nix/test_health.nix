# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  health = {
    readiness = null;
    watchdog = null;
    question = "What is 2+2?";
    answer = "4";
    maxTokens = 512;
    minimumRate = 1.0;
    startLimit = 3600;
    probeInterval = 300;
    hangLimit = 120;
    restarts = 2;
    fallback = null;
    reboot = false;
    rebootIntervalHours = 24;
    restartAfterRequests = null;
    restartAfterHours = null;
    keyFile = null;
  };
  settings =
    changes:
    {
      serviceType = "vllm";
      servedModelName = "m";
      llamacpp.metrics = null;
    }
    // changes
    // {
      health = health // (changes.health or { });
    };
  server =
    changes:
    {
      unit = "vllm";
      host = "127.0.0.1";
      port = 8000;
      model = "/m";
      pulls = [ ];
    }
    // changes;
  program =
    changes: serverChanges:
    lib.health.program {
      name = "llm";
      settings = settings changes;
      server = server serverChanges;
    };
  llamacpp = metrics: {
    serviceType = "llamacpp";
    llamacpp = { inherit metrics; };
  };
in
{
  asked = {
    test_vllm_and_llama_cpp_are_asked_by_themselves = {
      expr = map (serviceType: lib.health.asked (settings { inherit serviceType; })) [
        "vllm"
        "llamacpp"
        "ollama"
        "openai-compatible"
      ];
      expected = [
        {
          readiness = true;
          watchdog = true;
        }
        {
          readiness = true;
          watchdog = true;
        }
        {
          readiness = false;
          watchdog = false;
        }
        {
          readiness = false;
          watchdog = false;
        }
      ];
    };
    test_what_the_spec_says_wins = {
      expr = lib.health.asked (settings {
        health = {
          readiness = false;
          watchdog = true;
        };
      });
      expected = {
        readiness = false;
        watchdog = true;
      };
    };
  };
  counters = {
    test_vllm_counts_its_requests = {
      expr = (lib.health.counters (settings { })).finished;
      expected = "vllm:request_success_total";
    };
    test_llama_cpp_does_not = {
      expr = (lib.health.counters (settings (llamacpp true))).finished;
      expected = null;
    };
    test_llama_cpp_serves_them_only_when_told = {
      expr = lib.health.counters (settings (llamacpp null));
      expected = null;
    };
    test_ollama_has_none = {
      expr = lib.health.counters (settings { serviceType = "ollama"; });
      expected = null;
    };
  };
  program = {
    test_the_whole_file = {
      expr = program { } { } // {
        counters = null;
      };
      expected = {
        name = "llm";
        unit = "vllm";
        url = "http://127.0.0.1:8000";
        model = "m";
        counters = null;
        question = "What is 2+2?";
        answer = "4";
        max_tokens = 512;
        minimum_rate = 1.0;
        start_limit = 3600;
        probe_interval = 300;
        hang_limit = 120;
        restarts = 2;
        fallback_unit = null;
        reboot = false;
        reboot_interval_hours = 24;
        restart_after_requests = null;
        restart_after_hours = null;
        window = 22500;
      };
    };
    test_a_budget_fits_beside_its_question = {
      expr =
        map
          (
            maxModelLen:
            (program {
              vllm = { inherit maxModelLen; };
            } { }).max_tokens
          )
          [
            600
            1024
            null
          ];
      expected = [
        300
        512
        512
      ];
    };
    test_a_server_that_listens_everywhere_is_asked_on_loopback = {
      expr = [
        (program { } { host = "0.0.0.0"; }).url
        (program { } { host = "::"; }).url
        (program { } { host = "fd00::7"; }).url
      ];
      expected = [
        "http://127.0.0.1:8000"
        "http://[::1]:8000"
        "http://[fd00::7]:8000"
      ];
    };
    test_a_model_without_a_name_is_what_the_engine_calls_it = {
      expr = [
        (program { servedModelName = null; } { }).model
        (program {
          servedModelName = null;
          serviceType = "llamacpp";
        } { }).model
        (program {
          servedModelName = null;
          serviceType = "ollama";
        } { pulls = [ "a:1" ]; }).model
      ];
      expected = [
        "/m"
        null
        "a:1"
      ];
    };
  };
  startLimits = {
    test_five_slow_starts_end = {
      expr = (lib.health.startLimits 3600).StartLimitIntervalSec >= 5 * 3600;
      expected = true;
    };
    test_five_quick_ones_end_as_everywhere = {
      expr = lib.health.startLimits 10;
      expected = lib.unit.startLimits;
    };
  };
  problems = {
    test_none_as_it_is = {
      expr = lib.health.problems (settings { });
      expected = [ ];
    };
    test_a_planned_restart_needs_metrics = {
      expr = builtins.length (
        lib.health.problems (settings (llamacpp null // { health.restartAfterHours = 24; }))
      );
      expected = 1;
    };
    test_llama_cpp_counts_no_requests = {
      expr = builtins.length (
        lib.health.problems (settings (llamacpp true // { health.restartAfterRequests = 9; }))
      );
      expected = 1;
    };
    test_ollama_cannot_wait_for_its_own_models = {
      expr = builtins.length (
        lib.health.problems (settings {
          serviceType = "ollama";
          health.readiness = true;
        })
      );
      expected = 1;
    };
  };
}
