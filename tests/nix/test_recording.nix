# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  deployment = import ./monitored.nix;
  records = map (rule: rule.record);
  only = name: builtins.filter (rule: rule.record == name) (lib.recording.facts deployment);
in
{
  revived = {
    test_the_names_of_vllm_where_vllm_is = {
      expr = records (lib.recording.revived [ "vllm" ]);
      expected = [
        "vllm_num_requests_running"
        "vllm_gpu_cache_usage_percent"
        "vllm_num_generation_tokens_total"
        "vllm_num_requests_waiting"
        "vllm_e2e_request_latency_seconds_bucket"
      ];
    };
    test_none_where_nothing_is = {
      expr = lib.recording.revived [ ];
      expected = [ ];
    };
  };
  facts = {
    test_a_service_knows_its_unit = {
      expr = (builtins.head (only "llm:service_info")).labels;
      expected = {
        engine = "vllm";
        machine = "aspen1";
        metrics = "yes";
        name = "vllm.service";
        service = "batch";
        starts = "demand";
      };
    };
    test_the_plans_floor_is_a_series = {
      expr = only "llm:plan_decode_floor_tokens_per_second";
      expected = [
        {
          record = "llm:plan_decode_floor_tokens_per_second";
          expr = "vector(6.5)";
          labels = {
            machine = "aspen1";
            service = "batch";
          };
        }
      ];
    };
    test_gtt_is_in_bytes = {
      expr = map (rule: rule.expr) (only "llm:gtt_asked_bytes");
      expected = [
        "vector(123480309760)"
        "vector(103079215104)"
      ];
    };
  };
  common.test_engines_have_one_name = {
    expr = (builtins.head lib.recording.common).expr;
    expected = "sum by (machine, service) (vllm:num_requests_running) or sum by (machine, service) (llamacpp:requests_processing)";
  };
  groups = {
    test_facts_come_before_what_reads_them = {
      expr = (builtins.head (builtins.head (lib.recording.groups deployment [ ])).rules).record;
      expected = "llm:service_info";
    };
    test_an_empty_group_is_none = {
      expr = map (group: group.name) (lib.recording.groups deployment [ ]);
      expected = [ "llmflake" ];
    };
  };
}
