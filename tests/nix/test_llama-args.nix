# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  base = {
    model = "/m.gguf";
    servedModelName = null;
    host = "127.0.0.1";
    port = 8080;
    flags = { };
    extraArgs = [ ];
  };
in
{
  arguments = {
    test_the_seeds_llama_cpp_flags = {
      expr = lib.llama-args.arguments (
        base
        // {
          flags = {
            mmap = false;
            nGpuLayers = 99;
            ctxSize = 4096;
          };
        }
      );
      expected = [
        "--model"
        "/m.gguf"
        "--host"
        "127.0.0.1"
        "--port"
        "8080"
        "--ctx-size"
        "4096"
        "--n-gpu-layers"
        "99"
        "--no-mmap"
      ];
    };
    test_a_repository_is_asked_from_the_hub = {
      expr = builtins.head (lib.llama-args.arguments (base // { model = "a/b"; }));
      expected = "--hf-repo";
    };
    test_the_served_name_is_the_alias = {
      expr = builtins.elem "--alias" (lib.llama-args.arguments (base // { servedModelName = "x"; }));
      expected = true;
    };
  };
  table.test_no_flag_stands_twice = {
    expr = builtins.length (builtins.attrNames (builtins.groupBy (entry: entry.flag) lib.llama-args.table));
    expected = builtins.length lib.llama-args.table;
  };
  owned.test_no_owned_flag_has_an_option = {
    expr = builtins.filter (entry: builtins.elem entry.flag lib.llama-args.owned) lib.llama-args.table;
    expected = [ ];
  };
}
