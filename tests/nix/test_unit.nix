# Managed by llmflake: the static tier, copied unchanged into every generated flake.
{ lib }:
let
  service =
    changes:
    lib.unit.service (
      {
        accelerator = "rocm";
        renderNode = "/dev/dri/renderD128";
        unit = "vllm";
        readOnlyPaths = [ ];
        jit = true;
      }
      // changes
    );
in
{
  startLimits.test_a_server_cannot_cycle_for_ever = {
    expr = lib.unit.startLimits.StartLimitBurst > 0 && lib.unit.startLimits.StartLimitIntervalSec > 600;
    expected = true;
  };
  helper.test_it_sees_neither_devices_nor_homes = {
    expr = {
      inherit (lib.unit.helper) PrivateDevices ProtectHome ProtectSystem;
    };
    expected = {
      PrivateDevices = true;
      ProtectHome = true;
      ProtectSystem = "strict";
    };
  };
  restart = {
    test_a_clean_exit_restarts_too = {
      expr = lib.unit.restart.Restart;
      expected = "always";
    };
    test_no_watchdog_kills_a_healthy_server = {
      expr = lib.unit.restart ? WatchdogSec || service { } ? WatchdogSec;
      expected = false;
    };
  };
  memory = {
    test_memory_is_not_bounded_where_the_bound_would_not_hold = {
      expr = lib.unit.memory.MemoryMax;
      expected = "infinity";
    };
    test_the_server_goes_before_the_rest_of_the_machine = {
      expr = lib.unit.memory.OOMScoreAdjust > 0;
      expected = true;
    };
  };
  service = {
    test_the_gpu_and_nothing_else = {
      expr = (service { }).DeviceAllow;
      expected = [
        "/dev/kfd rw"
        "/dev/dri/renderD128 rw"
        "char-drm rw"
      ];
    };
    test_the_seeds_groups = {
      expr = (service { }).SupplementaryGroups;
      expected = [
        "render"
        "video"
      ];
    };
    test_no_gpu_means_no_device_and_no_group = {
      expr = {
        inherit (service { accelerator = "cpu"; }) DeviceAllow SupplementaryGroups DevicePolicy;
      };
      expected = {
        DeviceAllow = [ ];
        SupplementaryGroups = [ ];
        DevicePolicy = "closed";
      };
    };
    test_only_a_compiling_engine_may_write_code = {
      expr = map (jit: (service { inherit jit; }).MemoryDenyWriteExecute) [
        true
        false
      ];
      expected = [
        false
        true
      ];
    };
  };
}
