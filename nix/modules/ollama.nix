# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Ollama, through nixpkgs' own module.
*/
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) filterAttrs mkIf;
  servers = filterAttrs (
    name: server: config.llmflake.servers.${name}.serviceType == "ollama" && server.problems == [ ]
  ) config.llmflake.resolved;
  server = lib.head (lib.attrValues servers);
  inherit (import ../lib) environment unit;
  packages = import ../overlays/packages.nix pkgs;
in
{
  config = mkIf (servers != { }) {
    services.ollama = {
      enable = true;
      package = packages.ollama server.accelerator;
      inherit (server) host port;
      loadModels = server.pulls;
      environmentVariables = environment.forUnit server.environment;
    };
    systemd.services.ollama-model-loader.serviceConfig = mkIf (server.pulls != [ ]) unit.helper;
    # nixpkgs has it in `render` alone; the card's own nodes belong to `video`.
    systemd.services.ollama.serviceConfig.SupplementaryGroups = mkIf (server.accelerator != "cpu") [ "video" ];
    systemd.services.ollama.wantedBy = mkIf (!server.autoStart) (lib.mkForce [ ]);
    # nixpkgs starts the download at boot, and the download starts the server.
    systemd.services.ollama-model-loader.wantedBy = mkIf (!server.autoStart && server.pulls != [ ]) (
      lib.mkForce [ "ollama.service" ]
    );
  };
}
