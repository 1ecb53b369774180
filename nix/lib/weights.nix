# Managed by llmflake: the static tier, copied unchanged into every generated flake.
lib:
let
  inherit (builtins)
    elem
    filter
    head
    isString
    match
    split
    ;
  # The paths stay below the model's directory.
  unsafe =
    path:
    builtins.any (
      part:
      elem part [
        ""
        "."
        ".."
      ]
    ) (filter isString (split "/" path));
in
{
  /**
    What the downloader reads: which files, from where, to where. `files` is null where they are not established; the
    downloader then takes sizes and hashes from the hub, at this revision.

    Type: { repository, revision, include, exclude, directory, files, … } -> attrs
  */
  manifest =
    {
      repository,
      revision,
      include,
      exclude,
      directory,
      files,
      ...
    }:
    {
      inherit
        directory
        exclude
        files
        include
        repository
        revision
        ;
    };

  /**
    serviceConfig of the unit that downloads: one directory and the network, nothing else of the machine.

    Type: { directory, tokenFile, … } -> attrs
    - tokenFile: a file on the machine with a token for private repositories, or null; the unit alone sees what it holds
  */
  service =
    { directory, tokenFile }:
    lib.unit.helper
    // {
      Type = "oneshot";
      User = "llm-models";
      Group = "llm-models";
      CacheDirectory = "llm-models";
      # Which directories are ours, for llmflake-kept.
      StateDirectory = "llm-models";
      ReadWritePaths = [ directory ];
      # 65 GB over a home connection takes hours.
      TimeoutStartSec = "infinity";
      Restart = "on-failure";
      RestartSec = 60;
      # What trying again does not cure; see generator/machine/hub.py.
      RestartPreventExitStatus = [
        64
        65
        69
        73
        77
      ];

      AmbientCapabilities = [ "" ];
      DevicePolicy = "closed";
      PrivateUsers = true;
      UMask = "0022";
    }
    // (if tokenFile == null then { } else { LoadCredential = "hub-token:${tokenFile}"; });

  /**
    Environment of that unit.

    Type: { tokenFile } -> attrs
  */
  environment =
    { tokenFile }:
    {
      HF_HOME = "/var/cache/llm-models";
      HF_HUB_DISABLE_PROGRESS_BARS = "1";
      HF_HUB_DISABLE_TELEMETRY = "1";
    }
    // (if tokenFile == null then { } else { HF_TOKEN_PATH = "%d/hub-token"; });

  /**
    The unit that downloads, without ".service".

    Type: { name, … } -> string
    Example: unit { name = "gpt-oss-120b"; } => "llm-model-gpt-oss-120b"
  */
  unit = { name, ... }: "llm-model-${name}";

  /**
    What the engine is told to load: the directory, or one file in it.

    Type: { directory, file, … } -> string
    Example: path { directory = "/m"; file = "a.gguf"; } => "/m/a.gguf"
  */
  path =
    { directory, file, ... }: if file == null then directory else "${directory}/${file}";

  /**
    What is wrong with a model's pins, or null: a branch or a tag is another model tomorrow.

    Type: { repository, revision, files, … } -> string | null
  */
  problem =
    {
      repository,
      revision,
      files,
      ...
    }:
    let
      leaving = filter (file: unsafe file.path) (if files == null then [ ] else files);
    in
    if match "[0-9a-f]{40}" revision == null then
      "revision \"${revision}\" of ${repository} is not a commit; run llmflake lock, or write the 40 hex digits of one"
    else if leaving != [ ] then
      "file \"${(head leaving).path}\" of ${repository} leaves the model's directory; correct its path"
    else
      null;
}
