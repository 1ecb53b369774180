# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  base = {
    serviceType = "vllm";
    accelerator = "rocm";
    stateDirectory = "/s";
    cacheDirectory = "/c";
    offline = false;
    hostEnvironment = { };
    extraEnv = { };
  };
  server = changes: lib.environment.server (base // changes);
in
{
  server = {
    test_kernels_are_cached_where_they_survive = {
      expr = (server { }).TRITON_CACHE_DIR;
      expected = "/c/triton";
    };
    test_downloaded_weights_mean_offline = {
      expr = (server { offline = true; }).HF_HUB_OFFLINE;
      expected = "1";
    };
    test_the_hosts_environment_reaches_rocm = {
      expr = (server { hostEnvironment.HSA_ENABLE_SDMA = "0"; }).HSA_ENABLE_SDMA;
      expected = "0";
    };
    test_the_hosts_environment_stays_away_from_the_cpu = {
      expr =
        (server {
          accelerator = "cpu";
          hostEnvironment.HSA_ENABLE_SDMA = "0";
        }) ? HSA_ENABLE_SDMA;
      expected = false;
    };
    test_the_service_has_the_last_word = {
      expr =
        (server {
          hostEnvironment.A = "host";
          extraEnv.A = "service";
        }).A;
      expected = "service";
    };
    test_what_harms_on_gfx1151_is_not_set = {
      expr = builtins.filter (name: server { } ? ${name}) [
        "HSA_OVERRIDE_GFX_VERSION"
        "PYTORCH_ROCM_ARCH"
        "HIP_VISIBLE_DEVICES"
        "HSA_XNACK"
      ];
      expected = [ ];
    };
    test_ollama_gets_only_what_it_is_given = {
      expr = server {
        serviceType = "ollama";
        extraEnv.OLLAMA_KEEP_ALIVE = "1h";
      };
      expected.OLLAMA_KEEP_ALIVE = "1h";
    };
  };
  forUnit.test_a_percent_sign_is_no_specifier = {
    expr = lib.environment.forUnit { A = "%n 5 %"; };
    expected.A = "%%n 5 %%";
  };
  forShell.test_nothing_is_expanded_between_double_quotes = {
    expr = lib.environment.forShell { A = "$x `y` \"z\" \\"; };
    expected.A = "\\$x \\`y\\` \\\"z\\\" \\\\";
  };
  secretsIn.test_keys_are_found_by_name = {
    expr = lib.environment.secretsIn {
      HF_TOKEN = "x";
      A = "b";
      VLLM_API_KEY = "y";
    };
    expected = [
      "HF_TOKEN"
      "VLLM_API_KEY"
    ];
  };
  secretNames.test_vllms_key_is_among_them = {
    expr = builtins.elem "VLLM_API_KEY" lib.environment.secretNames;
    expected = true;
  };
}
