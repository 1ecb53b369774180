# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) mkOption types;
in
{
  name = mkOption {
    type = types.strMatching "[a-z0-9][a-z0-9._-]*";
    example = "gpt-oss-120b";
    description = "A short name: the download's unit is `llm-model-<name>.service`.";
  };
  repository = mkOption {
    type = types.strMatching "[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*";
    example = "openai/gpt-oss-120b";
    description = "The repository on the hub.";
  };
  revision = mkOption {
    type = types.str;
    example = "a7fddca0dc0da89b367b97bb0f118bfc2179bee1";
    description = "The commit, 40 hex digits.";
  };
  include = mkOption {
    type = types.listOf types.str;
    default = [ ];
    example = [ "*MXFP4*.gguf" ];
    description = "Patterns of the files to download; empty is all of them.";
  };
  exclude = mkOption {
    type = types.listOf types.str;
    default = [ ];
    example = [
      "original/*"
      "metal/*"
    ];
    description = "Patterns of the files to leave out: some repositories hold their weights twice.";
  };
  files = mkOption {
    type = types.nullOr (
      types.listOf (
        types.submodule {
          options = {
            path = mkOption {
              type = types.strMatching "[^/]+(/[^/]+)*";
              example = "model-00001-of-00015.safetensors";
              description = "The file's path in the repository, and below {option}`directory`.";
            };
            size = mkOption {
              type = types.ints.unsigned;
              example = 4891876104;
              description = "Its size in bytes.";
            };
            sha256 = mkOption {
              type = types.strMatching "[0-9a-f]{64}";
              example = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
              description = "The SHA-256 of its contents, in hex.";
            };
          };
        }
      )
    );
    default = null;
    example = [ ];
    description = "Exactly the files to download; null asks the hub, at {option}`revision`, which there are and what they hash to.";
  };
  directory = mkOption {
    type = types.strMatching "/.*";
    example = "/var/lib/llm/models/gpt-oss-120b";
    description = "Where the files go.";
  };
  file = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "gpt-oss-120b-mxfp4-00001-of-00003.gguf";
    description = "The file in the directory that the engine loads; null is the directory itself.";
  };
  quantisation = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "mxfp4";
    description = "How the weights are stored; decides which releases of an engine can compute them.";
  };
}
