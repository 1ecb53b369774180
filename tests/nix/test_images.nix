# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  digest = "sha256:5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d";
  known = "docker.io/rocm/vllm@${digest}";
in
{
  digest = {
    test_it_is_what_follows_the_at_sign = {
      expr = lib.images.digest known;
      expected = digest;
    };
    test_a_tag_is_none = {
      expr = lib.images.digest "rocm/vllm:latest";
      expected = null;
    };
  };
  problem = {
    test_a_digest_is_accepted = {
      expr = lib.images.problem known;
      expected = null;
    };
    test_a_tag_beside_the_digest_is_accepted = {
      expr = lib.images.problem "docker.io/rocm/vllm:rocm7.14.0_rdna@${digest}";
      expected = null;
    };
    test_latest_is_refused = {
      expr = builtins.match ".*not pinned by digest; write it as registry/name@sha256:.*" (lib.images.problem "docker.io/rocm/vllm:latest") != null;
      expected = true;
    };
    test_shell_syntax_is_refused = {
      expr = lib.images.problem "a;reboot;@${digest}" != null;
      expected = true;
    };
  };
  find = {
    test_the_digest_decides_whatever_the_registry = {
      expr = (lib.images.find "mirror.example/rocm/vllm@${digest}").release;
      expected = "0.23.0";
    };
    test_an_unknown_image_is_null = {
      expr = lib.images.find "a@sha256:0000000000000000000000000000000000000000000000000000000000000000";
      expected = null;
    };
  };
  default = {
    test_gfx1151_has_one_for_vllm = {
      expr = (lib.images.default {
        serviceType = "vllm";
        target = "gfx1151";
      }).reference;
      expected = known;
    };
    test_other_gpus_have_none = {
      expr = lib.images.default {
        serviceType = "vllm";
        target = "sm_89";
      };
      expected = null;
    };
  };
  pulls = {
    test_an_image_is_pulled_for_the_architecture_whose_hash_is_known = {
      expr = lib.images.pulls {
        GOARCH = "amd64";
        images."docker.io/a/b@${digest}" = {
          amd64 = "sha256-A";
          arm64 = "sha256-B";
        };
      };
      expected."b-5b0389109bb2" = {
        imageName = "docker.io/a/b";
        imageDigest = digest;
        hash = "sha256-A";
        finalImageName = "docker.io/a/b";
        finalImageTag = "pinned";
      };
    };
    test_an_image_without_a_hash_is_not_pulled = {
      expr = lib.images.pulls {
        GOARCH = "arm64";
        images."docker.io/a/b@${digest}".amd64 = "sha256-A";
      };
      expected = { };
    };
  };
}
