{
  description = "One spec file becomes a checked Nix flake that serves large language models on machines managed by clan";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs = inputs: import ./flake { inherit inputs; };
}
