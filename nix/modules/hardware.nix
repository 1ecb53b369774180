# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib, ... }:
let
  inherit (lib) mkEnableOption mkOption types;
in
{
  options.llmflake.host = {
    tune = mkEnableOption "kernel, udev and environment for this host's GPU";

    hardware = {
      accelerator = mkOption {
        type = types.enum [
          "rocm"
          "cuda"
          "cpu"
        ];
        default = "rocm";
        description = "How this machine computes: an AMD GPU, an NVIDIA GPU, or the CPU alone.";
      };
      target = mkOption {
        type = types.nullOr types.str;
        default = "gfx1151";
        example = "gfx1100";
        description = "The GPU's architecture: `gfx…` for AMD, `sm_…` for NVIDIA, null for none.";
      };
      renderNode = mkOption {
        type = types.strMatching "/dev/dri/renderD[0-9]+";
        default = "/dev/dri/renderD128";
        description = "The GPU's render node.";
      };
    };

    gttMiB = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 117760;
      description = "How much of the unified memory the GPU may take, in MiB; null is the kernel's own, about half.";
    };
    gttsizeParameter = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to set the deprecated `amdgpu.gttsize` too, to the same size; the kernel warns about it.";
    };
    iommu = mkOption {
      type = types.enum [
        "default"
        "off"
        "passthrough"
      ];
      default = "default";
      description = "`off` reads memory some 6 % faster, and takes away the NPU and device passthrough.";
    };
    kernelParams = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "amdgpu.cwsr_enable=0" ];
      description = "Further kernel parameters.";
    };
    kernelPackage = mkOption {
      type = types.nullOr (types.strMatching "linuxPackages[A-Za-z0-9_]*");
      default = null;
      example = "linuxPackages_latest";
      description = "The kernel, by its name in nixpkgs; null leaves it to the machine.";
    };
    minimumKernel = mkOption {
      type = types.nullOr (types.strMatching "[0-9]+(\\.[0-9]+)*");
      default = null;
      example = "6.18.4";
      description = "The oldest kernel that is accepted; evaluation fails below it.";
    };
    udevRules = mkOption {
      type = types.bool;
      default = true;
      description = "Whether every local user may compute on an AMD GPU.";
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        HSA_ENABLE_SDMA = "0";
      };
      description = "ROCm environment of every server on this machine, and of every session.";
    };
  };
}
