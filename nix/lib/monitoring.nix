# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    any
    attrNames
    attrValues
    elem
    filter
    map
    toJSON
    ;
in
{
  /**
    What a deployment has that a rule or a panel may need: engines by name; "metrics" where one exports any; "amd" for an
    AMD GPU, "gtt" where its limit is set; "floor" where the plan knows how slow is too slow; "models" where model
    files are; "smu" where its exporter runs; "keys" where a service or a gateway has one; "certificates" where a gateway's
    is a file, or its Traefik tells.

    Type: deployment -> [string]
  */
  features =
    deployment:
    let
      servers = lib.scrape.servers deployment;
      machines = map (name: deployment.machines.${name}.host) (lib.scrape.machines deployment);
      gateways = map (gateway: gateway.settings) (attrValues (deployment.gateways or { }));
      has = name: condition: if condition then [ name ] else [ ];
    in
    filter (engine: any (server: server.engine == engine) servers) [
      "llamacpp"
      "ollama"
      "openai-compatible"
      "vllm"
    ]
    ++ has "metrics" (any (server: server.metrics) servers)
    ++ has "amd" (any (host: host.hardware.accelerator == "rocm") machines)
    ++ has "gtt" (any (host: host ? gttMiB) machines)
    ++ has "floor" (attrValues deployment.monitoring.floors != [ ])
    ++ has "models" (attrNames deployment.models != [ ])
    ++ has "smu" deployment.monitoring.smuExporter
    ++ has "keys" (gateways != [ ] || any (server: server.apiKey) servers)
    ++ has "certificates" (
      any (gateway: (gateway.tls.certificate or null) != null || (gateway.metricsPort or null) != null) gateways
    );

  /**
    The rules of a deployment, recording rules first.

    Type: deployment -> [{ name, rules }]
  */
  ruleGroups =
    deployment:
    let
      features = lib.monitoring.features deployment;
    in
    lib.recording.groups deployment features ++ lib.alerts.groups deployment features;

  /**
    The rules as the text of a file of Prometheus: JSON, which is YAML.

    Type: deployment -> string
  */
  ruleFile = deployment: toJSON { groups = lib.monitoring.ruleGroups deployment; };

  /**
    What a machine is told, as the options `llmflake.monitoring`; nothing where the deployment is not watched. `rolledBack`
    is what it is told instead while it is rolled back to Ollama.

    Type: deployment -> string -> attrs
  */
  on =
    deployment: machine:
    let
      settings = deployment.monitoring;
      rolled = lib.rollback.deployment deployment machine;
      told = of: {
        scrapeConfigs = lib.scrape.configs of machine;
        scrapeKeys = lib.scrape.keys of machine;
        ruleFile = lib.monitoring.ruleFile of;
        dashboards = lib.dashboard.all of;
      };
    in
    if !(deployment ? monitoring) then
      { }
    else
      {
        exporter = {
          configure = elem machine (lib.scrape.machines deployment);
          enable = settings.nodeExporter;
          interfaces = if elem machine settings.machines then [ ] else settings.expose;
        };
        smuExporter =
          settings.smuExporter && (deployment.machines.${machine}.host.hardware.target or null) == "gfx1151";
      }
      // (
        if elem machine settings.machines then
          {
            prometheus.enable = settings.prometheus;
            grafana.enable = settings.grafana;
          }
          // told deployment
          # Comparing whole deployments would evaluate all of them.
          // (if rolled ? standIns then { rolledBack = told rolled; } else { })
        else
          { }
      );

  /**
    The directory of a machine in which Grafana finds the dashboards.

    Type: string
  */
  dashboardDirectory = "/etc/llmflake/dashboards";

  /**
    The provider that tells Grafana of them: an item of `services.grafana.provision.dashboards.settings.providers`.

    Type: attrs
  */
  dashboardProvider = {
    name = "llmflake";
    folder = "LLM";
    type = "file";
    disableDeletion = true;
    options.path = lib.monitoring.dashboardDirectory;
  };
}
