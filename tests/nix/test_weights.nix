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
    quantisation = null;
  };
in
{
  download.test_exactly_these_files_at_this_revision = {
    expr = lib.weights.download weights;
    expected = [
      "download"
      "a/b"
      "--revision"
      "a7fddca0dc0da89b367b97bb0f118bfc2179bee1"
      "--exclude"
      "original/*"
      "--exclude"
      "metal/*"
      "--local-dir"
      "/d"
    ];
  };
  stamp = {
    test_another_revision_is_another_download = {
      expr = lib.weights.stamp weights == lib.weights.stamp (weights // { revision = "0"; });
      expected = false;
    };
    test_another_selection_is_another_download = {
      expr = lib.weights.stamp weights == lib.weights.stamp (weights // { exclude = [ ]; });
      expected = false;
    };
    test_the_loaded_file_does_not_matter = {
      expr = lib.weights.stamp weights == lib.weights.stamp (weights // { file = "x"; });
      expected = true;
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
      expected = "revision \"main\" of a/b is not a commit; write the 40 hex digits of one";
    };
  };
}
