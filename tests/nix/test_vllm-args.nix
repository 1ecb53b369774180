# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  lower = builtins.replaceStrings upperCase lowerCase;
  letters = text: builtins.filter builtins.isString (builtins.split "" text);
  upperCase = builtins.filter (letter: letter != "") (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  lowerCase = builtins.filter (letter: letter != "") (letters "abcdefghijklmnopqrstuvwxyz");
  base = {
    model = "/m";
    servedModelName = null;
    host = "127.0.0.1";
    port = 8000;
    flags = { };
    extraArgs = [ ];
  };
in
{
  arguments = {
    test_the_model_comes_first = {
      expr = lib.vllm-args.arguments base;
      expected = [
        "/m"
        "--host"
        "127.0.0.1"
        "--port"
        "8000"
      ];
    };
    test_the_seeds_flags_in_the_seeds_words = {
      expr = lib.vllm-args.arguments (
        base
        // {
          flags = {
            maxModelLen = 4096;
            gpuMemoryUtilization = 0.85;
            maxNumSeqs = 4;
            tensorParallelSize = 1;
            enforceEager = true;
            dtype = "bfloat16";
          };
        }
      );
      expected = [
        "/m"
        "--host"
        "127.0.0.1"
        "--port"
        "8000"
        "--max-model-len"
        "4096"
        "--gpu-memory-utilization"
        "0.85"
        "--max-num-seqs"
        "4"
        "--tensor-parallel-size"
        "1"
        "--enforce-eager"
        "--dtype"
        "bfloat16"
      ];
    };
    test_a_served_name_with_a_space_is_one_argument = {
      expr = builtins.elem "a b" (lib.vllm-args.arguments (base // { servedModelName = "a b"; }));
      expected = true;
    };
    test_extra_arguments_come_last = {
      expr = lib.vllm-args.arguments (base // { extraArgs = [ "--seed=7" ]; });
      expected = [
        "/m"
        "--host"
        "127.0.0.1"
        "--port"
        "8000"
        "--seed=7"
      ];
    };
  };

  table.test_every_flag_is_its_name_in_kebab_case = {
    expr = builtins.filter (
      entry:
      entry.flag
      != "--"
      + builtins.concatStringsSep "" (
        map (
          part: if builtins.isList part then "-" + lower (builtins.head part) else part
        ) (builtins.split "([A-Z])" entry.name)
      )
    ) lib.vllm-args.table;
    expected = [ ];
  };

  owned.test_no_owned_flag_has_an_option = {
    expr = builtins.filter (entry: builtins.elem entry.flag lib.vllm-args.owned) lib.vllm-args.table;
    expected = [ ];
  };
}
