# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  defaults = {
    serviceType = "vllm";
    host = "127.0.0.1";
    port = null;
    model = "a/b";
    models = [ ];
    weights = null;
    servedModelName = null;
    enableGPU = true;
    runtime = null;
    containerImage = null;
    containerCommand = null;
    containerPort = null;
    engineVersion = null;
    unit = null;
    apiKey = false;
    apiKeyFile = null;
    autoStart = true;
    extraArgs = [ ];
    extraEnv = { };
    vllm = { };
    llamacpp.backend = null;
    health = {
      readiness = null;
      restartAfterRequests = null;
      restartAfterHours = null;
    };
  };
  weights = {
    name = "m";
    repository = "a/b";
    revision = "a7fddca0dc0da89b367b97bb0f118bfc2179bee1";
    include = [ ];
    exclude = [ ];
    directory = "/d";
    file = null;
    files = null;
    quantisation = "mxfp4";
  };
  resolveOn =
    hardware: changes:
    lib.server.resolve {
      name = "llm";
      settings = defaults // changes;
      inherit hardware;
      hostEnvironment = { };
    };
  strix = {
    accelerator = "rocm";
    target = "gfx1151";
  };
  nvidia = {
    accelerator = "cuda";
    target = "sm_89";
  };
  resolve = resolveOn strix;
  problems = changes: (resolve changes).problems;
  says = part: texts: builtins.any (text: builtins.match ".*${part}.*" text != null) texts;
in
{
  resolve = {
    test_vllm_is_a_container_with_the_known_image = {
      expr = {
        inherit (resolve { })
          runtime
          unit
          port
          image
          problems
          command
          ;
      };
      expected = {
        runtime = "container";
        unit = "vllm";
        port = 8000;
        image = "docker.io/rocm/vllm@sha256:5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d";
        problems = [ ];
        command = [
          "vllm"
          "serve"
        ];
      };
    };
    test_the_first_of_models_is_served_when_there_is_no_model = {
      expr =
        (resolve {
          model = null;
          models = [
            "x/y"
            "z/w"
          ];
        }).model;
      expected = "x/y";
    };
    test_weights_win_over_the_model = {
      expr = (resolve { inherit weights; }).model;
      expected = "/d";
    };
    test_a_server_without_a_model_says_what_to_set = {
      expr = problems { model = null; };
      expected = [ "llmflake.servers.llm: no model: set `model`, `models` or `weights`" ];
    };
    test_an_unpinned_image_is_refused = {
      expr = says "not pinned by digest" (problems {
        containerImage = "docker.io/rocm/vllm:latest";
      });
      expected = true;
    };
    test_a_broken_release_is_refused_when_it_matters = {
      expr = map (changes: says "does not work with mxfp4" (problems changes)) [
        {
          inherit weights;
          engineVersion = "0.20.0";
        }
        {
          inherit weights;
          engineVersion = "0.23.0";
        }
        { engineVersion = "0.20.0"; }
      ];
      expected = [
        true
        false
        false
      ];
    };
    test_a_flag_given_twice_is_refused = {
      expr = says "--max-model-len is given twice" (problems {
        vllm.maxModelLen = 1;
        extraArgs = [ "--max_model_len=2" ];
      });
      expected = true;
    };
    test_what_the_service_sets_may_not_be_set_again = {
      expr = says "--port is given twice" (problems {
        extraArgs = [
          "--port"
          "1"
        ];
      });
      expected = true;
    };
    test_a_key_among_the_arguments_is_refused = {
      expr = says "--api-key" (problems {
        extraArgs = [
          "--api-key"
          "x"
        ];
      });
      expected = true;
    };
    test_a_key_in_the_environment_is_refused = {
      expr = says "HF_TOKEN" (problems {
        extraEnv.HF_TOKEN = "x";
      });
      expected = true;
    };
    test_a_server_with_a_key_is_told_where_it_lies = {
      expr = {
        inherit
          (resolve {
            serviceType = "llamacpp";
            apiKey = true;
          })
          arguments
          keys
          problems
          ;
      };
      expected = {
        arguments = [
          "--hf-repo"
          "a/b"
          "--host"
          "127.0.0.1"
          "--port"
          "8080"
          "--api-key-file"
          "/run/credentials/llama-cpp.service/api-key"
        ];
        keys = [ "/run/credentials/llama-cpp.service/api-key" ];
        problems = [ ];
      };
    };
    test_a_server_without_a_key_has_none = {
      expr = (resolve { }).keys;
      expected = [ ];
    };
    test_ollama_with_a_key_is_refused = {
      expr = says "Ollama knows no keys" (problems {
        serviceType = "ollama";
        apiKey = true;
      });
      expected = true;
    };
    test_llama_cpp_computes_with_vulkan_on_amd = {
      expr = (resolve { serviceType = "llamacpp"; }).accelerator;
      expected = "vulkan";
    };
    test_llama_cpp_computes_with_cuda_on_nvidia = {
      expr = (resolveOn nvidia { serviceType = "llamacpp"; }).accelerator;
      expected = "cuda";
    };
    test_without_the_gpu_it_is_the_cpu = {
      expr =
        (resolve {
          serviceType = "llamacpp";
          enableGPU = false;
        }).accelerator;
      expected = "cpu";
    };
    test_no_image_is_guessed_for_another_gpu = {
      expr = says "no container image is known for vllm on sm_89" (resolveOn nvidia { }).problems;
      expected = true;
    };
    test_ollama_pulls_its_models = {
      expr = {
        inherit
          (resolve {
            serviceType = "ollama";
            model = null;
            models = [ "llama3.2:3b" ];
          })
          pulls
          unit
          port
          problems
          ;
      };
      expected = {
        pulls = [ "llama3.2:3b" ];
        unit = "ollama";
        port = 11434;
        problems = [ ];
      };
    };
    test_an_openai_compatible_container_has_its_own_arguments = {
      expr = {
        inherit
          (resolve {
            serviceType = "openai-compatible";
            model = null;
            containerImage = "a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000";
            containerPort = 9000;
            extraArgs = [ "--x" ];
          })
          arguments
          command
          unit
          problems
          ;
      };
      expected = {
        arguments = [ "--x" ];
        command = [ ];
        unit = "llm";
        problems = [ ];
      };
    };
    test_an_openai_compatible_server_cannot_be_native = {
      expr = says "is a container" (problems {
        serviceType = "openai-compatible";
        runtime = "native";
      });
      expected = true;
    };
    test_only_an_openai_compatible_server_has_a_port_inside = {
      expr = says "containerPort is for openai-compatible" (problems {
        containerPort = 1;
      });
      expected = true;
    };
    test_ollama_is_not_a_container = {
      expr = says "Ollama runs natively" (problems {
        serviceType = "ollama";
        runtime = "container";
      });
      expected = true;
    };
  };
}
