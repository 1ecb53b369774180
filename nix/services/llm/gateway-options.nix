# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The options of a gateway: the interface of the clan service's role, and of `llmflake.gateway` in NixOS. All of them are data.
*/
{ lib }:
let
  inherit (lib) mkOption types;
  name = types.strMatching "[A-Za-z0-9][A-Za-z0-9@_.-]*";
  option =
    type: example: description:
    mkOption { inherit type example description; };
  optional =
    type: default: example: description:
    mkOption {
      inherit
        type
        default
        example
        description
        ;
    };
  submodule = options: types.submodule { inherit options; };
in
{
  name = option name "front" "The gateway's name, which its keys, router and middlewares carry.";
  host = option (types.strMatching "[a-z0-9]([a-z0-9.-]*[a-z0-9])?") "llm.aspen1.local" "The host name under which clients reach it.";
  port = optional types.port 443 8443 "The port of Traefik's entry point.";
  interfaces =
    optional (types.listOf (types.strMatching "[A-Za-z0-9_.-]{1,15}")) [ ] [ "tailscale0" ]
      "Network interfaces on which the firewall opens the port; without one, Traefik listens on loopback.";
  proxy = optional (types.enum [
    "own"
    "existing"
  ]) "own" "existing" "Whether this machine gets a Traefik, or has one that another module configures.";
  entryPoints = optional (types.listOf types.str) [ "llm" ] [ "websecure" ] "Entry points of an existing Traefik.";
  tls = {
    enable = optional types.bool true false "Whether the router speaks TLS.";
    certificate =
      optional (types.nullOr (types.strMatching "/.+")) null "/run/secrets/tls.pem"
        "The file of the certificate on the machine; null is Traefik's own, which nobody trusts, or the resolver's.";
    key = optional (types.nullOr (types.strMatching "/.+")) null "/run/secrets/tls.key" "The file of its key.";
    resolver = optional (types.nullOr name) null "tailscale" "Traefik's certificate resolver.";
  };
  litellmPort = optional types.port 4000 4001 "The port of LiteLLM on loopback.";
  metricsPort =
    optional (types.nullOr types.port) null 8899
      "The port of Traefik's metrics on loopback, which tell when certificates expire; null leaves them out.";
  clients =
    optional (types.listOf name) [ ] [ "ann" ]
      "Who has a key: clan makes each one (vars generator `llm-key-<gateway>.<client>`).";
  limits = {
    requestsPerMinute = optional types.ints.positive 60 120 "How many requests a minute each key may send.";
    requestsAtOnce = optional types.ints.positive 4 8 "How many of them may run or wait at once.";
    queue = optional types.ints.positive 32 64 "How many requests of all keys may run or wait at once; the next one is told 429.";
  };
  timeouts = {
    firstTokenSeconds = optional types.ints.positive 120 60 "How long a stream may take to begin before the next engine answers.";
    totalSeconds = optional types.ints.positive 600 1800 "How long an answer may take as a whole.";
  };
  backends = mkOption {
    type = types.listOf (submodule {
      name = option name "chat" "What its open paths begin with.";
      id = option name "chat.aspen1" "What it is called in answers.";
      service = option name "chat" "The service, by whose name clients may ask for it.";
      engine = option (types.enum [
        "ollama"
        "vllm"
        "llamacpp"
        "openai-compatible"
      ]) "llamacpp" "Its engine.";
      url = option types.str "http://127.0.0.1:8080" "Where it listens.";
      port = option types.port 8080 "The port of that.";
      models = option (types.nonEmptyListOf types.str) [ "gpt-oss-120b" ] "The models that it serves, by its own names.";
      keyed = optional types.bool false true "Whether it asks for the service's key.";
      fallback = optional (types.listOf name) [ ] [ "backup" ] "Services and clouds that answer where it fails, in order.";
      openPaths = optional (types.listOf (types.enum [
        "/health"
        "/metrics"
        "/ping"
        "/version"
      ])) [ ] [ "/metrics" ] "Its paths that are reached without a key, below /<name>.";
    });
    default = [ ];
    description = "The engines behind the gateway.";
  };
  clouds = mkOption {
    type = types.listOf (submodule {
      name = option name "backup" "What it is called in answers.";
      provider = option name "openai" "Who it is, by LiteLLM's name.";
      model = option types.str "gpt-5-mini" "The model there.";
      url = optional (types.nullOr types.str) null "https://example.org/v1" "Where its API is; null is the provider's own.";
      budgetUsd = option types.numbers.positive 5 "US dollars that may be spent in a period.";
      budgetPeriod = optional (types.strMatching "[0-9]+[smhd]") "1d" "30d" "The period.";
      inputUsdPerMillion = option types.numbers.nonnegative 0.25 "US dollars for a million tokens of prompts.";
      outputUsdPerMillion = option types.numbers.nonnegative 2 "US dollars for a million tokens of answers.";
    });
    default = [ ];
    description = "Clouds that may answer where a service names them in `fallback`.";
  };
}
