# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) gateway;
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
  behind = {
    test_one_engine_with_a_key_stands_alone = {
      expr = gateway.behind settings;
      expected = "engine";
    };
    test_everything_else_needs_litellm = {
      expr = map (changes: gateway.behind (settings // changes)) [
        { clients = [ "ann" ]; }
        { clouds = [ cloud ]; }
        { inherit (several) backends; }
        { backends = [ (backend // { keyed = false; }) ]; }
      ];
      expected = [
        "litellm"
        "litellm"
        "litellm"
        "litellm"
      ];
    };
  };
  order = {
    test_its_own_come_before_theirs = {
      expr = gateway.order {
        backends = [
          (named "a" {
            fallback = [
              "b"
              "c"
            ];
          })
          (named "b" { fallback = [ "d" ]; })
          (named "c" { fallback = [ "b" ]; })
        ];
      } "a";
      expected = [
        "b"
        "c"
        "d"
      ];
    };
    test_a_circle_ends = {
      expr = gateway.order {
        backends = [
          (named "a" { fallback = [ "b" ]; })
          (named "b" { fallback = [ "a" ]; })
        ];
      } "a";
      expected = [ "b" ];
    };
  };
  clients.test_there_is_always_a_key = {
    expr = gateway.clients settings;
    expected = [ "everybody" ];
  };
}
