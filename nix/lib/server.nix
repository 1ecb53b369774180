# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    elem
    filter
    head
    isString
    ;
  engines = {
    vllm = {
      port = 8000;
      unit = "vllm";
      runtime = "container";
      arguments = lib.vllm-args;
      settings = "vllm";
      binary = [
        "vllm"
        "serve"
      ];
      jit = true;
    };
    llamacpp = {
      port = 8080;
      unit = "llama-cpp";
      runtime = "native";
      arguments = lib.llama-args;
      settings = "llamacpp";
      binary = [ "llama-server" ];
      jit = false;
    };
    ollama = {
      port = 11434;
      unit = "ollama";
      runtime = "native";
      arguments = null;
      binary = [ "ollama" ];
      jit = false;
    };
    openai-compatible = {
      port = 8000;
      unit = null;
      runtime = "container";
      arguments = null;
      binary = [ ];
      jit = false;
    };
  };
  orElse = default: value: if value == null then default else value;
in
{
  /**
    Everything that a server is, decided: the module that makes units of it decides nothing.

    Type: { name, settings, hardware, hostEnvironment } -> attrs
    - name: instance name; settings: the options of nix/services/llm/options.nix; hardware: llmflake.host.hardware
    - result: accelerator, arguments, autoStart, binary, cacheDirectory, command, environment, health, host, image, jit, keys
      (for nix/programs/with-keys.sh; empty without a key), model, pulls, port, problems (messages; empty when all is well),
      runtime, stateDirectory, unit, weights
  */
  resolve =
    {
      name,
      settings,
      hardware,
      hostEnvironment,
    }:
    let
      engine = engines.${settings.serviceType};
      inherit (settings) serviceType weights;
      unit = orElse (orElse name engine.unit) settings.unit;
      runtime = orElse engine.runtime settings.runtime;
      accelerator = if settings.enableGPU then hardware.accelerator else "cpu";
      # llama.cpp and Ollama reach an AMD GPU through Vulkan as well, and llama.cpp decodes faster that way.
      backend =
        if serviceType == "llamacpp" && accelerator == "rocm" then
          orElse "vulkan" settings.llamacpp.backend
        else if serviceType == "llamacpp" && accelerator != "cpu" then
          orElse accelerator settings.llamacpp.backend
        else
          accelerator;
      port = orElse engine.port settings.port;
      stateDirectory = "/var/lib/${unit}";
      cacheDirectory = "/var/cache/${unit}";
      named = filter isString [ settings.model ] ++ settings.models;
      model =
        if weights != null then
          lib.weights.path weights
        else if named == [ ] then
          null
        else
          head named;
      # What Ollama pulls by itself.
      pulls = if serviceType == "ollama" then named else [ ];
      known = if image == null then null else lib.images.find image;
      image =
        if runtime != "container" then
          null
        else if settings.containerImage != null then
          settings.containerImage
        else
          let
            record = lib.images.default {
              inherit serviceType;
              inherit (hardware) target;
            };
          in
          if record == null then null else record.reference;
      delivery =
        if settings.apiKey then
          lib.keys.delivery { inherit serviceType unit; }
        else
          {
            keys = [ ];
            arguments = [ ];
          };
      release = orElse (if known == null then null else known.release) settings.engineVersion;
      arguments =
        if serviceType == "ollama" then
          [ "serve" ]
        else if engine.arguments == null then
          settings.extraArgs
        else if model == null then
          [ ]
        else
          engine.arguments.arguments {
            inherit model port;
            inherit (settings) host servedModelName extraArgs;
            flags = settings.${engine.settings};
          }
          ++ delivery.arguments;
      command = orElse (if known == null then engine.binary else known.command) settings.containerCommand;
      flagsGiven =
        if engine.arguments == null then
          [ ]
        else
          map (entry: entry.flag) (
            filter (entry: settings.${engine.settings}.${entry.name} or null != null) engine.arguments.table
          )
          ++ engine.arguments.owned;
      # Every rule is a message or null.
      rules = [
        (
          if
            model == null
            && elem serviceType [
              "vllm"
              "llamacpp"
            ]
          then
            "no model: set `model`, `models` or `weights`"
          else
            null
        )
        (
          if runtime == "container" && image == null then
            "no container image is known for ${serviceType} on ${toString hardware.target}: set `containerImage` to registry/name@sha256:<64 hex digits>, or `runtime = \"native\"`"
          else
            null
        )
        (if image == null then null else lib.images.problem image)
        (
          if runtime == "native" && serviceType == "openai-compatible" then
            "an openai-compatible server is a container: leave out `runtime`"
          else
            null
        )
        (
          if runtime == "container" && serviceType == "ollama" then
            "Ollama runs natively, through services.ollama: leave out `runtime` and `containerImage`"
          else
            null
        )
        (
          if serviceType == "ollama" && unit != "ollama" then
            "services.ollama has one unit, ollama.service: leave out `unit`"
          else
            null
        )
        (
          if serviceType == "ollama" && weights != null then
            "Ollama stores its models by itself: name them in `models`, leave out `weights`"
          else
            null
        )
        (
          if serviceType != "openai-compatible" && settings.containerPort != null then
            "containerPort is for openai-compatible: ${serviceType} is told where to listen"
          else
            null
        )
        (
          if settings.apiKey then
            lib.keys.problem {
              inherit serviceType runtime command;
              inherit (settings) apiKeyFile;
            }
          else
            null
        )
        (lib.container.publishProblem { inherit (settings) host containerPort; })
        (if weights == null then null else lib.weights.problem weights)
        (
          if serviceType == "vllm" then
            lib.releases.problem {
              inherit release;
              inherit (hardware) target;
              quantisation = if weights == null then null else weights.quantisation;
            }
          else
            null
        )
        (
          if
            lib.args.mentions [
              "--api-key"
              "--api-key-file"
            ] settings.extraArgs
          then
            "--api-key in `extraArgs` shows the key to everybody on the machine: leave it out, and set `apiKey`"
          else
            null
        )
      ]
      ++ map (
        flag:
        if lib.args.mentions [ flag ] settings.extraArgs then
          "${flag} is given twice, by its option and in `extraArgs`: keep one of them"
        else
          null
      ) flagsGiven
      ++ map (
        secret: "${secret} in `extraEnv` would be readable by everybody in the Nix store: leave it out"
      ) (lib.environment.secretsIn settings.extraEnv);
    in
    {
      inherit
        arguments
        cacheDirectory
        command
        image
        model
        port
        release
        runtime
        stateDirectory
        unit
        weights
        ;
      inherit (engine) jit binary;
      inherit (delivery) keys;
      inherit (settings) autoStart host;
      accelerator = backend;
      environment = lib.environment.server {
        inherit
          accelerator
          cacheDirectory
          hostEnvironment
          serviceType
          stateDirectory
          ;
        inherit (settings) extraEnv;
        offline = weights != null;
      };
      inherit pulls;
      # What the programs that ask it and watch it are told.
      health = lib.health.program {
        inherit name settings;
        server = {
          inherit
            model
            port
            pulls
            unit
            ;
          inherit (settings) host;
        };
      };
      problems = map (text: "llmflake.servers.${name}: ${text}") (
        filter isString rules ++ lib.health.problems settings
      );
    };
}
