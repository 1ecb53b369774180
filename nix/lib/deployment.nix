# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_:
let
  inherit (builtins)
    attrNames
    elem
    filter
    listToAttrs
    mapAttrs
    ;
  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: {
        inherit name;
        value = set.${name};
      }) (filter (name: keep set.${name}) (attrNames set))
    );
  runsOn =
    deployment: machine: service:
    elem machine service.machines
    # clan gives these tags to every NixOS machine.
    || builtins.any (tag: elem tag service.tags) (deployment.machines.${machine}.tags ++ [ "all" "nixos" ]);
in
{
  /**
    The clan inventory of a deployment: its machines, and one instance of the service `llm` for each of its services and
    gateways.

    Type: deployment -> { machines, instances }
  */
  inventory = deployment: {
    machines = mapAttrs (
      _: machine:
      {
        inherit (machine) tags;
      }
      // (if (machine.targetHost or null) == null then { } else { deploy.targetHost = machine.targetHost; })
    ) deployment.machines;
    instances = mapAttrs (_: service: {
      module = {
        name = "llm";
        input = "self";
      };
      roles.server = {
        machines = listToAttrs (
          map (name: {
            inherit name;
            value = { };
          }) service.machines
        );
        tags = listToAttrs (
          map (name: {
            inherit name;
            value = { };
          }) service.tags
        );
        inherit (service) settings;
      };
    }) deployment.services
    // mapAttrs (_: gateway: {
      module = {
        name = "llm";
        input = "self";
      };
      roles.gateway = {
        machines.${gateway.machine} = { };
        inherit (gateway) settings;
      };
    }) (deployment.gateways or { });
  };

  /**
    The settings of the gateway on one machine, or null.

    Type: deployment -> string -> attrs | null
  */
  gatewayOn =
    deployment: machine:
    let
      found = filterAttrs (gateway: gateway.machine == machine) (deployment.gateways or { });
    in
    if found == { } then null else (builtins.head (builtins.attrValues found)).settings;

  /**
    The settings of the servers that run on one machine, by service: directly, or because the machine has a tag. What stands
    in for one there (`standIns.<machine>.<service>`, see nix/lib/rollback.nix) takes the place of its settings.

    Type: deployment -> string -> attrs of settings
  */
  serversOn =
    deployment: machine:
    mapAttrs (name: service: service.settings // (deployment.standIns.${machine}.${name} or { })) (filterAttrs (runsOn deployment machine) deployment.services);
}
