# Managed by llmflake: generated; change the spec and generate again.
# What is yours goes into machines/aspen1/local.nix, which llmflake never writes.
{
  imports = [ (import ../../nix/modules/machine.nix ./.) ];

  nixpkgs.hostPlatform = "x86_64-linux";
  system.stateVersion = "26.05";

  llmflake.host = {
    tune = true;
    hardware = {
      accelerator = "rocm";
      target = "gfx1151";
      renderNode = "/dev/dri/renderD128";
    };

    # ttm.pages_limit = 30146560 pages of 4 KiB
    gttMiB = 117760;
    gttsizeParameter = false;
    iommu = "off";
    kernelPackage = "linuxPackages_latest";
    minimumKernel = "6.18.4";
    kernelParams = [ ];
    udevRules = true;
    environment.HSA_ENABLE_SDMA = "0";
  };
}
