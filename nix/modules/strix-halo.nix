# Managed by llmflake: the static tier, copied unchanged into every generated flake.
/**
  Host tuning for AMD GPUs, with unified memory or without.
*/
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    any
    attrValues
    mkDefault
    mkIf
    mkMerge
    optional
    ;
  inherit (import ../lib) environment kernel udev;
  cfg = config.llmflake.host;
  computesWithRocm = any (server: server.runtime == "native" && server.accelerator == "rocm") (
    attrValues config.llmflake.resolved
  );
  tooOld = kernel.problem {
    inherit (config.boot.kernelPackages.kernel) version;
    minimum = cfg.minimumKernel;
  };
in
{
  config = mkIf cfg.tune (mkMerge [
    {
      boot.kernelPackages = mkIf (cfg.kernelPackage != null) (
        mkDefault (
          pkgs.${cfg.kernelPackage}
            or (throw "llmflake.host.kernelPackage: nixpkgs has no ${cfg.kernelPackage}; name another, for example \"linuxPackages_latest\"")
        )
      );
      boot.kernelParams = kernel.parameters {
        inherit (cfg)
          gttMiB
          gttsizeParameter
          iommu
          kernelParams
          ;
      };
      assertions = map (message: {
        assertion = false;
        inherit message;
      }) (optional (tooOld != null) tooOld);
    }
    (mkIf (cfg.hardware.accelerator == "rocm") {
      hardware.graphics.enable = true;
      hardware.enableRedistributableFirmware = mkDefault true;
      services.udev.extraRules = mkIf cfg.udevRules udev.rules;
      environment.variables = environment.forShell cfg.environment;
      # What the runbook's second phase asks of the machine.
      environment.systemPackages = [
        pkgs.rocmPackages.rocminfo
        pkgs.rocmPackages.rocm-smi
      ]
      # hipconfig, with the compiler that it looks for. Engines of nixpkgs that compute with ROCm link it, so it is here
      # anyway; for the others it would be gigabytes of LLVM that nothing uses.
      ++ optional computesWithRocm pkgs.rocmPackages.clr;
    })
  ]);
}
