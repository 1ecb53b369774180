# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_:
let
  repeat =
    flag: values:
    builtins.concatMap (value: [
      flag
      value
    ]) values;
in
{
  /**
    Arguments of `hf` that bring exactly these files at this revision into the directory; resumes where it stopped.

    Type: { repository, revision, include, exclude, directory, … } -> [string]
    Example: download { repository = "a/b"; revision = "0f…"; include = [ ]; exclude = [ "metal/*" ]; directory = "/m"; }
      => [ "download" "a/b" "--revision" "0f…" "--exclude" "metal/*" "--local-dir" "/m" ]
  */
  download =
    {
      repository,
      revision,
      include,
      exclude,
      directory,
      ...
    }:
    [
      "download"
      repository
      "--revision"
      revision
    ]
    ++ repeat "--include" include
    ++ repeat "--exclude" exclude
    ++ [
      "--local-dir"
      directory
    ];

  /**
    The file that says that a download is complete. Its name depends on all that decides which files there are, so another
    revision or another selection is another download, and a machine without a network starts with what it has.

    Type: { repository, revision, include, exclude, directory, … } -> string
  */
  stamp =
    {
      repository,
      revision,
      include,
      exclude,
      directory,
      ...
    }:
    let
      selection = builtins.hashString "sha256" (
        builtins.toJSON [
          repository
          revision
          include
          exclude
        ]
      );
    in
    "${directory}/.complete-${builtins.substring 0 16 selection}";

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
    What is wrong with a revision, or null: a branch or a tag is another model tomorrow.

    Type: { repository, revision, … } -> string | null
  */
  problem =
    { repository, revision, ... }:
    if builtins.match "[0-9a-f]{40}" revision != null then
      null
    else
      "revision \"${revision}\" of ${repository} is not a commit; write the 40 hex digits of one";
}
