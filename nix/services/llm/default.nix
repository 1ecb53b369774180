# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib, ... }:
let
  options = import ./options.nix { inherit lib; };
in
{
  _class = "clan.service";

  manifest = {
    name = "llm";
    description = "Serves large language models with vLLM, llama.cpp, Ollama or any OpenAI-compatible container";
    readme = builtins.readFile ./README.md;
    categories = [ "System" ];
  };

  roles.server = {
    description = "Runs an inference server on the machine";
    interface.options = options.server;
    perInstance =
      { instanceName, settings, ... }:
      {
        nixosModule = {
          imports = [ ../../modules ];
          llmflake.servers.${instanceName} = settings;
        };
      };
  };

  roles.gateway = {
    description = "Puts Traefik, and LiteLLM where there are several engines, in front of servers";
    interface.options = import ./gateway-options.nix { inherit lib; };
    perInstance =
      { settings, ... }:
      {
        nixosModule = {
          imports = [ ../../modules ];
          llmflake.gateway = settings;
        };
      };
  };

  roles.client = {
    description = "Installs tools that talk to a server, and tells them where it is";
    interface.options = options.client;
    perInstance =
      { settings, ... }:
      {
        nixosModule = import ./client.nix settings;
      };
  };
}
