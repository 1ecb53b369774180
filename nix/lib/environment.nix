# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib: {
  /**
    Names whose values are secrets: they belong into a credential, never into a unit's environment, which anyone on the
    machine can read and which ends up in the Nix store.

    Type: [string]
  */
  secretNames = [
    "HF_TOKEN"
    "HUGGING_FACE_HUB_TOKEN"
    "LLAMA_API_KEY"
    "OPENAI_API_KEY"
    "VLLM_API_KEY"
  ];

  /**
    The environment of an inference server: what the engine needs, under what the host says of its GPU, under what the
    service asks for. Directories are writable and survive a restart, or every start would compile its kernels again.

    Left out on purpose (docs/decisions.md): HSA_OVERRIDE_GFX_VERSION, PYTORCH_ROCM_ARCH, HIP_VISIBLE_DEVICES.

    Type: { serviceType, accelerator, stateDirectory, cacheDirectory, offline, hostEnvironment, extraEnv } -> attrs of string
  */
  server =
    {
      serviceType,
      accelerator,
      stateDirectory,
      cacheDirectory,
      offline,
      hostEnvironment,
      extraEnv,
    }:
    let
      directories = {
        HOME = stateDirectory;
        XDG_CACHE_HOME = cacheDirectory;
      };
      hub = {
        HF_HOME = "${stateDirectory}/huggingface";
        HF_HUB_DISABLE_TELEMETRY = "1";
      }
      // (if offline then { HF_HUB_OFFLINE = "1"; } else { });
      engines = {
        vllm = hub // {
          # Loading 65 GB and compiling kernels takes longer than the ten minutes that vLLM grants itself.
          VLLM_ENGINE_READY_TIMEOUT_S = "3600";
          VLLM_CACHE_ROOT = "${cacheDirectory}/vllm";
          TRITON_CACHE_DIR = "${cacheDirectory}/triton";
          TORCHINDUCTOR_CACHE_DIR = "${cacheDirectory}/inductor";
          VLLM_NO_USAGE_STATS = "1";
          # The engine process can die without a word; this makes it print where it was.
          PYTHONFAULTHANDLER = "1";
        };
        llamacpp = hub // {
          LLAMA_CACHE = "${cacheDirectory}/llama.cpp";
        };
        openai-compatible = hub;
        ollama = { };
      };
      accelerators = {
        rocm = {
          vllm = {
            TORCH_ROCM_AOTRITON_ENABLE_EXPERIMENTAL = "1";
            FLASH_ATTENTION_TRITON_AMD_ENABLE = "TRUE";
            MIOPEN_FIND_MODE = "FAST";
          };
        };
      };
    in
    (if serviceType == "ollama" then { } else directories)
    // engines.${serviceType}
    // (accelerators.${accelerator}.${serviceType} or { })
    // (if accelerator == "rocm" then hostEnvironment else { })
    // extraEnv;

  /**
    An environment as `systemd.services.<name>.environment` takes it: systemd replaces `%n` by the unit's name, and NixOS
    leaves percent signs alone.

    Type: attrs of string -> attrs of string
    Example: forUnit { A = "5 %"; } => { A = "5 %%"; }
  */
  forUnit = builtins.mapAttrs (_: builtins.replaceStrings [ "%" ] [ "%%" ]);

  /**
    An environment as `environment.variables` takes it: NixOS writes the values between double quotes into a shell script.

    Type: attrs of string -> attrs of string
    Example: forShell { A = "a $x"; } => { A = "a \\$x"; }
  */
  forShell = builtins.mapAttrs (
    _: builtins.replaceStrings [ "\\" "\"" "$" "`" ] [ "\\\\" "\\\"" "\\$" "\\`" ]
  );

  /**
    The names in an environment that carry secrets.

    Type: attrs -> [string]
    Example: secretsIn { HF_TOKEN = "x"; A = "b"; } => [ "HF_TOKEN" ]
  */
  secretsIn =
    environment:
    builtins.filter (name: builtins.elem name lib.environment.secretNames) (builtins.attrNames environment);
}
