# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Servers from nixpkgs: one systemd unit each, with the GPU and nothing else of the machine.
*/
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib)
    filterAttrs
    getExe'
    mapAttrs'
    mkIf
    nameValuePair
    ;
  pure = import ../lib;
  servers = filterAttrs (
    name: server:
    server.runtime == "native"
    && server.problems == [ ]
    && config.llmflake.servers.${name}.serviceType != "ollama"
  ) config.llmflake.resolved;
  packages = import ../overlays/packages.nix pkgs;
  host = config.llmflake.host.hardware;
  keyed =
    keys: command:
    if keys == [ ] then
      command
    else
      pure.keys.run {
        shell = pkgs.runtimeShell;
        program = "${../programs/with-keys.sh}";
        inherit keys command;
      };
  hasVllm = lib.any (name: config.llmflake.servers.${name}.serviceType == "vllm") (
    builtins.attrNames servers
  );
in
{
  options.llmflake.strixHalo = lib.mkOption {
    type = lib.types.raw;
    default = null;
    internal = true;
    description = "The flake nix-strix-halo, where it is an input.";
  };

  config = mkIf (servers != { }) {
    nixpkgs.overlays = lib.optional hasVllm (
      import ../overlays/vllm.nix {
        inherit (host) accelerator target;
        inherit (config.llmflake) strixHalo;
      }
    );

    systemd.services = mapAttrs' (
      name: server:
      nameValuePair server.unit {
        wantedBy = lib.optional server.autoStart "multi-user.target";
        after = [ "network.target" ];
        environment = pure.environment.forUnit server.environment;
        serviceConfig = pure.unit.service {
          inherit (server) accelerator jit unit;
          inherit (host) renderNode;
          readOnlyPaths = lib.optional (server.weights != null) server.weights.directory;
        }
        // {
          ExecStart = utils.escapeSystemdExecArgs (
            keyed server.keys (
              [
                (getExe' (packages.engine {
                  inherit (config.llmflake.servers.${name}) serviceType package source;
                  inherit (server) accelerator release;
                  inherit (host) target;
                  quantisation = if server.weights == null then null else server.weights.quantisation;
                }) (lib.head server.binary))
              ]
              ++ lib.tail server.binary
              ++ server.arguments
            )
          );
        };
      }
    ) servers;
  };
}
