# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  value = name: flag: {
    inherit name flag;
    kind = "value";
  };
  negatable = name: flag: {
    inherit name flag;
    kind = "negatable";
  };
in
{
  /**
    The typed flags of `vllm serve`, in the order in which they are printed.

    Type: [{ name, flag, kind }]
  */
  table = [
    (value "maxModelLen" "--max-model-len")
    (value "gpuMemoryUtilization" "--gpu-memory-utilization")
    (value "kvCacheMemoryBytes" "--kv-cache-memory-bytes")
    (value "maxNumSeqs" "--max-num-seqs")
    (value "maxNumBatchedTokens" "--max-num-batched-tokens")
    (value "maxNumQueuedReqs" "--max-num-queued-reqs")
    (value "tensorParallelSize" "--tensor-parallel-size")
    (negatable "enforceEager" "--enforce-eager")
    (value "dtype" "--dtype")
    (value "kvCacheDtype" "--kv-cache-dtype")
    (value "quantization" "--quantization")
    (value "attentionBackend" "--attention-backend")
    (value "moeBackend" "--moe-backend")
    (negatable "enablePrefixCaching" "--enable-prefix-caching")
    (negatable "enableAutoToolChoice" "--enable-auto-tool-choice")
    (value "toolCallParser" "--tool-call-parser")
    (value "reasoningParser" "--reasoning-parser")
    (negatable "trustRemoteCode" "--trust-remote-code")
  ];

  /**
    Flags that the service sets by itself: in `extraArgs` they would be given twice.

    Type: [string]
  */
  owned = [
    "--model"
    "--host"
    "--port"
    "--served-model-name"
  ];

  /**
    The arguments of `vllm serve`, the model first.

    Type: { model, servedModelName, host, port, flags, extraArgs } -> [string]
    Example: arguments { model = "m"; servedModelName = null; host = "::1"; port = 8000; flags = { }; extraArgs = [ ]; }
      => [ "m" "--host" "::1" "--port" "8000" ]
  */
  arguments =
    {
      model,
      servedModelName,
      host,
      port,
      flags,
      extraArgs,
    }:
    [
      model
      "--host"
      host
      "--port"
      (lib.args.render port)
    ]
    ++ (
      if servedModelName == null then
        [ ]
      else
        [
          "--served-model-name"
          servedModelName
        ]
    )
    ++ lib.args.fromTable lib.vllm-args.table flags
    ++ extraArgs;
}
