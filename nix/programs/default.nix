# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Programs of llmflake that run on the machines: one for each Python module of generator/machine that has a `main`.

  Type: pkgs -> { fetch, image, kept, ready, watchdog } of derivations
*/
pkgs:
let
  inherit (pkgs) lib;
  # In a generated flake the package lies beside this file; in llmflake's own repository it is where it is written.
  beside = ./generator;
  source = if builtins.pathExists beside then beside else ../../generator;
  package = lib.cleanSourceWith {
    name = "llmflake-machine";
    src = source;
    filter =
      path: _:
      let
        name = lib.removePrefix "${toString source}/" (toString path);
      in
      name == "__init__.py"
      || name == "machine"
      || (lib.hasPrefix "machine/" name && lib.hasSuffix ".py" name);
  };
  program =
    module: libraries:
    let
      python = pkgs.python3.withPackages libraries;
      modules = pkgs.linkFarm "llmflake-modules" { generator = package; };
    in
    pkgs.writeShellApplication {
      name = "llmflake-${module}";
      runtimeEnv.PYTHONPATH = "${modules}";
      # -P: a module of the working directory is none of ours.
      text = ''exec ${lib.getExe python} -P -m generator.machine.${module} "$@"'';
      meta.description = "The program `${module}` of llmflake";
    };
  asking = python: [
    python.httpx
    python.prometheus-client
  ];
in
{
  fetch = program "fetch" (python: [ python.huggingface-hub ]);
  image = program "image" (_: [ ]);
  kept = program "kept" (_: [ ]);
  ready = program "ready" asking;
  watchdog = program "watchdog" asking;
}
