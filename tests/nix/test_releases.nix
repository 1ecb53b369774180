# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  on = release: {
    inherit release;
    target = "gfx1151";
    quantisation = "mxfp4";
  };
  status = release: (lib.releases.verdict (on release)).status;
in
{
  verdict = {
    test_each_release_that_was_read = {
      expr = map status [
        "0.10.0"
        "0.16.0"
        "0.18.1"
        "0.19.0"
        "0.19.1"
        "0.20.2"
        "0.21.0"
        "0.22.0"
        "0.23.0"
        "0.33.0"
      ];
      expected = [
        "broken"
        "works"
        "works"
        "broken"
        "broken"
        "broken"
        "broken"
        "works"
        "works"
        "works"
      ];
    };
    test_a_release_that_nobody_read_is_unknown = {
      expr = status "0.12.0";
      expected = "unknown";
    };
    test_another_gpu_is_unknown = {
      expr = (lib.releases.verdict (on "0.20.0" // { target = "gfx1100"; })).status;
      expected = "unknown";
    };
    test_no_release_is_unknown = {
      expr = status null;
      expected = "unknown";
    };
  };
  problem = {
    test_a_broken_release_names_a_good_one = {
      expr = builtins.match ".*use vLLM 0\\.23\\.0 .*" (lib.releases.problem (on "0.21.0")) != null;
      expected = true;
    };
    test_an_unknown_release_is_let_through = {
      expr = lib.releases.problem (on "0.12.0");
      expected = null;
    };
  };
  require = {
    test_a_good_release_gives_the_value = {
      expr = lib.releases.require (on "0.23.0") "package";
      expected = "package";
    };
    test_a_broken_release_throws = {
      expr = lib.releases.require (on "0.20.0") "package";
      expectedError = {
        type = "ThrownError";
        msg = "vLLM 0\\.20\\.0 does not work with mxfp4 weights on gfx1151.*use vLLM 0\\.23\\.0";
      };
    };
  };
}
