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
    python3Packages.httpx
    python3Packages.jsonschema
    python3Packages.junitparser
    python3Packages.prometheus-client
    python3Packages.tree-sitter
    python3Packages.tree-sitter-json
    python3Packages.tree-sitter-grammars.tree-sitter-toml
  ];
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
