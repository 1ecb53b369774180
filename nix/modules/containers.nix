# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Servers in containers, through nixpkgs' own module. A unit beside each has its image here before it starts, and keeps
  the image of before, to which a rollback goes back without a registry.
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
    any
    elem
    filterAttrs
    getExe
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
  programs = import ../programs pkgs;
  runtime = config.virtualisation.${lib.head runtimes};
  prunesAll = any (flag: elem flag runtime.autoPrune.flags) [
    "--all"
    "-a"
  ];
  daemon = lib.optional (lib.head runtimes == "docker") "docker.service";
  imageUnit = server: "llm-image-${server.unit}";
in
{
  config = mkIf (servers != { }) {
    assertions = [
      {
        assertion = lib.length runtimes == 1;
        message = "llmflake.servers: containers of one machine need one containerRuntime, not both podman and docker; set it alike everywhere";
      }
      {
        assertion = !(runtime.autoPrune.enable && prunesAll);
        message = "virtualisation.${lib.head runtimes}.autoPrune.flags: --all would remove the image that a rollback needs; leave it out";
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
        ${server.unit} = {
          requires = [ "${imageUnit server}.service" ];
          after = [ "${imageUnit server}.service" ];
          serviceConfig = {
            StateDirectory = server.unit;
            CacheDirectory = server.unit;
          };
        };
        ${imageUnit server} = {
          description = "Container image of ${server.unit}";
          wants = [ "network-online.target" ];
          after = [ "network-online.target" ] ++ daemon;
          serviceConfig = {
            Type = "oneshot";
            # Podman wants a HOME, which systemd sets for services that name their user.
            User = "root";
            ExecStart = utils.escapeSystemdExecArgs [
              (getExe programs.image)
              (getExe runtime.package)
              server.unit
              server.image
            ];
            # 10 GB over a home connection takes hours.
            TimeoutStartSec = "infinity";
            Restart = "on-failure";
            RestartSec = 60;
          };
        };
      }) servers
    );
  };
}
