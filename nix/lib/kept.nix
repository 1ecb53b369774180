# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_:
let
  inherit (builtins)
    filter
    listToAttrs
    map
    ;
in
{
  /**
    What a system uses of models and images: llmflake-kept removes neither that nor what the accepted system uses. `hashes` are
    those of a model's files, null where the flake does not know them.

    Type: { servers, runtime } -> { models = [{ directory, hashes, … }]; images = attrs of string; runtime; }
    - servers: as nix/lib/server.nix resolves them; runtime: the program that runs containers, or null
    Example: uses { servers = [ { unit = "vllm"; image = "docker.io/a/b@sha256:…"; weights = null; } ]; runtime = "/bin/podman"; }
      => { models = [ ]; images.vllm = "docker.io/a/b@sha256:…"; runtime = "/bin/podman"; }
  */
  uses =
    { servers, runtime }:
    {
      models = map (
        { weights, ... }:
        {
          inherit (weights)
            directory
            exclude
            include
            repository
            revision
            ;
          hashes = if weights.files == null then null else map (file: "sha256:${file.sha256}") weights.files;
        }
      ) (filter (server: server.weights != null) servers);
      images = listToAttrs (
        map (server: {
          name = server.unit;
          value = server.image;
        }) (filter (server: server.image != null) servers)
      );
      inherit runtime;
    };
}
