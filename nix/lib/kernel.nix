# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_: {
  /**
    TTM pages of 4 KiB in a size in MiB: the unit of `ttm.pages_limit`.

    Type: int -> int
    Example: pages 117760 => 30146560
  */
  pages = mebibytes: mebibytes * 256;

  /**
    The kernel parameters of a host. One size gives both `ttm.pages_limit` (which bounds GTT) and, where asked for, the
    deprecated `amdgpu.gttsize`, so the two cannot disagree.

    Type: { gttMiB, gttsizeParameter, iommu, kernelParams } -> [string]
    Example: parameters { gttMiB = 117760; gttsizeParameter = true; iommu = "off"; kernelParams = [ ]; }
      => [ "amd_iommu=off" "ttm.pages_limit=30146560" "amdgpu.gttsize=117760" ]
  */
  parameters =
    {
      gttMiB,
      gttsizeParameter,
      iommu,
      kernelParams,
    }:
    # `amd_iommu=pt` does not exist: passthrough is a value of the generic parameter.
    (
      {
        default = [ ];
        off = [ "amd_iommu=off" ];
        passthrough = [ "iommu=pt" ];
      }
      .${iommu}
    )
    ++ (if gttMiB == null then [ ] else [ "ttm.pages_limit=${toString (gttMiB * 256)}" ])
    ++ (if gttMiB != null && gttsizeParameter then [ "amdgpu.gttsize=${toString gttMiB}" ] else [ ])
    ++ kernelParams;

  /**
    What is wrong with a kernel that is too old, or null.

    Type: { version, minimum } -> string | null
    Example: problem { version = "6.16.9"; minimum = "6.18.4"; } => "kernel 6.16.9 is older than 6.18.4, …"
  */
  problem =
    { version, minimum }:
    if minimum == null || builtins.compareVersions version minimum >= 0 then
      null
    else
      "kernel ${version} is older than ${minimum}, which llmflake.host.minimumKernel asks for; set llmflake.host.kernelPackage to a newer one, for example \"linuxPackages_latest\"";
}
