# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = import ./monitored.nix;
  panel = row: title: {
    inherit row title;
    about = "What falls.";
    kind = "stat";
    show = "name";
    unit = "short";
    interval = "30s";
    queries = [
      {
        expr = "up";
        legend = "{{machine}}";
        conditional = "it rains";
      }
    ];
  };
  drawn = lib.dashboard.layout [
    (panel "one" "a")
    (panel "one" "b")
    (panel "one" "c")
    (panel "one" "d")
    (panel "two" "e")
  ];
  places = map (
    entry:
    entry.gridPos
    // {
      inherit (entry) id title;
    }
  ) drawn;
in
{
  panels = {
    test_only_those_of_what_is_there = {
      expr = builtins.filter (entry: entry.row == "System management unit") (lib.dashboard.panels deployment);
      expected = [ ];
    };
    test_mount_points_are_filled_in = {
      expr = map (entry: builtins.match ".*mountpoint=~\"/\\|/var\\|.*" (builtins.head entry.queries).expr != null) (
        builtins.filter (entry: entry.title == "Free for models") (lib.dashboard.panels deployment)
      );
      expected = [ true ];
    };
    test_a_limit_is_the_threshold_of_its_alert = {
      expr = map (entry: entry.limit) (
        builtins.filter (entry: entry.title == "KV cache") (lib.dashboard.panels deployment)
      );
      expected = [ deployment.monitoring.alerts.kv_cache ];
    };
    test_a_query_of_what_is_not_there_is_left_out = {
      expr =
        let
          without = lib.dashboard.panels (
            deployment
            // {
              monitoring = deployment.monitoring // {
                floors = { };
              };
            }
          );
        in
        map (entry: builtins.length entry.queries) (
          builtins.filter (entry: entry.title == "Tokens a second, within a request") without
        );
      expected = [ 1 ];
    };
  };
  layout = {
    test_beside_each_other_below_a_heading = {
      expr = map (
        {
          title,
          id,
          x,
          y,
          ...
        }:
        "${title} is ${toString id} at ${toString x}, ${toString y}"
      ) places;
      expected = [
        "one is 1 at 0, 0"
        "a is 2 at 0, 1"
        "b is 3 at 12, 1"
        "c is 4 at 0, 9"
        "d is 5 at 12, 9"
        "two is 6 at 0, 17"
        "e is 7 at 0, 18"
      ];
    };
    test_a_panel_says_until_when_it_is_empty = {
      expr = (builtins.elemAt drawn 1).description;
      expected = "What falls. Empty until it rains.";
    };
    test_one_query_of_many_makes_no_panel_empty = {
      expr =
        let
          one = panel "one" "a";
        in
        (builtins.elemAt (lib.dashboard.layout [
          (
            one
            // {
              queries = one.queries ++ one.queries;
            }
          )
        ]) 1).description;
      expected = "What falls.";
    };
    test_a_stat_asks_for_now_and_rates_know_how_often_is_scraped = {
      expr =
        let
          target = builtins.head (builtins.elemAt drawn 1).targets;
        in
        {
          inherit (target) instant range interval;
        };
      expected = {
        instant = true;
        range = false;
        interval = "30s";
      };
    };
    test_the_datasource_is_a_variable = {
      expr = (builtins.head (builtins.elemAt drawn 1).targets).datasource.uid;
      expected = "\${datasource}";
    };
  };
  all.test_one_file = {
    expr = builtins.mapAttrs (_: dashboard: dashboard.title) (lib.dashboard.all deployment);
    expected."llm.json" = "LLM services of aspen";
  };
}
