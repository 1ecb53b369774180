# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  value = name: flag: {
    inherit name flag;
    kind = "value";
  };
  switch = name: flag: {
    inherit name flag;
    kind = "switch";
  };
  negatable = name: flag: {
    inherit name flag;
    kind = "negatable";
  };
in
{
  /**
    The typed flags of `llama-server`, in the order in which they are printed.

    Type: [{ name, flag, kind }]
  */
  table = [
    (value "ctxSize" "--ctx-size")
    (value "nGpuLayers" "--n-gpu-layers")
    (value "parallel" "--parallel")
    (value "batchSize" "--batch-size")
    (value "ubatchSize" "--ubatch-size")
    (value "threads" "--threads")
    (value "flashAttn" "--flash-attn")
    (negatable "mmap" "--mmap")
    (value "cacheTypeK" "--cache-type-k")
    (value "cacheTypeV" "--cache-type-v")
    (switch "jinja" "--jinja")
    (switch "metrics" "--metrics")
  ];

  /**
    Flags that the service sets by itself: in `extraArgs` they would be given twice.

    Type: [string]
  */
  owned = [
    "--model"
    "-m"
    "--alias"
    "-a"
    "--host"
    "--port"
  ];

  /**
    The arguments of `llama-server`. A model that is an absolute path is a GGUF file; any other is a repository on the hub,
    which llama.cpp downloads by itself and cannot pin.

    Type: { model, servedModelName, host, port, flags, extraArgs } -> [string]
    Example: arguments { model = "/m.gguf"; servedModelName = "m"; host = "::1"; port = 8080; flags = { mmap = false; }; extraArgs = [ ]; }
      => [ "--model" "/m.gguf" "--alias" "m" "--host" "::1" "--port" "8080" "--no-mmap" ]
  */
  arguments =
    {
      model,
      servedModelName,
      host,
      port,
      flags,
      extraArgs,
    }:
    [
      (if builtins.substring 0 1 model == "/" then "--model" else "--hf-repo")
      model
    ]
    ++ (
      if servedModelName == null then
        [ ]
      else
        [
          "--alias"
          servedModelName
        ]
    )
    ++ [
      "--host"
      host
      "--port"
      (lib.args.render port)
    ]
    ++ lib.args.fromTable lib.llama-args.table flags
    ++ extraArgs;
}
