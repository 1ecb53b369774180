# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The pure core: functions from plain attribute sets to plain attribute sets, on `builtins` alone. No nixpkgs `lib`,
  no `pkgs`: every function runs under any Nix without a single input.

  One file is one concept; each receives the whole library (`lib`) and returns its own functions.
*/
let
  modules = {
    address = ./address.nix;
    alerts = ./alerts.nix;
    args = ./args.nix;
    client = ./client.nix;
    container = ./container.nix;
    dashboard = ./dashboard.nix;
    deployment = ./deployment.nix;
    environment = ./environment.nix;
    gateway = ./gateway.nix;
    health = ./health.nix;
    images = ./images.nix;
    kernel = ./kernel.nix;
    kept = ./kept.nix;
    keys = ./keys.nix;
    litellm = ./litellm.nix;
    llama-args = ./llama-args.nix;
    monitoring = ./monitoring.nix;
    onix = ./onix.nix;
    panel = ./panel.nix;
    recording = ./recording.nix;
    releases = ./releases.nix;
    rollback = ./rollback.nix;
    scrape = ./scrape.nix;
    server = ./server.nix;
    traefik = ./traefik.nix;
    udev = ./udev.nix;
    unit = ./unit.nix;
    vllm-args = ./vllm-args.nix;
    watchdog = ./watchdog.nix;
    weights = ./weights.nix;
  };
  lib = builtins.mapAttrs (_: path: import path lib) modules;
in
lib
