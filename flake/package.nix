/**
  The command line program.

  Type: { source, … } -> derivation
*/
{
  lib,
  python3Packages,
  git,
  installShellFiles,
  nix,
  nix-prefetch-docker,
  nix-prefetch-git,
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
    python3Packages.httpx
    python3Packages.huggingface-hub
    python3Packages.jsonschema
    python3Packages.junitparser
    python3Packages.prometheus-client
    python3Packages.tenacity
    python3Packages.tomli-w
    python3Packages.tree-sitter
    python3Packages.tree-sitter-json
    python3Packages.tree-sitter-grammars.tree-sitter-toml
  ];
  # nixpkgs calls this grammar 0.5.1+unstable20241203; its commit, 64b5683, is the one tagged v0.7.0.
  pythonRelaxDeps = [ "tree-sitter-toml" ];
  nativeBuildInputs = [ installShellFiles ];

  # What `llmflake lock` starts; a Nix that is on PATH already comes first. Of nix-prefetch-scripts these are the two that
  # it needs: the others bring five further version control systems.
  makeWrapperArgs = [
    "--suffix"
    "PATH"
    ":"
    (lib.makeBinPath [
      git
      nix
      nix-prefetch-docker
      nix-prefetch-git
    ])
  ];

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
