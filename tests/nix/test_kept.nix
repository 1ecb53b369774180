# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  model = {
    directory = "/m";
    repository = "a/b";
    revision = "0";
    include = [ ];
    exclude = [ "original/*" ];
  };
  server = {
    unit = "vllm";
    image = "docker.io/a/b@sha256:0";
    weights = model // {
      file = null;
      files = [
        {
          path = "a";
          size = 1;
          sha256 = "aa";
        }
      ];
    };
  };
  uses = servers: lib.kept.uses {
    inherit servers;
    runtime = "/bin/podman";
  };
in
{
  uses = {
    test_models_by_directory_and_images_by_unit = {
      expr = uses [ server ];
      expected = {
        models = [
          (model // { hashes = [ "sha256:aa" ]; })
        ];
        images.vllm = "docker.io/a/b@sha256:0";
        runtime = "/bin/podman";
      };
    };
    test_hashes_that_are_not_known_are_null = {
      expr =
        (uses [
          (
            server
            // {
              weights = model // {
                files = null;
              };
            }
          )
        ]).models;
      expected = [ (model // { hashes = null; }) ];
    };
    test_a_server_that_has_neither_uses_nothing = {
      expr = uses [
        (
          server
          // {
            image = null;
            weights = null;
          }
        )
      ];
      expected = {
        models = [ ];
        images = { };
        runtime = "/bin/podman";
      };
    };
  };
}
