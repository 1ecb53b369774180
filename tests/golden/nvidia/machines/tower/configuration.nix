# Managed by llmflake: generated; change the spec and generate again.
# What is yours goes into machines/tower/local.nix, which llmflake never writes.
{
  imports = [ (import ../../nix/modules/machine.nix ./.) ];

  nixpkgs.hostPlatform = "x86_64-linux";

  llmflake.host = {
    tune = true;
    hardware = {
      accelerator = "cuda";
      target = "sm_89";
      renderNode = "/dev/dri/renderD128";
    };
    gttsizeParameter = false;
    iommu = "default";
    kernelParams = [ ];
    udevRules = true;
    environment = { };
  };
}
