# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  The programs that run on the machines themselves, made of generator/machine: in a generated flake its files are beside
  this one, in llmflake's own repository they are where Python imports them from.

  Type: pkgs -> attrs of derivation
*/
pkgs:
let
  source = if builtins.pathExists ./generator then ./. else ../..;
  files = pkgs.lib.fileset.toSource {
    root = source;
    fileset = pkgs.lib.fileset.unions [
      (source + "/generator/__init__.py")
      (source + "/generator/machine")
    ];
  };
  python = pkgs.python3.withPackages (packages: [
    packages.httpx
    packages.prometheus-client
  ]);
  program =
    name: module:
    pkgs.runCommandLocal name
      {
        nativeBuildInputs = [ pkgs.makeBinaryWrapper ];
        meta.mainProgram = name;
      }
      ''
        makeWrapper ${python}/bin/python $out/bin/${name} \
          --add-flags "-P -m generator.machine.${module}" --set PYTHONPATH ${files} --set PYTHONDONTWRITEBYTECODE 1
      '';
in
builtins.mapAttrs program {
  llm-ready = "ready";
  llm-watchdog = "watchdog";
}
