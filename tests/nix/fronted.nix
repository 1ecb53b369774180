# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Settings of a gateway with one engine, and with several and a cloud, for the tests of what makes configuration of them.
*/
let
  backend = {
    name = "chat";
    id = "chat.m";
    service = "chat";
    engine = "llamacpp";
    url = "http://127.0.0.1:8080";
    port = 8080;
    models = [ "m" ];
    keyed = true;
    fallback = [ ];
    openPaths = [ ];
  };
  named =
    name: changes:
    backend
    // {
      inherit name;
      id = "${name}.m";
      service = name;
    }
    // changes;
  cloud = {
    name = "backup";
    provider = "openai";
    model = "gpt";
    url = null;
    budgetUsd = 5;
    budgetPeriod = "1d";
    inputUsdPerMillion = 1;
    outputUsdPerMillion = 2;
  };
  settings = {
    name = "front";
    host = "llm.test";
    port = 443;
    interfaces = [ ];
    proxy = "own";
    entryPoints = [ "llm" ];
    tls = {
      enable = true;
      certificate = null;
      key = null;
      resolver = null;
    };
    litellmPort = 4000;
    metricsPort = null;
    clients = [ ];
    limits = {
      requestsPerMinute = 60;
      requestsAtOnce = 4;
      queue = 32;
    };
    timeouts = {
      firstTokenSeconds = 120;
      totalSeconds = 600;
    };
    backends = [ backend ];
    clouds = [ ];
  };
  several = settings // {
    backends = [
      (named "batch" {
        fallback = [ "chat" ];
        engine = "vllm";
        url = "http://127.0.0.1:8000";
        port = 8000;
      })
      (named "chat" { fallback = [ "backup" ]; })
    ];
    clouds = [ cloud ];
  };
in
{
  inherit
    backend
    cloud
    named
    settings
    several
    ;
}
