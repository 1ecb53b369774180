# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  # What is mounted into containers: the program, and the credential at the path that it has outside.
  program = "/run/llmflake/with-keys.sh";
in
{
  /**
    The clan vars generator that makes a service's key. It is shared: one key for a service, on all of its machines.

    Type: string -> string
    Example: generator "chat" => "llm-key-chat"
  */
  generator = name: "llm-key-${name}";

  /**
    The name of the file in that generator, and of the systemd credential.

    Type: string
  */
  file = "api-key";

  /**
    Where a unit finds a credential. `%d` would be shorter, but escaping arguments for systemd leaves no specifier alive.

    Type: string -> string -> string
    Example: credential "vllm" "api-key" => "/run/credentials/vllm.service/api-key"
  */
  credential = unit: name: "/run/credentials/${unit}.service/${name}";

  /**
    How an engine gets its key: what `with-keys` is told, and what the engine is. vLLM reads a key from its environment or its
    command line alone, and everybody sees a command line.

    Type: { serviceType, unit } -> { keys = [string]; arguments = [string]; }
    Example: delivery { serviceType = "vllm"; unit = "vllm"; }
      => { keys = [ "VLLM_API_KEY=/run/credentials/vllm.service/api-key" ]; arguments = [ ]; }
  */
  delivery =
    { serviceType, unit }:
    let
      path = lib.keys.credential unit lib.keys.file;
    in
    if serviceType == "vllm" then
      {
        keys = [ "VLLM_API_KEY=${path}" ];
        arguments = [ ];
      }
    else
      {
        keys = [ path ];
        arguments = [
          "--api-key-file"
          path
        ];
      };

  /**
    A command that runs only with its keys.

    Type: { shell, program, keys, command } -> [string]
    Example: run { shell = "/bin/sh"; program = "/p"; keys = [ "A=/f" ]; command = [ "x" ]; } => [ "/bin/sh" "/p" "A=/f" "--" "x" ]
  */
  run =
    {
      shell,
      program,
      keys,
      command,
    }:
    [
      shell
      program
    ]
    ++ keys
    ++ [ "--" ]
    ++ command;

  /**
    A container with a key: its shell runs `with-keys`, and both that and the credential are mounted. The key itself is in no
    argument and no variable of the container engine.

    Type: { script, unit, keys, command } -> { entrypoint, cmd, volumes }
    - script: with-keys.sh in the Nix store
  */
  container =
    {
      script,
      unit,
      keys,
      command,
    }:
    let
      path = lib.keys.credential unit lib.keys.file;
      words = lib.keys.run {
        shell = "/bin/sh";
        inherit program keys command;
      };
    in
    {
      entrypoint = builtins.head words;
      cmd = builtins.tail words;
      volumes = [
        "${script}:${program}:ro"
        "${path}:${path}:ro"
      ];
    };

  /**
    Why a server cannot have a key, or null.

    Type: { serviceType, runtime, command, apiKeyFile } -> string | null
  */
  problem =
    {
      serviceType,
      runtime,
      command,
      apiKeyFile,
    }:
    if serviceType == "ollama" then
      "Ollama knows no keys: leave out `apiKey`, and let the gateway ask for one"
    else if serviceType == "openai-compatible" then
      "how an openai-compatible container takes its key is not known: leave out `apiKey`, and let the gateway ask for one"
    else if runtime == "container" && command == [ ] then
      "a container with a key needs its engine's program in `containerCommand`: the key is handed over before it starts"
    else if
      apiKeyFile != null && builtins.match "${builtins.storeDir}/.*" apiKeyFile != null
    then
      "apiKeyFile ${apiKeyFile} is in the Nix store, which everybody can read: give a path outside it, as a string"
    else
      null;
}
