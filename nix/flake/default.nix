# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The outputs of a generated flake.

  Type: { inputs, root } -> attrs
  - root: the flake's directory, which holds deployment.json and machines/
*/
{ inputs, root }:
let
  inherit (inputs) self nixpkgs clan-core;
  inherit (nixpkgs) lib;
  pure = import ../lib;
  file = root + "/deployment.json";
  deployment = lib.importJSON file;

  watched = name: { llmflake.monitoring = pure.monitoring.on deployment name; };

  clan = clan-core.lib.clan {
    inherit self;
    meta.name = deployment.clan.name;
    specialArgs = { inherit inputs; };
    modules.llm = ../services/llm;
    # The location makes errors name the file.
    inventory = lib.setDefaultModuleLocation file (pure.deployment.inventory deployment);
    machines = lib.mapAttrs (name: _: watched name) deployment.machines;
  };

  systems = lib.unique (lib.mapAttrsToList (_: machine: machine.system) deployment.machines);
  machinesOf = system: lib.filterAttrs (_: machine: machine.system == system) deployment.machines;
  toplevel = name: clan.config.nixosConfigurations.${name}.config.system.build.toplevel;
  overlayFor =
    machine:
    import ../overlays/vllm.nix {
      inherit (machine.host.hardware) accelerator target;
      strixHalo = inputs.nix-strix-halo or null;
    };
in
{
  clan = clan.config;
  inherit (clan.config) clanInternals nixosConfigurations;

  nixosModules = lib.mapAttrs (name: machine: {
    imports = [ ../modules ];
    llmflake = {
      host = machine.host // {
        tune = true;
      };
      servers = pure.deployment.serversOn deployment name;
      monitoring = pure.monitoring.on deployment name;
      gateway = pure.deployment.gatewayOn deployment name;
      strixHalo = inputs.nix-strix-halo or null;
    };
  }) deployment.machines;

  # For a Prometheus and a Grafana that are configured elsewhere, by the machine that runs them; docs/monitoring.md.
  monitoring = lib.genAttrs (deployment.monitoring.machines or [ ]) (machine: {
    scrapeConfigs = pure.scrape.configs deployment machine;
    ruleGroups = pure.monitoring.ruleGroups deployment;
    dashboards = pure.dashboard.all deployment;
    onix = {
      prometheus = pure.onix.prometheus deployment machine;
      inherit (pure.onix) grafana;
    };
  });

  # For a Traefik that onix-core's tailscale-traefik configures: settings of its services, by gateway.
  tailscaleTraefik = lib.mapAttrs (
    _: gateway:
    pure.traefik.onix clan.config.nixosConfigurations.${gateway.machine}.config.llmflake.gateway
  ) (deployment.gateways or { });

  overlays = lib.mapAttrs (_: overlayFor) deployment.machines // {
    default = overlayFor (lib.head (lib.attrValues deployment.machines));
  };

  # The machines; what runs on them beside the engines; and images whose hash the lock has, for `podman load`.
  packages = lib.genAttrs systems (
    system:
    let
      pkgs = nixpkgs.legacyPackages.${system};
      prefixed = prefix: lib.mapAttrs' (name: lib.nameValuePair "${prefix}-${name}");
    in
    prefixed "llmflake" (import ../programs pkgs)
    // prefixed "image" (
      lib.mapAttrs (_: pkgs.dockerTools.pullImage) (
        pure.images.pulls {
          inherit (pkgs.go) GOARCH;
          images = deployment.images or { };
        }
      )
    )
    // lib.mapAttrs (name: _: toplevel name) (machinesOf system)
  );

  checks = lib.genAttrs systems (
    system:
    import ./checks.nix {
      inherit lib deployment;
      pkgs = nixpkgs.legacyPackages.${system};
      machines = lib.mapAttrs (name: _: clan.config.nixosConfigurations.${name}.config) (machinesOf system);
    }
  );

  # For nix-unit: nix run nixpkgs#nix-unit -- --flake .#tests
  tests = import ../../tests/nix;
}
