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
      expr = map (place: [ place.title place.id place.x place.y ]) places;
      expected = [
        [ "one" 1 0 0 ]
        [ "a" 2 0 1 ]
        [ "b" 3 8 1 ]
        [ "c" 4 16 1 ]
        [ "d" 5 0 9 ]
        [ "two" 6 0 17 ]
        [ "e" 7 0 18 ]
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
