# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  stat = {
    kind = "stat";
    show = "value";
    unit = "suffix:days";
  };
  curve = {
    kind = "timeseries";
    unit = "short";
  };
  defaults = panel: (lib.panel.look panel).fieldConfig.defaults;
  steps = panel: map (step: step.color) (defaults panel).thresholds.steps;
  # Where each of so many panels begins, and how wide it is.
  lines =
    count:
    map (
      at:
      let
        inherit (lib.panel.place count at) x y w;
      in
      "${toString x}+${toString w},${toString y}"
    ) (builtins.genList (at: at) count);
in
{
  height = {
    test_three_take_one_line = {
      expr = map lib.panel.height [
        1
        3
        4
      ];
      expected = [
        8
        8
        16
      ];
    };
  };
  place = {
    test_one_fills_its_line = {
      expr = lines 1;
      expected = [ "0+24,0" ];
    };
    test_four_are_two_and_two = {
      expr = lines 4;
      expected = [
        "0+12,0"
        "12+12,0"
        "0+12,8"
        "12+12,8"
      ];
    };
    test_of_seven_three_come_first = {
      expr = lines 7;
      expected = [
        "0+8,0"
        "8+8,0"
        "16+8,0"
        "0+12,8"
        "12+12,8"
        "0+12,16"
        "12+12,16"
      ];
    };
  };
  look = {
    test_without_a_limit_no_number_is_good_or_bad = {
      expr = steps stat;
      expected = [ "text" ];
    };
    test_what_is_above_its_limit_is_red = {
      expr = steps (stat // { limit = 180; });
      expected = [
        "green"
        "red"
      ];
    };
    test_what_is_below_its_limit_is_red = {
      expr = steps (
        stat
        // {
          limit = 14;
          below = true;
        }
      );
      expected = [
        "red"
        "green"
      ];
    };
    test_a_line_is_drawn_at_a_limit_and_the_axis_reaches_it = {
      expr = (defaults (curve // { limit = 95; })).custom;
      expected = {
        axisSoftMax = 95;
        thresholdsStyle.mode = "dashed";
      };
    };
    test_an_axis_that_ends_somewhere_ends_there = {
      expr =
        let
          found = defaults (
            curve
            // {
              limit = 0.9;
              max = 1;
            }
          );
        in
        {
          inherit (found) max custom;
        };
      expected = {
        max = 1;
        custom.thresholdsStyle.mode = "dashed";
      };
    };
    test_a_number_has_its_word_and_its_colour = {
      expr =
        (defaults (
          stat
          // {
            values = [
              {
                value = 0;
                text = "no";
                colour = "red";
              }
            ];
          }
        )).mappings;
      expected = [
        {
          type = "value";
          options."0" = {
            text = "no";
            color = "red";
          };
        }
      ];
    };
    test_nothing_has_a_word_and_is_neither_good_nor_bad = {
      expr = map (mapping: mapping.options.result) (defaults (stat // { empty = "none"; })).mappings;
      expected = [
        {
          text = "none";
          color = "text";
        }
      ];
    };
    test_curves_have_a_word_for_nothing_too = {
      expr = (defaults (curve // { empty = "none"; })).noValue;
      expected = "none";
    };
    test_series_look_by_their_legend = {
      expr = map (override: "${override.matcher.options} ${(builtins.head override.properties).id}") (
        lib.panel.look (
          curve
          // {
            series = [
              {
                name = "/ failed$/";
                colour = "red";
              }
              {
                name = "/ limit$/";
                dashes = true;
              }
            ];
          }
        )
      ).fieldConfig.overrides;
      expected = [
        "/ failed$/ color"
        "/ limit$/ custom.lineStyle"
      ];
    };
    test_names_stand_below_each_other = {
      expr = (lib.panel.look (stat // { show = "name"; })).options.orientation;
      expected = "horizontal";
    };
    test_curves_have_no_options_of_a_stat = {
      expr = (lib.panel.look curve) ? options;
      expected = false;
    };
  };
}
