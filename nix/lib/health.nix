# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    elem
    fromTOML
    head
    isString
    readFile
    ;
  metrics = fromTOML (readFile ../data/engine-metrics.toml);
  orElse = default: value: if value == null then default else value;
in
{
  /**
    Whether a server is asked before its unit counts as started, and whether it is watched. Ollama loads a model only when
    it is asked for one; of any other container it is not known which question would be right.

    Type: settings -> { readiness = bool; watchdog = bool; }
  */
  asked =
    settings:
    let
      byItself = elem settings.serviceType [
        "vllm"
        "llamacpp"
      ];
    in
    {
      readiness = orElse byItself settings.health.readiness;
      watchdog = orElse byItself settings.health.watchdog;
    };

  /**
    The counters by which a busy server is told from a hung one, or null where it serves none.

    Type: settings -> { progress, running, waiting, finished } | null
  */
  counters =
    settings:
    let
      record = metrics.${settings.serviceType} or null;
      served = settings.serviceType != "llamacpp" || settings.llamacpp.metrics == true;
    in
    if record == null || !served then
      null
    else
      {
        inherit (record) progress running waiting;
        finished = record.finished or null;
      };

  /**
    What the programs `llmflake-ready` and `llmflake-watchdog` are told of a server: the content of their settings file.

    Type: { name, settings, server } -> attrs
    - settings: the options of nix/services/llm/options.nix; server: what nix/lib/server.nix made of them
  */
  program =
    {
      name,
      settings,
      server,
    }:
    let
      inherit (settings) health;
      host = lib.address.asked server.host;
      context = if settings.serviceType == "vllm" then settings.vllm.maxModelLen or null else null;
    in
    {
      inherit name;
      inherit (server) unit;
      url = "http://${lib.address.bracketed host}:${toString server.port}";
      model =
        if settings.servedModelName != null then
          settings.servedModelName
        else if settings.serviceType == "vllm" then
          server.model
        else if server.pulls != [ ] then
          head server.pulls
        else
          null;
      counters = lib.health.counters settings;
      inherit (health) question answer restarts reboot;
      # vLLM refuses a request whose budget does not fit beside its question.
      max_tokens =
        if context == null || health.maxTokens * 2 <= context then health.maxTokens else context / 2;
      minimum_rate = health.minimumRate;
      start_limit = health.startLimit;
      probe_interval = health.probeInterval;
      hang_limit = health.hangLimit;
      fallback_unit = health.fallback;
      reboot_interval_hours = health.rebootIntervalHours;
      restart_after_requests = health.restartAfterRequests;
      restart_after_hours = health.restartAfterHours;
      window = (lib.health.startLimits health.startLimit).StartLimitIntervalSec;
    };

  /**
    Start limits of a server whose start waits for an answer: five starts that each take all the time that they may still
    end in a unit that stays down, instead of cycling for ever.

    Type: int -> attrs
    Example: startLimits 3600 => { StartLimitBurst = 5; StartLimitIntervalSec = 22500; }
  */
  startLimits = startLimit: {
    inherit (lib.unit.startLimits) StartLimitBurst;
    StartLimitIntervalSec =
      let
        # A start, the stop that may take as long as systemd lets it, and the pause before the next.
        five = 5 * (startLimit + 900);
      in
      if five > lib.unit.startLimits.StartLimitIntervalSec then
        five
      else
        lib.unit.startLimits.StartLimitIntervalSec;
  };

  /**
    What is wrong with a server's health table: messages.

    Type: settings -> [string]
  */
  problems =
    settings:
    let
      inherit (settings) health;
      found = lib.health.counters settings;
      planned = health.restartAfterRequests != null || health.restartAfterHours != null;
    in
    builtins.filter isString [
      (
        if planned && found == null then
          "health.restartAfter…: without metrics nobody can tell when no request is in flight; set llamacpp.metrics, or leave it out"
        else
          null
      )
      (
        if health.restartAfterRequests != null && found != null && found.finished == null then
          "health.restartAfterRequests: ${settings.serviceType} does not count its requests; use restartAfterHours"
        else
          null
      )
      (
        if settings.serviceType == "ollama" && health.readiness == true then
          "health.readiness: Ollama's models are pulled by its running server, which would wait for them for ever; leave it out"
        else
          null
      )
    ];
}
