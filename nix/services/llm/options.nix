# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The options of a server and of a client: the interface of the clan service, and of `llmflake.servers` in NixOS.
  All of them are data, so that clan can store them as JSON. A misspelt one is an error.
*/
{ lib }:
let
  inherit (lib) mkOption types;
  nullable =
    type: attrs:
    mkOption (
      {
        type = types.nullOr type;
        default = null;
      }
      // attrs
    );
in
{
  server = {
    serviceType = mkOption {
      type = types.enum [
        "ollama"
        "vllm"
        "llamacpp"
        "openai-compatible"
      ];
      default = "ollama";
      example = "vllm";
      description = "The engine. `openai-compatible` is any container that speaks OpenAI's protocol.";
    };
    host = mkOption {
      type = types.str;
      default = "127.0.0.1";
      example = "100.64.0.7";
      description = "The address to listen on. The firewall stays closed unless {option}`firewallInterfaces` opens it.";
    };
    port = nullable types.port {
      example = 8000;
      description = "The port to listen on; null is the engine's own: vLLM 8000, llama.cpp 8080, Ollama 11434.";
    };
    firewallInterfaces = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}");
      default = [ ];
      example = [ "tailscale0" ];
      description = "Network interfaces on which the firewall opens the port. No other is opened.";
    };
    apiKey = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether clients need a key. clan makes it, as the vars generator `llm-key-<name>`, and systemd hands it to the engine as
        a credential. vLLM guards /v1 with it, and answers /generative_scoring and /invocations, which compute,
        /scale_elastic_ep, which changes it, /metrics and others without.
      '';
    };
    apiKeyFile = nullable (types.strMatching "/.+") {
      example = "/run/secrets/llm-key";
      description = "The file on the machine that holds the key, outside the Nix store; null is the one that clan makes.";
    };
    model = nullable types.str {
      example = "openai/gpt-oss-120b";
      description = ''
        The model to serve: a repository on the hub, or an absolute path on the machine. The engine downloads a repository by
        itself, at no particular revision: prefer {option}`weights`.
      '';
    };
    models = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "llama3.2:3b" ];
      description = "The models that Ollama pulls; other engines serve the first one when {option}`model` is null.";
    };
    weights = nullable (types.submodule {
      options = import ./weights-options.nix { inherit lib; };
    }) {
      description = "The model as files at one revision, downloaded before the server starts; wins over {option}`model`.";
    };
    servedModelName = nullable types.str {
      example = "ArliAI/gpt-oss-120b-Derestricted";
      description = "The name under which clients ask for the model; null is the engine's choice.";
    };
    enableGPU = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the server gets the machine's GPU, {option}`llmflake.host.hardware`.";
    };
    runtime = nullable (types.enum [
      "container"
      "native"
    ]) {
      example = "native";
      description = "Whether the engine comes from a container image or from nixpkgs; null is a container for vLLM and openai-compatible.";
    };
    containerRuntime = mkOption {
      type = types.enum [
        "podman"
        "docker"
      ];
      default = "podman";
      description = "What runs containers. One machine has one.";
    };
    containerImage = nullable types.str {
      example = "docker.io/rocm/vllm@sha256:5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d";
      description = "The image, by digest; null is the one that llmflake knows to work on the machine's GPU, if there is one.";
    };
    containerCommand = nullable (types.listOf types.str) {
      example = [
        "vllm"
        "serve"
      ];
      description = "What stands before the engine's arguments; an image whose entrypoint is the engine needs an empty list.";
    };
    containerPort = nullable types.port {
      example = 8000;
      description = ''
        The port inside an openai-compatible container, published on {option}`host` and {option}`port`; null shares the
        machine's network, and {option}`extraArgs` must say where to listen.
      '';
    };
    engineVersion = nullable (types.strMatching "[0-9]+(\\.[0-9]+)*[A-Za-z0-9.+-]*") {
      example = "0.23.0";
      description = "The engine's release; null takes it from the image when llmflake knows that. A release known to be broken on the machine's GPU is refused.";
    };
    package = mkOption {
      type = types.enum [
        "nixpkgs"
        "nix-strix-halo"
      ];
      default = "nixpkgs";
      description = "Where a native vLLM comes from. `nix-strix-halo` needs that flake as an input; its binary cache is https://cache.hellas.ai.";
    };
    source = nullable (types.submodule {
      options = import ./source-options.nix { inherit lib; };
    }) {
      description = "The source code from which a native llama.cpp is built; null is nixpkgs' own release.";
    };
    unit = nullable (types.strMatching "[A-Za-z0-9][A-Za-z0-9_.-]*") {
      example = "vllm-small";
      description = "The systemd unit without `.service`; null is the engine's name, and an openai-compatible server's own.";
    };
    conflicts = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z0-9][A-Za-z0-9_.-]*");
      default = [ ];
      example = [ "ollama" ];
      description = "Units, without `.service`, that stop when this one starts: for servers that share a GPU one at a time.";
    };
    rollback.ollama = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "gpt-oss:120b" ];
      description = ''
        Models for Ollama, should this engine fail: with them the machine has a specialisation `ollama`, also in its boot menu,
        in which Ollama serves on this port, to the machine itself.
      '';
    };
    autoStart = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the server starts at boot. When false it stays down until somebody starts it.";
    };
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "--seed"
        "7"
      ];
      description = "Further arguments of the engine, each one word, passed as they are.";
    };
    extraEnv = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        VLLM_LOGGING_LEVEL = "DEBUG";
      };
      description = "Further environment of the engine. It is public: no keys.";
    };
    health = import ./health-options.nix { inherit lib; };
    vllm = import ./vllm-options.nix { inherit lib; };
    llamacpp = import ./llamacpp-options.nix { inherit lib; };
  };

  client = {
    clientType = mkOption {
      type = types.enum [
        "ollama"
        "vllm"
        "openai"
        "curl"
      ];
      default = "ollama";
      description = "The tools to install. `vllm` and `openai` both install OpenAI's client.";
    };
    defaultServer = nullable types.str {
      example = "http://aspen1:8000/v1";
      description = "Where the tools look for their server: OLLAMA_HOST or OPENAI_BASE_URL of every session.";
    };
    extraPackages = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z_][A-Za-z0-9_'-]*(\\.[A-Za-z_][A-Za-z0-9_'-]*)*");
      default = [ ];
      example = [
        "jq"
        "python3Packages.tiktoken"
      ];
      description = "Further packages, by their attribute path in nixpkgs.";
    };
  };
}
