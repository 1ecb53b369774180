# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  inherit (lib) mkOption types;
  nullable =
    type: attrs:
    mkOption (
      {
        type = types.nullOr type;
        default = null;
      }
      // attrs
    );
in
{
  url = nullable types.str {
    example = "https://github.com/ggml-org/llama.cpp/archive/refs/tags/b9842.tar.gz";
    description = "The archive; either this or {option}`git`.";
  };
  git = nullable types.str {
    example = "https://github.com/ggml-org/llama.cpp";
    description = "The git repository.";
  };
  revision = nullable (types.strMatching "[0-9a-f]{40}") {
    example = "0123456789abcdef0123456789abcdef01234567";
    description = "The commit, 40 hex digits; with {option}`git` alone.";
  };
  hash = mkOption {
    type = types.strMatching "sha256-[A-Za-z0-9+/]{43}=";
    example = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    description = "The SRI hash: of the archive, or of the commit's tree.";
  };
}
