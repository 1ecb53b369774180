# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) keys;
  possible = {
    serviceType = "vllm";
    runtime = "container";
    command = [ "vllm" ];
    apiKeyFile = null;
  };
  refused = changes: keys.problem (possible // changes) != null;
in
{
  generator.test_it_is_named_after_the_service = {
    expr = keys.generator "chat";
    expected = "llm-key-chat";
  };
  file.test_it_is_the_credentials_name = {
    expr = keys.file;
    expected = "api-key";
  };
  credential.test_it_is_where_systemd_puts_it = {
    expr = keys.credential "vllm" "api-key";
    expected = "/run/credentials/vllm.service/api-key";
  };
  delivery = {
    test_vllm_reads_its_environment = {
      expr = keys.delivery {
        serviceType = "vllm";
        unit = "v";
      };
      expected = {
        keys = [ "VLLM_API_KEY=/run/credentials/v.service/api-key" ];
        arguments = [ ];
      };
    };
    test_llama_cpp_reads_the_file = {
      expr = keys.delivery {
        serviceType = "llamacpp";
        unit = "l";
      };
      expected = {
        keys = [ "/run/credentials/l.service/api-key" ];
        arguments = [
          "--api-key-file"
          "/run/credentials/l.service/api-key"
        ];
      };
    };
  };
  run.test_the_command_follows_two_dashes = {
    expr = keys.run {
      shell = "/bin/sh";
      program = "/p";
      keys = [ "A=/f" ];
      command = [
        "x"
        "--y"
      ];
    };
    expected = [
      "/bin/sh"
      "/p"
      "A=/f"
      "--"
      "x"
      "--y"
    ];
  };
  container.test_program_and_credential_are_mounted = {
    expr = keys.container {
      script = "/nix/store/x-with-keys.sh";
      unit = "vllm";
      keys = [ "VLLM_API_KEY=/run/credentials/vllm.service/api-key" ];
      command = [
        "vllm"
        "serve"
      ];
    };
    expected = {
      entrypoint = "/bin/sh";
      cmd = [
        "/run/llmflake/with-keys.sh"
        "VLLM_API_KEY=/run/credentials/vllm.service/api-key"
        "--"
        "vllm"
        "serve"
      ];
      volumes = [
        "/nix/store/x-with-keys.sh:/run/llmflake/with-keys.sh:ro"
        "/run/credentials/vllm.service/api-key:/run/credentials/vllm.service/api-key:ro"
      ];
    };
  };
  problem = {
    test_vllm_and_llama_cpp_take_keys = {
      expr = map (serviceType: refused { inherit serviceType; }) [
        "vllm"
        "llamacpp"
        "ollama"
        "openai-compatible"
      ];
      expected = [
        false
        false
        true
        true
      ];
    };
    test_a_container_must_name_its_engine = {
      expr = map (runtime: refused { inherit runtime; command = [ ]; }) [
        "container"
        "native"
      ];
      expected = [
        true
        false
      ];
    };
    test_a_key_in_the_store_is_refused = {
      expr = map (apiKeyFile: refused { inherit apiKeyFile; }) [
        "${builtins.storeDir}/key"
        "/run/secrets/key"
      ];
      expected = [
        true
        false
      ];
    };
  };
}
