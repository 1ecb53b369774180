# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) litellm;
  inherit (import ./fronted.nix)
    backend
    named
    settings
    several
    ;
  proxy = litellm.settings several "x.authenticate";
in
{
  problem = {
    test_releases_of_the_attacker_are_refused = {
      expr = map (version: litellm.problem version != null) [
        "1.82.6"
        "1.82.7"
        "1.82.8"
        "1.82.9"
        "1.89.0"
      ];
      expected = [
        false
        true
        true
        false
        false
      ];
    };
    test_it_says_what_to_do = {
      expr = litellm.problem "1.82.7";
      expected = "LiteLLM 1.82.7 was published by an attacker: it steals keys (BerriAI/litellm#24512, #24518); set services.litellm.package to another release";
    };
  };
  credentials = {
    test_clients_engines_and_clouds = {
      expr = litellm.credentials (
        several
        // {
          clients = [
            "ann"
            "bob"
          ];
        }
      );
      expected = {
        client-ann = "front.ann";
        client-bob = "front.bob";
        backend-batch = "batch";
        backend-chat = "chat";
        cloud-backup = "front.backup";
      };
    };
    test_rolled_back_its_clients_keep_the_services_key = {
      expr = litellm.credentials (
        settings
        // {
          backends = [
            (
              backend
              // {
                keyed = false;
                rolledBack = true;
              }
            )
          ];
        }
      );
      expected = {
        client-everybody = "chat";
      };
    };
  };
  keys.test_engines_and_clouds_and_no_clients = {
    expr = litellm.keys several;
    expected = [
      "llm_key_backend_batch=/run/credentials/litellm.service/backend-batch"
      "llm_key_backend_chat=/run/credentials/litellm.service/backend-chat"
      "llm_key_cloud_backup=/run/credentials/litellm.service/cloud-backup"
    ];
  };
  settings = {
    test_a_service_is_a_group_and_its_engine_has_another_name = {
      expr = map (entry: [
        entry.model_name
        entry.model_info.id
        entry.litellm_params.api_key
      ]) proxy.model_list;
      expected = [
        [
          "batch"
          "batch.m"
          "os.environ/llm_key_backend_batch"
        ]
        [
          "chat"
          "chat.m"
          "os.environ/llm_key_backend_chat"
        ]
        [
          "backup"
          "backup.openai"
          "os.environ/llm_key_cloud_backup"
        ]
      ];
    };
    test_the_first_in_line_goes_by_the_models_name = {
      expr = proxy.router_settings.model_group_alias;
      expected = {
        m = "batch";
      };
    };
    test_who_answers_for_whom = {
      expr = proxy.router_settings.fallbacks;
      expected = [
        {
          batch = [
            "chat"
            "backup"
          ];
        }
        { chat = [ "backup" ]; }
        {
          m = [
            "chat"
            "backup"
          ];
        }
      ];
    };
    test_nothing_is_tried_twice = {
      expr = [
        proxy.router_settings.num_retries
        proxy.litellm_settings.num_retries
      ]
      ++ map (entry: entry.litellm_params.max_retries) proxy.model_list;
      expected = [
        0
        0
        0
        0
        0
      ];
    };
    test_what_clouds_cost_is_kept_where_there_is_one = {
      expr =
        map
          (
            changes:
            let
              found = litellm.settings (several // changes) "x-gateway";
            in
            [
              found.general_settings.custom_auth
              (found.litellm_settings.callbacks or [ ])
            ]
          )
          [
            { }
            { clouds = [ ]; }
          ];
      expected = [
        [
          "x-gateway.llmflake.authenticate"
          [ "x-gateway.spend.counter" ]
        ]
        [
          "x-gateway.llmflake.authenticate"
          [ ]
        ]
      ];
    };
    test_a_clouds_budget_and_price = {
      expr =
        let
          inherit (builtins.elemAt proxy.model_list 2) litellm_params model_info;
        in
        {
          inherit (litellm_params) max_budget budget_duration input_cost_per_token;
          inherit (model_info) fallback_only;
        };
      expected = {
        max_budget = 5;
        budget_duration = "1d";
        input_cost_per_token = 1.0e-6;
        fallback_only = true;
      };
    };
    test_ollamas_models_go_by_their_names = {
      expr = map (entry: entry.model_name) (litellm.settings (
        settings
        // {
          backends = [
            (named "small" {
              engine = "ollama";
              models = [
                "a:1b"
                "b:2b"
              ];
            })
          ];
        }
      ) "x").model_list;
      expected = [
        "small"
        "b:2b"
      ];
    };
    test_rolled_back_it_still_goes_by_the_name_that_it_had = {
      expr =
        (litellm.settings (
          settings
          // {
            backends = [
              (
                backend
                // {
                  models = [ "gpt-oss:20b" ];
                  names = [ "the-old-name" ];
                }
              )
            ];
          }
        ) "x").router_settings.model_group_alias;
      expected = {
        "gpt-oss:20b" = "chat";
        the-old-name = "chat";
      };
    };
  };
  environment.test_a_broken_answer_is_not_taken_for_a_whole_one = {
    expr = litellm.environment.DISABLE_AIOHTTP_TRANSPORT;
    expected = "True";
  };
}
