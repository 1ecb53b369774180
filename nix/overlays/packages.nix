# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The engines' packages, by accelerator. The only place that knows what nixpkgs calls them.
*/
pkgs:
let
  pure = import ../lib;
  llamacpp = {
    vulkan = pkgs.llama-cpp-vulkan;
    rocm = pkgs.llama-cpp-rocm;
    cuda = pkgs.llama-cpp.override { cudaSupport = true; };
    cpu = pkgs.llama-cpp;
  };
  vllm = {
    nixpkgs = pkgs.vllm;
    nix-strix-halo =
      pkgs.vllm-strix-halo
        or (throw "llmflake: package = \"nix-strix-halo\" needs that flake: add the input nix-strix-halo and the overlay overlays.default of this flake");
  };
in
{
  /**
    The package whose bin/ holds the engine.

    Type: { serviceType, package, accelerator, release, target, quantisation } -> derivation
  */
  engine =
    {
      serviceType,
      package,
      accelerator,
      release,
      target,
      quantisation,
    }:
    if serviceType == "llamacpp" then
      llamacpp.${accelerator}
    else
      let
        chosen = vllm.${package};
      in
      pure.releases.require {
        release = if release == null then chosen.version else release;
        inherit target quantisation;
      } chosen;

  /**
    Type: string -> derivation
  */
  ollama =
    accelerator:
    {
      rocm = pkgs.ollama-rocm;
      cuda = pkgs.ollama-cuda;
      vulkan = pkgs.ollama-vulkan;
      cpu = pkgs.ollama-cpu;
    }
    .${accelerator};
}
