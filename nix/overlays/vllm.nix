# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  vLLM for an accelerator, as `vllm`; and, where the flake nix-strix-halo is an input, its build as `vllm-strix-halo`, which
  the binary cache https://cache.hellas.ai serves.

  nixpkgs builds vLLM for NVIDIA or for the CPU unless it is told otherwise; this tells it.

  Type: { accelerator, target, strixHalo ? null } -> overlay
*/
{
  accelerator,
  target,
  strixHalo ? null,
}:
final: prev:
let
  python = prev.python3.override {
    packageOverrides = _: pythonPrev: {
      torch = pythonPrev.torch.override {
        rocmSupport = accelerator == "rocm";
        cudaSupport = accelerator == "cuda";
        gpuTargets = if accelerator == "rocm" then [ target ] else [ ];
      };
    };
  };
in
{
  vllm = python.pkgs.toPythonApplication (
    python.pkgs.vllm.override {
      rocmSupport = accelerator == "rocm";
      cudaSupport = accelerator == "cuda";
      gpuTargets = if accelerator == "rocm" then [ target ] else [ ];
    }
  );
}
// (
  if strixHalo == null then
    { }
  else
    { vllm-strix-halo = strixHalo.packages.${prev.stdenv.hostPlatform.system}.vllm-rocm; }
)
