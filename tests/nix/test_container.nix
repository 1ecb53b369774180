# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
{
  devices = {
    test_rocm_needs_the_fusion_driver_and_the_render_nodes = {
      expr = lib.container.devices "rocm";
      expected = [
        "/dev/kfd"
        "/dev/dri"
      ];
    };
    test_the_cpu_needs_none = {
      expr = lib.container.devices "cpu";
      expected = [ ];
    };
  };
  options = {
    test_groups_are_numbers = {
      expr = lib.container.options {
        accelerator = "rocm";
        groupIds = [
          26
          303
        ];
      };
      expected = [
        "--ipc=host"
        "--security-opt=no-new-privileges"
        "--security-opt=seccomp=unconfined"
        "--group-add=26"
        "--group-add=303"
      ];
    };
    test_no_memory_cap_pretends_to_bound_the_gpu = {
      expr = builtins.filter (option: builtins.match "--memory.*" option != null) (
        lib.container.options {
          accelerator = "rocm";
          groupIds = [ ];
        }
      );
      expected = [ ];
    };
  };
  volumes.test_directories_have_the_same_path_inside = {
    expr = lib.container.volumes {
      writable = [ "/a" ];
      readOnly = [ "/b" ];
    };
    expected = [
      "/a:/a"
      "/b:/b:ro"
    ];
  };
  network = {
    test_without_a_port_the_host_network_is_shared = {
      expr = lib.container.network {
        host = "127.0.0.1";
        port = 8000;
        containerPort = null;
      };
      expected = {
        networks = [ "host" ];
        ports = [ ];
      };
    };
    test_an_ipv6_address_is_bracketed = {
      expr =
        (lib.container.network {
          host = "::1";
          port = 80;
          containerPort = 8000;
        }).ports;
      expected = [ "[::1]:80:8000" ];
    };
  };
  publishProblem = {
    test_publishing_everywhere_is_refused = {
      expr = lib.container.publishProblem {
        host = "0.0.0.0";
        containerPort = 8000;
      } != null;
      expected = true;
    };
    test_an_engine_behind_the_firewall_may_listen_everywhere = {
      expr = lib.container.publishProblem {
        host = "0.0.0.0";
        containerPort = null;
      };
      expected = null;
    };
  };
}
