# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    head
    listToAttrs
    map
    toString
    ;
  data = builtins.fromTOML (builtins.readFile ../data/metrics.toml);
in
{
  /**
    Every server of a deployment, once for each machine that runs it. `metrics` says whether its engine exports any;
    `starts` is "boot", or "demand" where it may be down on purpose.

    Type: deployment -> [{ machine, service, engine, unit, host, port, metrics, starts, apiKey }]
  */
  servers =
    deployment:
    concatMap (
      machine:
      let
        here = lib.deployment.serversOn deployment machine;
        stopped = concatMap (name: here.${name}.conflicts or [ ]) (attrNames here);
      in
      map (
        service:
        let
          settings = here.${service};
        in
        {
          inherit machine service;
          inherit (settings) host port unit;
          engine = settings.serviceType;
          metrics = data.${settings.serviceType} or null != null;
          starts =
            if settings.autoStart && (settings.conflicts or [ ]) == [ ] && !elem settings.unit stopped then
              "boot"
            else
              "demand";
          apiKey = settings.apiKey or false;
        }
      ) (attrNames here)
    ) (attrNames deployment.machines);

  /**
    The machines with a server or a gateway: each has a node_exporter.

    Type: deployment -> [string]
  */
  machines =
    deployment:
    filter (
      machine:
      lib.deployment.serversOn deployment machine != { } || lib.deployment.gatewayOn deployment machine != null
    ) (attrNames deployment.machines);

  /**
    What one machine scrapes: every server that exports metrics and that it reaches, a job for each engine, its own Traefik
    where a resolver brings the certificate, and every node_exporter that it reaches. Another machine that scrapes too is left to itself.

    Type: deployment -> string -> [attrs]
    - result: items of `services.prometheus.scrapeConfigs`
    Example: configs deployment "aspen1" => [ { job_name = "vllm"; static_configs = [ { targets = [ "127.0.0.1:8000" ]; … } ]; … } … ]
  */
  configs =
    deployment: scraper:
    let
      settings = deployment.monitoring;
      mine = machine: machine == scraper || !elem machine settings.machines;
      job = name: targets: {
        job_name = name;
        metrics_path = "/metrics";
        scrape_interval = "${toString settings.scrapeInterval}s";
        # A server that computes answers late, and no timeout may be longer than the interval.
        scrape_timeout = "${toString (if settings.scrapeInterval < 10 then settings.scrapeInterval else 10)}s";
        static_configs = targets;
      };
      target = address: port: labels: {
        targets = [ "${lib.address.bracketed address}:${toString port}" ];
        labels = labels // {
          instance = "${labels.machine}:${toString port}";
        };
      };
      reached = filter (server: server.address != null) (
        map
          (
            server:
            server
            // {
              address = lib.address.reached deployment {
                from = scraper;
                inherit (server) machine host;
              };
            }
          )
          (filter (server: server.metrics && mine server.machine) (lib.scrape.servers deployment))
      );
      # llama-server wants the key for its metrics; vLLM does not.
      locked = server: server.engine == "llamacpp" && server.apiKey;
      targetsOf = map (
        server:
        target server.address server.port {
          inherit (server) machine service;
        }
      );
      measured = [
        "vllm"
        "llamacpp"
      ];
      engines = concatMap (
        engine:
        let
          servers = filter (server: server.engine == engine && !locked server) reached;
        in
        if servers == [ ] then [ ] else [ (job data.${engine}.job (targetsOf servers)) ]
      ) measured;
      withKeys = map (
        server:
        # Jobs need names of their own, and rules look for one: relabelling gives it back.
        job "${data.${server.engine}.job}-${server.service}-${server.machine}" (targetsOf [ server ])
        // {
          authorization = {
            type = "Bearer";
            credentials_file = lib.scrape.credential server.service;
          };
          relabel_configs = [
            {
              target_label = "job";
              replacement = data.${server.engine}.job;
            }
          ];
        }
      ) (filter locked reached);
      gateway = lib.deployment.gatewayOn deployment scraper;
      proxies =
        if (gateway.metricsPort or null) == null then
          [ ]
        else
          [
            (
              job data.traefik.job [ (target "127.0.0.1" gateway.metricsPort { machine = scraper; }) ]
              // {
                metric_relabel_configs = [
                  {
                    source_labels = [ "__name__" ];
                    regex = "traefik_tls_certs_not_after";
                    action = "keep";
                  }
                ];
              }
            )
          ];
      exporters = concatMap (
        machine:
        if machine == scraper then
          [ (target "127.0.0.1" data.ports.node { inherit machine; }) ]
        else if mine machine then
          [ (target (lib.address.ofMachine deployment machine) data.ports.node { inherit machine; }) ]
        else
          [ ]
      ) (lib.scrape.machines deployment);
    in
    engines
    ++ withKeys
    ++ proxies
    ++ (
      if exporters == [ ] then
        [ ]
      else
        [
          (
            job data.node.job exporters
            // {
              # A machine exports two thousand series, and this is what rules and dashboards read.
              metric_relabel_configs = [
                {
                  source_labels = [ "__name__" ];
                  regex = "node_(drm|hwmon|systemd|pressure|memory|filesystem)_.*|llm_.*|llmflake_.*|amd_smu_.*";
                  action = "keep";
                }
              ];
            }
          )
        ]
    );

  /**
    Where Prometheus finds the key of a service: systemd hands it over.

    Type: string -> string
    Example: credential "chat" => "/run/credentials/prometheus.service/llm-key-chat"
  */
  credential = service: "/run/credentials/prometheus.service/llm-key-${service}";

  /**
    The services whose keys a machine needs for its scraping.

    Type: deployment -> string -> [string]
  */
  keys =
    deployment: scraper:
    attrNames (
      listToAttrs (
        concatMap (
          config:
          if config ? authorization then
            [
              {
                name = (head config.static_configs).labels.service;
                value = null;
              }
            ]
          else
            [ ]
        ) (lib.scrape.configs deployment scraper)
      )
    );

  /**
    The collectors of node_exporter beyond its own, and the flags that rules need.

    Type: { collectors = [string]; flags = [string]; port = int; }
  */
  exporter = {
    inherit (data.node) collectors;
    flags = [
      "--collector.systemd.enable-start-time-metrics"
      "--collector.systemd.enable-restarts-metrics"
    ];
    port = data.ports.node;
  };
}
