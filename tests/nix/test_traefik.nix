# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) traefik;
  inherit (import ./fronted.nix)
    backend
    settings
    several
    ;
  http = changes: (traefik.dynamic (settings // changes)).http;
  middlewares = [
    "llm-front-auth"
    "llm-front-rate"
    "llm-front-at-once"
    "llm-front-queue"
  ];
in
{
  paths.test_neither_metrics_nor_invocations = {
    expr = builtins.filter (path: builtins.substring 0 4 path != "/v1/") traefik.paths;
    expected = [ ];
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
        (traefik.dynamic (
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
    test_metrics_are_for_this_machine_alone_where_they_are_asked_for = {
      expr =
        map
          (metricsPort: {
            inherit (traefik.static (settings // { inherit metricsPort; })) entryPoints;
            metrics = (traefik.static (settings // { inherit metricsPort; })).metrics or null;
          })
          [
            null
            8899
          ];
      expected = [
        {
          entryPoints.llm.address = "127.0.0.1:443";
          metrics = null;
        }
        {
          entryPoints = {
            llm.address = "127.0.0.1:443";
            llm-metrics.address = "127.0.0.1:8899";
          };
          metrics.prometheus = {
            entryPoint = "llm-metrics";
            addEntryPointsLabels = false;
            addServicesLabels = false;
          };
        }
      ];
    };
    test_it_is_on_loopback_until_it_is_exposed = {
      expr = map (interfaces: (traefik.static (settings // { inherit interfaces; })).entryPoints.llm.address) [
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
        (traefik.static (settings // { tls = settings.tls // { resolver = "tailscale"; }; })).certificatesResolvers;
      expected = {
        tailscale.tailscale = { };
      };
    };
  };
  onix.test_onix_core_takes_it = {
    expr = traefik.onix several;
    expected = {
      front = {
        port = 4000;
        subdomain = "llm";
        inherit middlewares;
        extraRouterConfig.rule = (traefik.dynamic several).http.routers.llm-front.rule;
        extraServiceConfig.loadBalancer = {
          servers = [ { url = "http://127.0.0.1:4000"; } ];
          serversTransport = "llm-front";
        };
      };
    };
  };
}
