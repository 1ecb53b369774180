# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  weights = {
    name = "m";
    repository = "a/b";
    revision = "a7fddca0dc0da89b367b97bb0f118bfc2179bee1";
    include = [ ];
    exclude = [
      "original/*"
      "metal/*"
    ];
    directory = "/d";
    file = null;
    files = null;
    quantisation = null;
  };
  pinned = {
    path = "model.safetensors";
    size = 1;
    sha256 = "00";
  };
  service =
    tokenFile:
    lib.weights.service {
      directory = "/d";
      inherit tokenFile;
    };
in
{
  manifest.test_it_says_which_files_from_where_to_where = {
    expr = lib.weights.manifest (weights // { files = [ pinned ]; });
    expected = {
      repository = "a/b";
      revision = "a7fddca0dc0da89b367b97bb0f118bfc2179bee1";
      include = [ ];
      exclude = [
        "original/*"
        "metal/*"
      ];
      directory = "/d";
      files = [ pinned ];
    };
  };
  service = {
    test_it_may_write_into_the_models_directory_and_nowhere_else = {
      expr = {
        inherit (service null) ProtectSystem ReadWritePaths;
      };
      expected = {
        ProtectSystem = "strict";
        ReadWritePaths = [ "/d" ];
      };
    };
    test_a_token_is_a_credential = {
      expr = (service "/run/token").LoadCredential;
      expected = "hub-token:/run/token";
    };
    test_without_a_token_there_is_no_credential = {
      expr = service null ? LoadCredential;
      expected = false;
    };
    test_a_wrong_hash_is_not_downloaded_again_and_again = {
      expr = builtins.elem 65 (service null).RestartPreventExitStatus;
      expected = true;
    };
  };
  environment = {
    test_a_token_is_named_by_its_file = {
      expr = (lib.weights.environment { tokenFile = "/run/token"; }).HF_TOKEN_PATH;
      expected = "%d/hub-token";
    };
    test_without_a_token_there_is_none = {
      expr = lib.weights.environment { tokenFile = null; } ? HF_TOKEN_PATH;
      expected = false;
    };
  };
  unit.test_it_carries_the_models_name = {
    expr = lib.weights.unit weights;
    expected = "llm-model-m";
  };
  path = {
    test_a_directory_is_loaded_whole = {
      expr = lib.weights.path weights;
      expected = "/d";
    };
    test_a_file_lies_in_it = {
      expr = lib.weights.path (weights // { file = "x.gguf"; });
      expected = "/d/x.gguf";
    };
  };
  problem = {
    test_a_commit_is_accepted = {
      expr = lib.weights.problem weights;
      expected = null;
    };
    test_a_branch_is_refused = {
      expr = lib.weights.problem (weights // { revision = "main"; });
      expected = "revision \"main\" of a/b is not a commit; run llmflake lock, or write the 40 hex digits of one";
    };
    test_a_path_that_leaves_the_directory_is_refused = {
      expr = lib.weights.problem (weights // { files = [ (pinned // { path = "a/../../b"; }) ]; });
      expected = "file \"a/../../b\" of a/b leaves the model's directory; correct its path";
    };
  };
}
