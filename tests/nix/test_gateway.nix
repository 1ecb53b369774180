# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) gateway;
  backend = {
    name = "chat";
    id = "chat.m";
    service = "chat";
    engine = "llamacpp";
    url = "http://127.0.0.1:8080";
    port = 8080;
    models = [ "m" ];
    keyed = true;
    fallback = [ ];
    openPaths = [ ];
  };
  named =
    name: changes:
    backend
    // {
      inherit name;
      id = "${name}.m";
      service = name;
    }
    // changes;
  cloud = {
    name = "backup";
    provider = "openai";
    model = "gpt";
    url = null;
    budgetUsd = 5;
    budgetPeriod = "1d";
    inputUsdPerMillion = 1;
    outputUsdPerMillion = 2;
  };
  settings = {
    name = "front";
    host = "llm.test";
    port = 443;
    interfaces = [ ];
    proxy = "own";
    entryPoints = [ "llm" ];
    tls = {
      enable = true;
      certificate = null;
      key = null;
      resolver = null;
    };
    litellmPort = 4000;
    clients = [ ];
    limits = {
      requestsPerMinute = 60;
      requestsAtOnce = 4;
      queue = 32;
    };
    timeouts = {
      firstTokenSeconds = 120;
      totalSeconds = 600;
    };
    backends = [ backend ];
    clouds = [ ];
  };
  several = settings // {
    backends = [
      (named "batch" {
        fallback = [ "chat" ];
        engine = "vllm";
        url = "http://127.0.0.1:8000";
        port = 8000;
      })
      (named "chat" { fallback = [ "backup" ]; })
    ];
    clouds = [ cloud ];
  };
  proxy = gateway.litellm several "x.authenticate";
  http = changes: (gateway.dynamic (settings // changes)).http;
  middlewares = [
    "llm-front-auth"
    "llm-front-rate"
    "llm-front-at-once"
    "llm-front-queue"
  ];
in
{
  paths.test_neither_metrics_nor_invocations = {
    expr = builtins.filter (path: builtins.substring 0 4 path != "/v1/") gateway.paths;
    expected = [ ];
  };
  behind = {
    test_one_engine_with_a_key_stands_alone = {
      expr = gateway.behind settings;
      expected = "engine";
    };
    test_everything_else_needs_litellm = {
      expr = map (changes: gateway.behind (settings // changes)) [
        { clients = [ "ann" ]; }
        { clouds = [ cloud ]; }
        { inherit (several) backends; }
        { backends = [ (backend // { keyed = false; }) ]; }
      ];
      expected = [
        "litellm"
        "litellm"
        "litellm"
        "litellm"
      ];
    };
  };
  order = {
    test_its_own_come_before_theirs = {
      expr = gateway.order {
        backends = [
          (named "a" {
            fallback = [
              "b"
              "c"
            ];
          })
          (named "b" { fallback = [ "d" ]; })
          (named "c" { fallback = [ "b" ]; })
        ];
      } "a";
      expected = [
        "b"
        "c"
        "d"
      ];
    };
    test_a_circle_ends = {
      expr = gateway.order {
        backends = [
          (named "a" { fallback = [ "b" ]; })
          (named "b" { fallback = [ "a" ]; })
        ];
      } "a";
      expected = [ "b" ];
    };
  };
  litellmProblem = {
    test_releases_of_the_attacker_are_refused = {
      expr = map (version: gateway.litellmProblem version != null) [
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
      expr = gateway.litellmProblem "1.82.7";
      expected = "LiteLLM 1.82.7 was published by an attacker: it steals keys (BerriAI/litellm#24512, #24518); set services.litellm.package to another release";
    };
  };
  credentials = {
    test_clients_engines_and_clouds = {
      expr = gateway.credentials (
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
      expr = gateway.credentials (
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
  clients.test_there_is_always_a_key = {
    expr = gateway.clients settings;
    expected = [ "everybody" ];
  };
  keys.test_engines_and_clouds_and_no_clients = {
    expr = gateway.keys several;
    expected = [
      "llm_key_backend_batch=/run/credentials/litellm.service/backend-batch"
      "llm_key_backend_chat=/run/credentials/litellm.service/backend-chat"
      "llm_key_cloud_backup=/run/credentials/litellm.service/cloud-backup"
    ];
  };
  litellm = {
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
      expr = map (entry: entry.model_name) (gateway.litellm (
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
        (gateway.litellm (
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
  litellmEnvironment.test_a_broken_answer_is_not_taken_for_a_whole_one = {
    expr = gateway.litellmEnvironment.DISABLE_AIOHTTP_TRANSPORT;
    expected = "True";
  };
  dynamic = {
    test_the_seeds_router_host_and_middlewares = {
      expr = {
        inherit ((http { }).routers.llm-front)
          service
          middlewares
          entryPoints
          tls
          ;
        host = builtins.substring 0 16 (http { }).routers.llm-front.rule;
      };
      expected = {
        service = "llm-front";
        inherit middlewares;
        entryPoints = [ "llm" ];
        tls = { };
        host = "Host(`llm.test`)";
      };
    };
    test_one_engine_is_asked_itself_whether_a_key_is_right = {
      expr = {
        auth = (http { }).middlewares.llm-front-auth.forwardAuth.address;
        inherit ((http { }).services.llm-front.loadBalancer) servers;
      };
      expected = {
        auth = "http://127.0.0.1:8080/props";
        servers = [ { url = "http://127.0.0.1:8080"; } ];
      };
    };
    test_several_are_behind_litellm = {
      expr = {
        auth = (http { inherit (several) backends; }).middlewares.llm-front-auth.forwardAuth.address;
        inherit ((http { inherit (several) backends; }).services.llm-front.loadBalancer) servers;
      };
      expected = {
        auth = "http://127.0.0.1:4000/v1/models";
        servers = [ { url = "http://127.0.0.1:4000"; } ];
      };
    };
    test_an_open_path_has_a_router_without_a_key = {
      expr = {
        inherit
          ((http { backends = [ (backend // { openPaths = [ "/metrics" ]; }) ]; }).routers.llm-front-open-chat)
          rule
          middlewares
          ;
      };
      expected = {
        rule = "Host(`llm.test`) && (Path(`/chat/metrics`))";
        middlewares = [ "llm-front-open-chat" ];
      };
    };
    test_limits_are_counted_by_key = {
      expr = (http { }).middlewares.llm-front-at-once.inFlightReq;
      expected = {
        amount = 4;
        sourceCriterion.requestHeaderName = "Authorization";
      };
    };
    test_without_tls_the_router_has_none = {
      expr = (http { tls = settings.tls // { enable = false; }; }).routers.llm-front ? tls;
      expected = false;
    };
    test_a_certificate_comes_as_a_credential = {
      expr =
        (gateway.dynamic (
          settings
          // {
            tls = settings.tls // {
              certificate = "/c";
              key = "/k";
            };
          }
        )).tls.certificates;
      expected = [
        {
          certFile = "/run/credentials/traefik.service/tls-certificate";
          keyFile = "/run/credentials/traefik.service/tls-key";
        }
      ];
    };
  };
  static = {
    test_it_is_on_loopback_until_it_is_exposed = {
      expr = map (interfaces: (gateway.static (settings // { inherit interfaces; })).entryPoints.llm.address) [
        [ ]
        [ "tailscale0" ]
      ];
      expected = [
        "127.0.0.1:443"
        ":443"
      ];
    };
    test_a_tailnets_certificates = {
      expr =
        (gateway.static (settings // { tls = settings.tls // { resolver = "tailscale"; }; })).certificatesResolvers;
      expected = {
        tailscale.tailscale = { };
      };
    };
  };
  tailscaleTraefik.test_onix_core_takes_it = {
    expr = gateway.tailscaleTraefik several;
    expected = {
      front = {
        port = 4000;
        subdomain = "llm";
        inherit middlewares;
        extraRouterConfig.rule = (gateway.dynamic several).http.routers.llm-front.rule;
        extraServiceConfig.loadBalancer = {
          servers = [ { url = "http://127.0.0.1:4000"; } ];
          serversTransport = "llm-front";
        };
      };
    };
  };
}
