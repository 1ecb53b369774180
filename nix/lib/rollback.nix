# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    attrNames
    elem
    filter
    listToAttrs
    map
    mapAttrs
    ;
in
{
  /**
    The servers of a machine as they are once it was rolled back to Ollama: what changes in the settings of each. A server that
    names Ollama models becomes Ollama, on its own port; on loopback, because Ollama asks for no key. One that takes turns with
    it takes turns with Ollama.

    Type: { servers, units } -> attrs of attrs
    - servers: settings by name; units: the unit of each, without ".service"
    Example: ollama { servers.llm = { rollback.ollama = [ "gpt-oss:20b" ]; conflicts = [ ]; … }; units.llm = "vllm"; }
      => { llm = { serviceType = "ollama"; models = [ "gpt-oss:20b" ]; … }; }
  */
  ollama =
    { servers, units }:
    let
      rolled = filter (name: servers.${name}.rollback.ollama != [ ]) (attrNames servers);
      gone = map (name: units.${name}) rolled;
      turn = unit: if elem unit gone then "ollama" else unit;
      turns = map turn;
      changes =
        name:
        let
          inherit (servers.${name}) health;
        in
        if elem name rolled then
          {
            serviceType = "ollama";
            models = servers.${name}.rollback.ollama;
            host = "127.0.0.1";
            port = servers.${name}.port;
            conflicts = turns servers.${name}.conflicts;
            firewallInterfaces = [ ];
            apiKey = false;
            model = null;
            weights = null;
            servedModelName = null;
            runtime = null;
            containerImage = null;
            containerCommand = null;
            containerPort = null;
            engineVersion = null;
            package = "nixpkgs";
            source = null;
            unit = null;
            extraArgs = [ ];
            extraEnv = { };
            rollback.ollama = [ ];
            # What was said of the other engine's health. Ollama is neither asked at its start nor watched.
            health = {
              readiness = null;
              watchdog = null;
              fallback = null;
              restartAfterRequests = null;
              restartAfterHours = null;
              keyFile = null;
            };
          }
        else
          {
            conflicts = turns servers.${name}.conflicts;
            health.fallback = if health.fallback == null then null else turn health.fallback;
          };
    in
    if rolled == [ ] then
      { }
    else
      listToAttrs (
        map (name: {
          inherit name;
          value = changes name;
        }) (attrNames servers)
      );

  /**
    A deployment as it is while one of its machines is rolled back to Ollama, for what watches it: there Ollama is what runs
    and is not scraped, and no plan promises anything of it.

    Type: deployment -> string -> deployment
    - result: with `standIns`, for `deployment.serversOn`; the deployment itself where the machine has nothing to roll back
  */
  deployment =
    deployment: machine:
    let
      servers = mapAttrs (
        _: settings:
        {
          conflicts = [ ];
          rollback.ollama = [ ];
        }
        // settings
        // {
          health = {
            fallback = null;
          }
          // settings.health or { };
        }
      ) (lib.deployment.serversOn deployment machine);
      rolled = filter (name: servers.${name}.rollback.ollama != [ ]) (attrNames servers);
      changes = lib.rollback.ollama {
        inherit servers;
        units = mapAttrs (_: settings: settings.unit) servers;
      };
      floors = mapAttrs (
        name: floors: if elem name rolled then removeAttrs floors [ machine ] else floors
      ) deployment.monitoring.floors;
    in
    if rolled == [ ] then
      deployment
    else
      deployment
      // {
        standIns.${machine} =
          changes
          // listToAttrs (
            map (name: {
              inherit name;
              value = changes.${name} // {
                unit = "ollama";
              };
            }) rolled
          );
        monitoring = deployment.monitoring // {
          floors = removeAttrs floors (filter (name: floors.${name} == { }) (attrNames floors));
        };
      };
}
