# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The driver for NVIDIA GPUs, and the container toolkit where containers use one.
*/
{
  config,
  lib,
  ...
}:
let
  inherit (lib) any attrValues mkDefault mkIf;
  cfg = config.llmflake.host;
in
{
  config = mkIf (cfg.tune && cfg.hardware.accelerator == "cuda") {
    hardware.graphics.enable = true;
    hardware.nvidia.open = mkDefault true;
    hardware.nvidia-container-toolkit.enable = mkIf (any (server: server.runtime == "container") (
      attrValues config.llmflake.resolved
    )) true;
    services.xserver.videoDrivers = [ "nvidia" ];
    nixpkgs.config.allowUnfree = mkDefault true;
  };
}
