# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib: {
  /**
    Settings of onix-core's own `prometheus` module, role server: what is scraped, and the rules as a file. `rules` of that
    module would be wrong: NixOS makes one document of all its texts, in which `groups` may stand once.

    Type: deployment -> string -> { additionalScrapeConfigs, ruleFiles }
    - machine: the one that runs that instance of Prometheus
  */
  prometheus = deployment: machine: {
    additionalScrapeConfigs = lib.scrape.configs deployment machine;
    ruleFiles = [ (builtins.toFile "llmflake-rules.json" (lib.monitoring.ruleFile deployment)) ];
  };

  /**
    Settings of onix-core's own `grafana` module, role server. The dashboards are laid by `nixosModules.<machine>`.

    Type: { dashboards }
  */
  grafana.dashboards = [ lib.monitoring.dashboardProvider ];
}
