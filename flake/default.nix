/**
  The outputs of this repository: the generator, and the static tier for whoever wants it without generating.

  Type: { inputs } -> attrs
*/
{ inputs }:
let
  inherit (inputs) self nixpkgs;
  inherit (nixpkgs) lib;
  forSystems =
    make:
    lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (
      system: make nixpkgs.legacyPackages.${system}
    );
in
{
  packages = forSystems (
    pkgs:
    let
      llmflake = pkgs.callPackage ./package.nix { source = self; };
    in
    {
      inherit llmflake;
      default = llmflake;
    }
  );

  # nix run .#generate -- examples/aspen1.toml -o out
  apps = forSystems (
    pkgs:
    let
      llmflake = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
    in
    {
      default = {
        type = "app";
        program = lib.getExe llmflake;
        meta.description = "llmflake";
      };
      generate = {
        type = "app";
        program = lib.getExe (
          pkgs.writeShellApplication {
            name = "llmflake-generate";
            runtimeInputs = [ llmflake ];
            text = ''exec llmflake generate "$@"'';
          }
        );
        meta.description = "Write the flake of a spec: nix run .#generate -- SPEC -o DIRECTORY";
      };
    }
  );

  checks = forSystems (pkgs: {
    unit =
      let
        failures = import ../nix/flake/run-tests.nix (import ../tests/nix);
      in
      if failures == [ ] then
        pkgs.runCommandLocal "llmflake-unit-checks" { } "touch $out"
      else
        throw "unit checks failed: ${lib.concatMapStringsSep ", " (failure: failure.name) failures}";
    package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
  });

  devShells = forSystems (pkgs: {
    default = pkgs.mkShell {
      inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
      packages = [
        pkgs.ruff
        pkgs.nixfmt
        (pkgs.python3.withPackages (python: [
          python.hypothesis
          python.mypy
          python.pytest
          python.pyyaml
          python.tomli-w
        ]))
      ];
    };
  });

  formatter = forSystems (pkgs: pkgs.nixfmt-tree);

  clan.modules.llm = ../nix/services/llm;
  nixosModules.default = ../nix/modules;
  lib = import ../nix/lib;
  tests = import ../tests/nix;
}
