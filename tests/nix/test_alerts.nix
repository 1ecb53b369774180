# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = import ./monitored.nix;
  rules = features: (builtins.head (lib.alerts.groups deployment features)).rules;
  only = name: builtins.head (builtins.filter (rule: rule.alert == name) (rules (lib.monitoring.features deployment)));
in
{
  letters.test_one_by_one = {
    expr = lib.alerts.letters "Abc";
    expected = [
      "A"
      "b"
      "c"
    ];
  };
  mounts = {
    test_every_folder_above_may_be_one = {
      expr = lib.alerts.mounts [ "/var/lib" ];
      expected = "/|/var|/var/lib";
    };
    test_a_folder_that_two_share_is_there_once = {
      expr = lib.alerts.mounts [
        "/a/b"
        "/a/c"
      ];
      expected = "/|/a|/a/b|/a/c";
    };
    test_dots_and_pluses_mean_themselves = {
      expr = lib.alerts.mounts [ "/gpt+1.5" ];
      expected = "/|/gpt\\\\+1\\\\.5";
    };
  };
  anchor.test_github_writes_it_small = {
    expr = lib.alerts.anchor "LlmKvCacheFull";
    expected = "RUNBOOK.md#llmkvcachefull";
  };
  groups = {
    test_a_threshold_of_the_deployment_is_filled_in = {
      expr = (only "LlmKvCacheFull").expr;
      expected = "vllm:kv_cache_usage_perc > 0.9";
    };
    test_people_get_a_sentence_a_severity_and_a_section = {
      expr = {
        inherit (only "LlmHung") labels;
        annotations = builtins.attrNames (only "LlmHung").annotations;
      };
      expected = {
        labels.severity = "critical";
        annotations = [
          "description"
          "runbook"
          "summary"
        ];
      };
    };
    test_nothing_is_left_to_fill_in = {
      expr = builtins.filter (rule: builtins.match ".*@[a-z_]+@.*" (builtins.replaceStrings [ "\n" ] [ " " ] rule.expr) != null) (
        rules (lib.monitoring.features deployment)
      );
      expected = [ ];
    };
    test_without_vllm_there_is_no_alert_of_its_cache = {
      expr = builtins.filter (rule: rule.alert == "LlmKvCacheFull") (
        rules [
          "llamacpp"
          "metrics"
        ]
      );
      expected = [ ];
    };
  };
}
