# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = import ./monitored.nix;
  settings = lib.onix.prometheus deployment "aspen1";
in
{
  prometheus = {
    test_what_is_scraped = {
      expr = settings.additionalScrapeConfigs;
      expected = lib.scrape.configs deployment "aspen1";
    };
    test_rules_are_a_file = {
      expr = map (file: builtins.fromJSON (builtins.readFile file)) settings.ruleFiles;
      expected = [ { groups = lib.monitoring.ruleGroups deployment; } ];
    };
  };
  grafana.test_the_dashboards_are_a_provider = {
    expr = lib.onix.grafana;
    expected.dashboards = [ lib.monitoring.dashboardProvider ];
  };
}
