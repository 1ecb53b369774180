# Managed by llmflake: generated; change the spec and generate again.
{
  description = "Batches and chat on aspen1";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
    clan-core = {
      url = "git+https://git.clan.lol/clan/clan-core?ref=main&shallow=1";
      inputs = {
        data-mesher.follows = "data-mesher";
        disko.follows = "disko";
        flake-parts.follows = "flake-parts";
        nix-darwin.follows = "nix-darwin";
        nix-select.follows = "nix-select";
        nixpkgs.follows = "nixpkgs";
        sops-nix.follows = "sops-nix";
        systems.follows = "systems";
        treefmt-nix.follows = "treefmt-nix";
      };
    };
    flake-parts = {
      url = "github:hercules-ci/flake-parts";
      inputs.nixpkgs-lib.follows = "nixpkgs";
    };
    disko = {
      url = "github:nix-community/disko";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    sops-nix = {
      url = "github:Mic92/sops-nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    systems.url = "github:nix-systems/default";
    treefmt-nix = {
      url = "github:numtide/treefmt-nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    nix-select.url = "https://git.clan.lol/clan/nix-select/archive/main.tar.gz";
    data-mesher = {
      url = "https://git.clan.lol/clan/data-mesher/archive/main.tar.gz";
      inputs = {
        flake-parts.follows = "flake-parts";
        nixpkgs.follows = "nixpkgs";
        treefmt-nix.follows = "treefmt-nix";
      };
    };
    nix-darwin = {
      url = "github:nix-darwin/nix-darwin";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    inputs:
    import ./nix/flake {
      inherit inputs;
      root = ./.;
    };
}
