# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  All modules of llmflake: options under `llmflake`, nothing happens until one is set.
*/
{
  imports = [
    ./exporters.nix
    ./hardware.nix
    ./monitoring.nix
    ./strix-halo.nix
    ./nvidia.nix
    ./servers.nix
    ./keys.nix
    ./containers.nix
    ./native.nix
    ./ollama.nix
    ./weights.nix
    ./watchdog.nix
    ./rollback.nix
    ./kept.nix
    ./gateway.nix
  ];
}
