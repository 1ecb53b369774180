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
  fetched =
    source:
    if source.git != null then
      pkgs.fetchgit {
        url = source.git;
        rev = source.revision;
        inherit (source) hash;
      }
    else
      pkgs.fetchurl { inherit (source) url hash; };
  # llama.cpp at another commit: without the page that llama-server shows, whose packages nixpkgs pins for its own release.
  built =
    source: package:
    package.overrideAttrs (old: {
      # llama.cpp takes a number here and nothing else.
      version = "0";
      src = fetched source;
      nativeBuildInputs = builtins.filter (
        input: input != pkgs.npmHooks.npmConfigHook
      ) old.nativeBuildInputs;
      npmDeps = null;
      preConfigure = ''
        prependToVar cmakeFlags "-DLLAMA_BUILD_COMMIT:STRING=${
          if source.revision == null then "pinned" else builtins.substring 0 7 source.revision
        }"
      '';
      cmakeFlags = old.cmakeFlags ++ [
        "-DLLAMA_BUILD_UI=OFF"
        "-DLLAMA_BUILD_WEBUI=OFF"
      ];
    });
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

    Type: { serviceType, package, source, accelerator, release, target, quantisation } -> derivation
    - source: llmflake.servers.<name>.source, for llama.cpp
  */
  engine =
    {
      serviceType,
      package,
      source,
      accelerator,
      release,
      target,
      quantisation,
    }:
    if serviceType == "llamacpp" then
      if source == null then llamacpp.${accelerator} else built source llamacpp.${accelerator}
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
