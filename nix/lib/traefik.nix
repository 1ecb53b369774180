# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    filter
    head
    listToAttrs
    map
    toString
    ;
  # Where an engine says whether a key is right without computing anything: llama-server names its models to everybody.
  authPaths = {
    llamacpp = "/props";
  };
  seconds = number: "${toString number}s";
in
{
  /**
    What of OpenAI's protocol a gateway lets through; everything else (metrics, health, administration, and vLLM's
    /generative_scoring and /invocations, which compute without a key) is not reached through it.

    Type: [string]
  */
  paths = [
    "/v1/chat/completions"
    "/v1/completions"
    "/v1/embeddings"
    "/v1/messages"
    "/v1/models"
    "/v1/rerank"
    "/v1/responses"
  ];

  /**
    `services.traefik.dynamicConfigOptions`: the router of the gateway's host, its middlewares, and what is behind it. A request
    passes `auth`, the limits of its key, and the queue; a path that a service opens passes none of them.

    Type: settings -> attrs
  */
  dynamic =
    settings:
    let
      inherit (settings) backends limits tls;
      engine = head backends;
      direct = lib.gateway.behind settings == "engine";
      url = if direct then engine.url else "http://127.0.0.1:${toString settings.litellmPort}";
      prefix = "llm-${settings.name}";
      secure =
        if !tls.enable then
          { }
        else
          {
            tls = if tls.resolver == null then { } else { certResolver = tls.resolver; };
          };
      host = "Host(`${settings.host}`)";
      paths = builtins.concatStringsSep " || " (map (path: "PathPrefix(`${path}`)") lib.traefik.paths);
      router = {
        inherit (settings) entryPoints;
      }
      // secure;
      opened = filter (backend: backend.openPaths != [ ]) backends;
      perKey = {
        sourceCriterion.requestHeaderName = "Authorization";
      };
    in
    {
      http = {
        routers = {
          ${prefix} = router // {
            rule = "${host} && (${paths})";
            service = prefix;
            middlewares = map (name: "${prefix}-${name}") [
              "auth"
              "rate"
              "at-once"
              "queue"
            ];
          };
        }
        // listToAttrs (
          map (backend: {
            name = "${prefix}-open-${backend.name}";
            value = router // {
              rule = "${host} && (${
                builtins.concatStringsSep " || " (map (path: "Path(`/${backend.name}${path}`)") backend.openPaths)
              })";
              service = "${prefix}-open-${backend.name}";
              middlewares = [ "${prefix}-open-${backend.name}" ];
            };
          }) opened
        );
        middlewares = {
          "${prefix}-auth".forwardAuth.address =
            "${url}${if direct then authPaths.${engine.engine} or "/v1/models" else "/v1/models"}";
          "${prefix}-rate".rateLimit = perKey // {
            average = limits.requestsPerMinute;
            burst = limits.requestsPerMinute;
            period = "1m";
          };
          "${prefix}-at-once".inFlightReq = perKey // {
            amount = limits.requestsAtOnce;
          };
          "${prefix}-queue".inFlightReq = {
            amount = limits.queue;
            sourceCriterion.requestHost = true;
          };
        }
        // listToAttrs (
          map (backend: {
            name = "${prefix}-open-${backend.name}";
            value.stripPrefix.prefixes = [ "/${backend.name}" ];
          }) opened
        );
        services = {
          ${prefix}.loadBalancer = {
            servers = [ { inherit url; } ];
            serversTransport = prefix;
          };
        }
        // listToAttrs (
          map (backend: {
            name = "${prefix}-open-${backend.name}";
            value.loadBalancer.servers = [ { inherit (backend) url; } ];
          }) opened
        );
        serversTransports.${prefix}.forwardingTimeouts = {
          dialTimeout = "5s";
          # A client gets an answer or an error, and never waits for ever.
          responseHeaderTimeout = seconds (settings.timeouts.totalSeconds + 15);
        };
      };
    }
    // (
      if tls.certificate == null then
        { }
      else
        {
          tls.certificates = [
            {
              certFile = lib.keys.credential "traefik" "tls-certificate";
              keyFile = lib.keys.credential "traefik" "tls-key";
            }
          ];
        }
    );

  /**
    `services.traefik.staticConfigOptions`, where the machine has no Traefik of its own: one entry point, on loopback unless the
    gateway is exposed, and one on loopback for Traefik's metrics where they are asked for.

    Type: settings -> attrs
  */
  static =
    {
      interfaces,
      metricsPort,
      port,
      tls,
      ...
    }:
    {
      global = {
        checkNewVersion = false;
        sendAnonymousUsage = false;
      };
      log.level = "INFO";
      entryPoints = {
        llm.address = "${if interfaces == [ ] then "127.0.0.1" else ""}:${toString port}";
      }
      // (
        if metricsPort == null then
          { }
        else
          { llm-metrics.address = "127.0.0.1:${toString metricsPort}"; }
      );
    }
    // (
      if metricsPort == null then
        { }
      else
        {
          metrics.prometheus = {
            entryPoint = "llm-metrics";
            addEntryPointsLabels = false;
            addServicesLabels = false;
          };
        }
    )
    // (
      # Traefik's own way to a tailnet's certificates.
      if tls.resolver == "tailscale" then { certificatesResolvers.tailscale.tailscale = { }; } else { }
    );

  /**
    Settings for onix-core's `tailscale-traefik`, whose routers end at localhost: an entry of its `services`.

    Type: settings -> attrs
  */
  onix =
    settings:
    let
      inherit (lib.traefik.dynamic settings) http;
      prefix = "llm-${settings.name}";
      service = http.services.${prefix}.loadBalancer;
    in
    {
      ${settings.name} = {
        port = if lib.gateway.behind settings == "engine" then (head settings.backends).port else settings.litellmPort;
        subdomain = head (builtins.match "([^.]+).*" settings.host);
        inherit (http.routers.${prefix}) middlewares;
        extraRouterConfig = { inherit (http.routers.${prefix}) rule; };
        extraServiceConfig.loadBalancer = service;
      };
    };
}
