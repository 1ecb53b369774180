# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = import ./monitored.nix;
  panel = row: title: {
    inherit row title;
    kind = "stat";
    unit = "short";
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
  };
  layout = {
    test_three_beside_each_other_below_a_heading = {
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
        "b is 3 at 8, 1"
        "c is 4 at 16, 1"
        "d is 5 at 0, 9"
        "two is 6 at 0, 17"
        "e is 7 at 0, 18"
      ];
    };
    test_a_panel_says_until_when_it_is_empty = {
      expr = (builtins.elemAt drawn 1).description;
      expected = "Empty until it rains.";
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
