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
  inherit (types.ints) positive unsigned;
in
{
  backend = flag (types.enum [
    "vulkan"
    "rocm"
    "cuda"
    "cpu"
  ]) "vulkan" "How llama.cpp computes; null is Vulkan on an AMD GPU, else the GPU's own.";
  ctxSize = flag unsigned 4096 "{option}`--ctx-size`: the context of all slots together, in tokens; 0 is the model's own.";
  nGpuLayers = flag unsigned 99 "{option}`--n-gpu-layers`: how many layers the GPU holds.";
  parallel = flag positive 1 "{option}`--parallel`: how many requests are computed at once.";
  batchSize = flag positive 2048 "{option}`--batch-size`: how many tokens of a prompt are taken at once.";
  ubatchSize = flag positive 512 "{option}`--ubatch-size`: how many of them one step computes.";
  threads = flag positive 8 "{option}`--threads`: how many CPU threads compute.";
  flashAttn = flag (types.enum [
    "on"
    "off"
    "auto"
  ]) "on" "{option}`--flash-attn`: whether attention is computed in one kernel.";
  mmap =
    flag types.bool false
      "{option}`--mmap`: whether the file is mapped instead of read; on ROCm mapping more than 20 GB hangs.";
  cacheTypeK = flag types.str "f16" "{option}`--cache-type-k`: the number format of keys in the KV cache.";
  cacheTypeV = flag types.str "f16" "{option}`--cache-type-v`: the number format of values in the KV cache.";
  jinja = flag types.bool true "{option}`--jinja`: whether the model's own chat template is used.";
  metrics = flag types.bool true "{option}`--metrics`: whether Prometheus metrics are served.";
}
