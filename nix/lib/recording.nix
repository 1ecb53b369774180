# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    map
    toJSON
    ;
  data = builtins.fromTOML (builtins.readFile ../data/metrics.toml);
  rule = record: expr: { inherit record expr; };
  group = name: rules: if rules == [ ] then [ ] else [ { inherit name rules; } ];
  # What an engine's metric is, under one name for all engines; labels other than these two differ between engines.
  by = expr: "sum by (machine, service) (${expr})";
  either = vllm: llamacpp: "${by vllm} or ${by llamacpp}";
  # Both parts of a quotient are summed, each over the same servers.
  quotient = above: below: "${by above} / ${by below}";
  # A metric of a unit, with what the unit's service is called.
  ofUnit = expr: labels: "${expr} * on (machine, name) group_left (${labels}) llm:service_info";
in
{
  /**
    Names that somebody charts and that no program exports, each as the expression that stands for it.

    Type: [string] -> [{ record, expr }]
    - features: what the deployment has, see `monitoring.features`
  */
  revived =
    features:
    map (entry: rule entry.name entry.expr) (
      filter (entry: builtins.elem entry.needs features) data.revived
    );

  /**
    What is known before anything runs, as series: which unit a service is, what its plan promises, what GTT was asked for.

    Type: deployment -> [{ record, expr, labels }]
  */
  facts =
    deployment:
    map (server: {
      record = "llm:service_info";
      expr = "vector(1)";
      labels = {
        inherit (server) engine machine service starts;
        name = "${server.unit}.service";
        metrics = if server.metrics then "yes" else "no";
      };
    }) (lib.scrape.servers deployment)
    ++ concatMap (
      service:
      map (machine: {
        record = "llm:plan_decode_floor_tokens_per_second";
        expr = "vector(${toJSON deployment.monitoring.floors.${service}.${machine}})";
        labels = { inherit machine service; };
      }) (attrNames deployment.monitoring.floors.${service})
    ) (attrNames deployment.monitoring.floors)
    ++ map (machine: {
      record = "llm:gtt_asked_bytes";
      expr = "vector(${toJSON (deployment.machines.${machine}.host.gttMiB * 1024 * 1024)})";
      labels = { inherit machine; };
    }) (filter (machine: deployment.machines.${machine}.host ? gttMiB) (lib.scrape.machines deployment));

  /**
    What engines have in common, under one name each, and how systemd sees their units.

    Type: [{ record, expr }]
  */
  common = [
    (rule "llm:requests_running" (either "vllm:num_requests_running" "llamacpp:requests_processing"))
    (rule "llm:requests_waiting" (either "vllm:num_requests_waiting" "llamacpp:requests_deferred"))
    (rule "llm:generation_tokens:rate5m" (
      either "rate(vllm:generation_tokens_total[5m])" "rate(llamacpp:tokens_predicted_total[5m])"
    ))
    (rule "llm:prompt_tokens:rate5m" (
      either "rate(vllm:prompt_tokens_total[5m])" "rate(llamacpp:prompt_tokens_total[5m])"
    ))
    # What one user sees: tokens a second within a request.
    (rule "llm:decode_tokens_per_second:rate15m" (
      quotient "rate(vllm:inter_token_latency_seconds_count[15m])" "rate(vllm:inter_token_latency_seconds_sum[15m])"
      + " or "
      + quotient "rate(llamacpp:tokens_predicted_total[15m])" "rate(llamacpp:tokens_predicted_seconds_total[15m])"
    ))
    # Whether anything is computed at all, also in the middle of a request.
    (rule "llm:engine_steps:increase5m" (
      "${by "increase(vllm:generation_tokens_total[5m])"} + "
      + either "increase(vllm:iteration_tokens_total_count[5m])" "increase(llamacpp:n_decode_total[5m])"
    ))
    (rule "llm:service_state" (
      ofUnit "node_systemd_unit_state{job=\"llm-node\"}" "service, engine, metrics, starts"
    ))
    # node_exporter says of a unit that is not active that it started in 1970, so that it is no young one; and nothing of one
    # that is stopped and that nothing wants, for systemd forgets it.
    (rule "llm:service_age_seconds" (
      ofUnit "(time() - node_systemd_unit_start_time_seconds{job=\"llm-node\"})" "service, engine"
    ))
    (rule "llm:service_restarts:increase1h" (
      ofUnit "increase(node_systemd_service_restart_total{job=\"llm-node\"}[1h])" "service, engine"
    ))
  ];

  /**
    All recording rules of a deployment. Facts come first: within a group rules see what those before them recorded.

    Type: deployment -> [string] -> [{ name, rules }]
  */
  groups =
    deployment: features:
    group "llmflake" (lib.recording.facts deployment ++ lib.recording.common)
    ++ group "llmflake-names" (lib.recording.revived features);
}
