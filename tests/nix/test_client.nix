# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
{
  resolve = {
    test_vllm_needs_only_the_protocols_client = {
      expr = lib.client.resolve {
        clientType = "vllm";
        defaultServer = "http://aspen1:8000/v1";
      };
      expected = {
        programs = [ ];
        python = [ "openai" ];
        variables.OPENAI_BASE_URL = "http://aspen1:8000/v1";
      };
    };
    test_ollama_has_its_own_variable = {
      expr =
        (lib.client.resolve {
          clientType = "ollama";
          defaultServer = "http://aspen1:11434";
        }).variables;
      expected.OLLAMA_HOST = "http://aspen1:11434";
    };
    test_without_a_server_no_variable_is_set = {
      expr =
        (lib.client.resolve {
          clientType = "curl";
          defaultServer = null;
        }).variables;
      expected = { };
    };
  };
}
