# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  host = {
    gttMiB = 117760;
    gttsizeParameter = false;
    iommu = "default";
    kernelParams = [ ];
  };
in
{
  pages = {
    test_the_seeds_115_GiB = {
      expr = lib.kernel.pages 117760;
      expected = 30146560;
    };
    test_one_GiB_is_262144_pages = {
      expr = lib.kernel.pages 1024;
      expected = 262144;
    };
  };

  parameters = {
    test_one_size_gives_both_limits = {
      expr = lib.kernel.parameters (host // { gttsizeParameter = true; });
      expected = [
        "ttm.pages_limit=30146560"
        "amdgpu.gttsize=117760"
      ];
    };
    test_the_deprecated_parameter_is_left_out_by_default = {
      expr = lib.kernel.parameters host;
      expected = [ "ttm.pages_limit=30146560" ];
    };
    test_no_size_leaves_the_kernels_own = {
      expr = lib.kernel.parameters (
        host
        // {
          gttMiB = null;
          gttsizeParameter = true;
        }
      );
      expected = [ ];
    };
    test_iommu_off_comes_first = {
      expr = builtins.head (lib.kernel.parameters (host // { iommu = "off"; }));
      expected = "amd_iommu=off";
    };
    test_passthrough_is_the_generic_parameter = {
      expr = builtins.head (lib.kernel.parameters (host // { iommu = "passthrough"; }));
      expected = "iommu=pt";
    };
    test_further_parameters_come_last = {
      expr = lib.kernel.parameters (host // { kernelParams = [ "quiet" ]; });
      expected = [
        "ttm.pages_limit=30146560"
        "quiet"
      ];
    };
  };

  problem = {
    test_the_minimum_itself_is_accepted = {
      expr = lib.kernel.problem {
        version = "6.18.4";
        minimum = "6.18.4";
      };
      expected = null;
    };
    test_versions_compare_as_numbers = {
      expr = lib.kernel.problem {
        version = "6.18.37";
        minimum = "6.18.4";
      };
      expected = null;
    };
    test_an_older_kernel_is_named_with_what_to_set = {
      expr = lib.kernel.problem {
        version = "6.16.9";
        minimum = "6.18.4";
      };
      expected = "kernel 6.16.9 is older than 6.18.4, which llmflake.host.minimumKernel asks for; set llmflake.host.kernelPackage to a newer one, for example \"linuxPackages_latest\"";
    };
    test_without_a_minimum_every_kernel_is_accepted = {
      expr = lib.kernel.problem {
        version = "5.15";
        minimum = null;
      };
      expected = null;
    };
  };
}
