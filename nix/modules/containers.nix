# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Servers in containers, through nixpkgs' own module.
*/
{ config, lib, ... }:
let
  inherit (lib)
    filterAttrs
    mapAttrs'
    mapAttrsToList
    mkIf
    mkMerge
    nameValuePair
    unique
    ;
  pure = import ../lib;
  servers = filterAttrs (_: server: server.runtime == "container" && server.problems == [ ]) config.llmflake.resolved;
  settingsOf = name: config.llmflake.servers.${name};
  keyed =
    server:
    if server.keys == [ ] then
      { cmd = server.command ++ server.arguments; }
    else
      pure.keys.container {
        script = "${../programs/with-keys.sh}";
        inherit (server) keys unit;
        command = server.command ++ server.arguments;
      };
  runtimes = unique (mapAttrsToList (name: _: (settingsOf name).containerRuntime) servers);
in
{
  config = mkIf (servers != { }) {
    assertions = [
      {
        assertion = lib.length runtimes == 1;
        message = "llmflake.servers: containers of one machine need one containerRuntime, not both podman and docker; set it alike everywhere";
      }
    ];

    virtualisation.oci-containers = {
      backend = lib.head runtimes;
      containers = mapAttrs' (
        name: server:
        nameValuePair server.unit (
          {
            inherit (server) image autoStart environment;
            serviceName = server.unit;
            cmd = (keyed server).cmd;
            entrypoint = (keyed server).entrypoint or null;
            devices = pure.container.devices server.accelerator;
            extraOptions = pure.container.options {
              inherit (server) accelerator;
              groupIds = [
                config.users.groups.video.gid
                config.users.groups.render.gid
              ];
            };
            volumes = pure.container.volumes {
              writable = [
                server.stateDirectory
                server.cacheDirectory
              ];
              readOnly = lib.optional (server.weights != null) server.weights.directory;
            }
            ++ (keyed server).volumes or [ ];
          }
          // pure.container.network {
            inherit (server) host port;
            inherit (settingsOf name) containerPort;
          }
        )
      ) servers;
    };

    systemd.services = mkMerge (
      mapAttrsToList (_: server: {
        ${server.unit}.serviceConfig = {
          StateDirectory = server.unit;
          CacheDirectory = server.unit;
        };
      }) servers
    );
  };
}
