# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The gateway of a machine: Traefik in front, LiteLLM behind it where there is more than one engine. nix/lib/traefik.nix and
  nix/lib/litellm.nix decide what they are told; here it goes into nixpkgs' own modules.
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
    genAttrs
    getExe
    mapAttrsToList
    mkDefault
    mkForce
    mkIf
    mkMerge
    mkOption
    types
    ;
  pure = import ../lib;
  given = config.llmflake.gateway;
  own = given.proxy == "own";
  # After a roll back Ollama answers where another engine did, without a key and with models of its own.
  settings = given // {
    backends = map (
      backend:
      let
        server = config.llmflake.servers.${backend.service} or null;
      in
      if server != null && server.serviceType == "ollama" && lib.hasPrefix "http://127.0.0.1:" backend.url then
        backend
        // {
          engine = "ollama";
          inherit (server) models;
          names = backend.models;
          rolledBack = backend.keyed;
          keyed = false;
          openPaths = [ ];
        }
      else
        backend
    ) given.backends;
  };
  litellm = pure.gateway.behind settings == "litellm";
  credentials = pure.litellm.credentials settings;
  # LiteLLM looks for the module beside its configuration, which nixpkgs puts into the store.
  beside = baseNameOf "${../programs/gateway}";
  wrong = pure.litellm.problem config.services.litellm.package.version;
  cloudKeys = map (cloud: "${settings.name}.${cloud.name}") settings.clouds;
in
{
  options.llmflake.gateway = mkOption {
    type = types.nullOr (
      types.submodule {
        options = import ../services/llm/gateway-options.nix { inherit lib; };
      }
    );
    default = null;
    description = "The gateway in front of the LLM services.";
  };

  config = mkIf (given != null) (mkMerge [
    {
      services.traefik.dynamicConfigOptions = pure.traefik.dynamic settings;
      networking.firewall.interfaces = mkIf own (
        genAttrs settings.interfaces (_: {
          allowedTCPPorts = [ settings.port ];
        })
      );
      llmflake.monitoring.certificateFiles =
        mkIf (settings.tls.certificate != null && config.llmflake.monitoring.exporter.configure)
          {
            ${settings.name} = mkDefault settings.tls.certificate;
          };
      systemd.services.traefik.serviceConfig.LoadCredential = mkIf (settings.tls.certificate != null) [
        "tls-certificate:${settings.tls.certificate}"
        "tls-key:${settings.tls.key}"
      ];
      assertions = [
        {
          assertion = settings.backends != [ ];
          message = "llmflake.gateway.backends: the gateway has no engine behind it; name one";
        }
        {
          assertion = (settings.tls.certificate == null) == (settings.tls.key == null);
          message = "llmflake.gateway.tls: a certificate and its key go together; set both or neither";
        }
      ];
    }
    (mkIf own {
      services.traefik = {
        enable = true;
        staticConfigOptions = pure.traefik.static settings;
      };
      services.tailscale.permitCertUid = mkIf (settings.tls.resolver == "tailscale") "traefik";
      systemd.services.traefik.serviceConfig = pure.unit.helper // {
        AmbientCapabilities = "cap_net_bind_service";
        CapabilityBoundingSet = mkForce "cap_net_bind_service";
        ProtectSystem = mkForce "strict";
      };
    })
    (mkIf litellm {
      assertions = [
        {
          assertion = wrong == null;
          message = "services.litellm: ${toString wrong}";
        }
      ];
      llmflake.keys = lib.listToAttrs (
        mapAttrsToList (_: name: {
          inherit name;
          value = {
            restartUnits = [ "litellm.service" ];
            prompted = lib.elem name cloudKeys;
          };
        }) credentials
      );
      services.litellm = {
        enable = true;
        port = settings.litellmPort;
        settings = pure.litellm.settings settings beside;
        environment = pure.litellm.environment;
      };
      systemd.services.litellm.serviceConfig = pure.unit.helper // {
        # Tokenizers and regular expressions are compiled at run time, and allocators read /proc.
        MemoryDenyWriteExecute = false;
        ProcSubset = "all";
        LoadCredential = mapAttrsToList (
          credential: name: "${credential}:${config.llmflake.keyFiles.${name}}"
        ) credentials;
        Restart = "always";
        RestartSec = 5;
        ExecStart = mkForce (
          utils.escapeSystemdExecArgs (
            pure.keys.run {
              shell = pkgs.runtimeShell;
              program = "${../programs/with-keys.sh}";
              keys = pure.litellm.keys settings;
              command = [
                (getExe config.services.litellm.package)
                "--host"
                config.services.litellm.host
                "--port"
                (toString config.services.litellm.port)
                "--config"
                "${(pkgs.formats.yaml { }).generate "config.yaml" config.services.litellm.settings}"
              ];
            }
          )
        );
      };
    })
  ]);
}
