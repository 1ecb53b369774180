/**
  The command line program.

  Type: { source, … } -> derivation
*/
{
  lib,
  python3Packages,
  installShellFiles,
  source,
}:
python3Packages.buildPythonApplication {
  pname = "llmflake";
  version = (builtins.fromTOML (builtins.readFile ../pyproject.toml)).project.version;
  pyproject = true;
  src = lib.cleanSource source;

  build-system = [ python3Packages.hatchling ];
  dependencies = [
    python3Packages.click
    python3Packages.gguf
    python3Packages.huggingface-hub
    python3Packages.jsonschema
    python3Packages.tree-sitter
    python3Packages.tree-sitter-json
    python3Packages.tree-sitter-grammars.tree-sitter-toml
  ];
  # nixpkgs calls this grammar 0.5.1+unstable20241203; its commit, 64b5683, is the one tagged v0.7.0.
  pythonRelaxDeps = [ "tree-sitter-toml" ];
  nativeBuildInputs = [ installShellFiles ];

  postInstall = ''
    installShellCompletion --cmd llmflake \
      --bash <(_LLMFLAKE_COMPLETE=bash_source $out/bin/llmflake) \
      --fish <(_LLMFLAKE_COMPLETE=fish_source $out/bin/llmflake) \
      --zsh <(_LLMFLAKE_COMPLETE=zsh_source $out/bin/llmflake)
  '';
  pythonImportsCheck = [ "generator" ];

  meta = {
    description = "One spec file becomes a checked Nix flake that serves large language models";
    mainProgram = "llmflake";
    platforms = lib.platforms.unix;
  };
}
