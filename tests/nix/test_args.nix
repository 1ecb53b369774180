# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  table = [
    {
      name = "dtype";
      flag = "--dtype";
      kind = "value";
    }
    {
      name = "eager";
      flag = "--eager";
      kind = "negatable";
    }
    {
      name = "metrics";
      flag = "--metrics";
      kind = "switch";
    }
  ];
in
{
  render = {
    test_a_float_keeps_its_digits = {
      expr = lib.args.render 0.85;
      expected = "0.85";
    };
    test_a_string_stays_as_it_is = {
      expr = lib.args.render "\${x} \"quoted\"";
      expected = "\${x} \"quoted\"";
    };
    test_an_integer_and_a_boolean = {
      expr = map lib.args.render [
        4096
        true
        false
      ];
      expected = [
        "4096"
        "true"
        "false"
      ];
    };
    test_a_list_is_refused = {
      expr = lib.args.render [ ];
      expectedError = {
        type = "ThrownError";
        msg = "must be a string, a number or a boolean, not a list";
      };
    };
  };

  fromTable = {
    test_null_and_absent_settings_leave_flags_out = {
      expr = lib.args.fromTable table { dtype = null; };
      expected = [ ];
    };
    test_flags_come_in_the_tables_order = {
      expr = lib.args.fromTable table {
        metrics = true;
        dtype = "auto";
      };
      expected = [
        "--dtype"
        "auto"
        "--metrics"
      ];
    };
    test_a_negatable_switch_says_no = {
      expr = lib.args.fromTable table { eager = false; };
      expected = [ "--no-eager" ];
    };
    test_a_plain_switch_that_is_off_is_left_out = {
      expr = lib.args.fromTable table { metrics = false; };
      expected = [ ];
    };
  };

  flagOf = {
    test_underscores_count_as_dashes = {
      expr = lib.args.flagOf "--max_model_len=4096";
      expected = "--max-model-len";
    };
    test_a_value_is_no_flag = {
      expr = map lib.args.flagOf [
        "4096"
        "-1"
        "a=b"
      ];
      expected = [
        null
        null
        null
      ];
    };
  };

  mentions = {
    test_a_flag_joined_with_its_value_is_found = {
      expr = lib.args.mentions [ "--port" ] [ "--port=80" ];
      expected = true;
    };
    test_the_beginning_of_a_flag_is_not_the_flag = {
      expr = lib.args.mentions [ "--port" ] [ "--ports" ];
      expected = false;
    };
  };
}
