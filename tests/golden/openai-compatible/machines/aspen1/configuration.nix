# Managed by llmflake: generated; change the spec and generate again.
# What is yours goes into machines/aspen1/local.nix, which llmflake never writes.
{
  imports = [ (import ../../nix/modules/machine.nix ./.) ];

  nixpkgs.hostPlatform = "x86_64-linux";

  llmflake.host = {
    tune = true;
    hardware = {
      accelerator = "rocm";
      target = "gfx1151";
      renderNode = "/dev/dri/renderD128";
    };

    # ttm.pages_limit = 25165824 pages of 4 KiB
    gttMiB = 98304;
    gttsizeParameter = false;
    iommu = "default";
    kernelParams = [ ];
    udevRules = true;
    environment = { };
  };
}
