# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    concatMap
    elem
    filter
    foldl'
    head
    length
    listToAttrs
    map
    tail
    ;
  compromised =
    (builtins.fromTOML (builtins.readFile ../data/litellm-releases.toml)).compromised;
  variable = name: "llm_key_" + builtins.replaceStrings [ "-" "." ] [ "_" "_" ] name;
  unique = foldl' (found: name: if elem name found then found else found ++ [ name ]) [ ];
in
{
  /**
    What is wrong with a release of LiteLLM, or null.

    Type: string -> string | null
    Example: problem "1.82.7" => "LiteLLM 1.82.7 was published by an attacker…"
  */
  problem =
    version:
    let
      found = filter (entry: entry.version == version) compromised;
    in
    if found == [ ] then
      null
    else
      "LiteLLM ${version} was ${(head found).reason} (${(head found).source}); set services.litellm.package to another release";

  /**
    The keys that LiteLLM needs, as systemd hands them over: by credential, the name of the key (`llmflake.keys`).

    Type: settings -> attrs of string
    Example: credentials { name = "front"; clients = [ "ann" ]; … } => { client-ann = "front.ann"; … }
  */
  credentials =
    settings:
    let
      # Rolled back to Ollama, the one service has no key any more, and its clients still have it.
      only = head settings.backends;
      kept =
        settings.clients == [ ]
        && settings.clouds == [ ]
        && length settings.backends == 1
        && only.rolledBack or false;
    in
    listToAttrs (
      map (client: {
        name = "client-${client}";
        value = if kept then only.service else "${settings.name}.${client}";
      }) (lib.gateway.clients settings)
      ++ map (backend: {
        name = "backend-${backend.service}";
        value = backend.service;
      }) (filter (backend: backend.keyed) settings.backends)
      ++ map (cloud: {
        name = "cloud-${cloud.name}";
        value = "${settings.name}.${cloud.name}";
      }) settings.clouds
    );

  /**
    What `with-keys` puts into LiteLLM's own environment: the keys of engines and clouds, which it takes from nowhere else.

    Type: settings -> [string]
    Example: keys { backends = [ { service = "a"; keyed = true; … } ]; clouds = [ ]; … }
      => [ "llm_key_backend_a=/run/credentials/litellm.service/backend-a" ]
  */
  keys =
    settings:
    map (name: "${variable name}=${lib.keys.credential "litellm" name}") (
      filter (name: builtins.substring 0 7 name != "client-") (
        builtins.attrNames (lib.litellm.credentials settings)
      )
    );

  /**
    `services.litellm.settings`: one group for each service, its engine or engines in it; other groups answer where a group
    fails before its first byte, in order. A service is asked for by its own name or by its model's. The answer's header
    `x-litellm-model-id` names who answered: `<service>.<machine>` or `<cloud>.<provider>`. No such name is a group's: asked for
    a deployment by its name, LiteLLM looks at neither budgets nor failures.

    Type: settings -> string -> attrs
    - directory: the name of nix/programs/gateway as it lies beside the configuration
  */
  settings =
    settings: directory:
    let
      inherit (settings) backends clouds timeouts;
      common = {
        timeout = timeouts.totalSeconds;
        stream_timeout = timeouts.firstTokenSeconds;
        max_retries = 0;
      };
      deployment =
        backend: group: model: id: {
          model_name = group;
          litellm_params = {
            model = "openai/${model}";
            api_base = "${backend.url}/v1";
            api_key =
              if backend.keyed then "os.environ/${variable "backend-${backend.service}"}" else "no-key";
          }
          // common;
          model_info.id = id;
        };
      # Ollama serves more than one model: the first is the service's, all go by their own names.
      ofBackend =
        backend:
        [ (deployment backend backend.service (head backend.models) backend.id) ]
        ++ map (model: deployment backend model model "${backend.id}/${model}") (tail backend.models);
      ofCloud = cloud: {
        model_name = cloud.name;
        litellm_params = {
          model = "${cloud.provider}/${cloud.model}";
          api_key = "os.environ/${variable "cloud-${cloud.name}"}";
          max_budget = cloud.budgetUsd;
          budget_duration = cloud.budgetPeriod;
          input_cost_per_token = cloud.inputUsdPerMillion / 1000000.0;
          output_cost_per_token = cloud.outputUsdPerMillion / 1000000.0;
        }
        // common
        // (if cloud.url == null then { } else { api_base = cloud.url; });
        model_info = {
          id = "${cloud.name}.${cloud.provider}";
          # nix/programs/gateway lets nobody ask for it by itself.
          fallback_only = true;
        };
      };
      services = unique (map (backend: backend.service) backends);
      # The models' names under which a service is asked for; one that was rolled back keeps those that it had.
      goesBy = backend: [ (head backend.models) ] ++ backend.names or [ ];
      later = concatMap (lib.gateway.order settings) services;
      # Of services with the same model the one that answers for no other comes first.
      leaders = filter (backend: !elem backend.service later) backends ++ backends;
      aliases = listToAttrs (
        concatMap (
          backend:
          concatMap (
            model:
            let
              leader = head (filter (other: elem model (goesBy other)) leaders);
            in
            if leader.service != backend.service || elem model services then
              [ ]
            else
              [
                {
                  name = model;
                  value = backend.service;
                }
              ]
          ) (goesBy backend)
        ) backends
      );
      fallback =
        group: service:
        let
          others = lib.gateway.order settings service;
        in
        if others == [ ] then [ ] else [ { ${group} = others; } ];
    in
    {
      model_list = concatMap ofBackend backends ++ map ofCloud clouds;
      router_settings = {
        num_retries = 0;
        # An engine that failed is left alone for this long: clients get the next one at once.
        cooldown_time = 15;
        allowed_fails = 0;
        model_group_alias = aliases;
        fallbacks =
          concatMap (service: fallback service service) services
          ++ concatMap (model: fallback model aliases.${model}) (builtins.attrNames aliases);
      };
      litellm_settings = {
        num_retries = 0;
        request_timeout = timeouts.totalSeconds;
        telemetry = false;
        turn_off_message_logging = true;
      }
      # LiteLLM forgets with every start what was spent.
      // (if clouds == [ ] then { } else { callbacks = [ "${directory}.spend.counter" ]; });
      general_settings.custom_auth = "${directory}.llmflake.authenticate";
    };

  /**
    Environment of LiteLLM: it asks nobody on the internet, and serves neither a page nor documentation.

    Type: attrs of string
  */
  environment = {
    ANONYMIZED_TELEMETRY = "False";
    # Through aiohttp, an answer that breaks off ends as if it were whole.
    DISABLE_AIOHTTP_TRANSPORT = "True";
    DISABLE_ADMIN_UI = "True";
    DO_NOT_TRACK = "True";
    # A dynamic user has no home, and the database client that LiteLLM imports looks for one.
    HOME = "/var/lib/litellm";
    LITELLM_LOCAL_MODEL_COST_MAP = "True";
    NO_DOCS = "True";
    NO_REDOC = "True";
    SCARF_NO_ANALYTICS = "True";
  };
}
