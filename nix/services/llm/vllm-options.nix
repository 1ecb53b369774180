# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) mkOption types;
  flag =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };
  inherit (types.ints) positive;
in
{
  maxModelLen = flag positive 4096 "{option}`--max-model-len`: the longest context, in tokens.";
  gpuMemoryUtilization =
    flag (types.numbers.between 0.01 1.0) 0.85
      "{option}`--gpu-memory-utilization`: the share of GPU memory that the engine takes.";
  kvCacheMemoryBytes =
    flag positive 8589934592
      "{option}`--kv-cache-memory-bytes`: the size of the KV cache, instead of what is left over.";
  maxNumSeqs = flag positive 4 "{option}`--max-num-seqs`: how many requests are computed at once.";
  maxNumBatchedTokens =
    flag positive 2048
      "{option}`--max-num-batched-tokens`: how many tokens one step computes.";
  maxNumQueuedReqs =
    flag positive 16
      "{option}`--max-num-queued-reqs`: how many requests may wait before the server answers 503.";
  tensorParallelSize = flag positive 1 "{option}`--tensor-parallel-size`: over how many GPUs a layer is split.";
  enforceEager =
    flag types.bool true
      "{option}`--enforce-eager`: whether to run without compiled graphs.";
  dtype = flag (types.enum [
    "auto"
    "bfloat16"
    "float"
    "float16"
    "float32"
    "half"
  ]) "bfloat16" "{option}`--dtype`: the number format of activations and unquantised weights.";
  kvCacheDtype = flag types.str "auto" "{option}`--kv-cache-dtype`: the number format of the KV cache.";
  quantization = flag types.str "mxfp4" "{option}`--quantization`: how the weights are stored, when the model does not say it.";
  attentionBackend = flag types.str "TRITON_ATTN" "{option}`--attention-backend`: the attention kernels.";
  moeBackend =
    flag types.str "triton"
      "{option}`--moe-backend`: the mixture-of-experts kernels; naming one fails fast where it is missing.";
  enablePrefixCaching =
    flag types.bool true
      "{option}`--enable-prefix-caching`: whether equal beginnings of prompts are computed once.";
  enableAutoToolChoice =
    flag types.bool true
      "{option}`--enable-auto-tool-choice`: whether the model may call tools by itself.";
  toolCallParser = flag types.str "openai" "{option}`--tool-call-parser`: how tool calls are read from the output.";
  reasoningParser =
    flag types.str "openai_gptoss"
      "{option}`--reasoning-parser`: how reasoning is read from the output.";
  trustRemoteCode =
    flag types.bool false
      "{option}`--trust-remote-code`: whether code from the model's repository is run.";
}
