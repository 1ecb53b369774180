# Managed by llmflake: the static tier, copied unchanged into every generated flake.
_:
let
  gpuClasses = {
    # The class covers a node whose number changed at boot; the node itself is what one looks for when reading the unit.
    rocm = renderNode: [
      "/dev/kfd rw"
      "${renderNode} rw"
      "char-drm rw"
    ];
    vulkan = renderNode: [
      "${renderNode} rw"
      "char-drm rw"
    ];
    cuda = _: [
      "char-nvidiactl"
      "char-nvidia-caps"
      "char-nvidia-frontend"
      "char-nvidia-uvm"
    ];
    cpu = _: [ ];
  };
in
{
  /**
    Start limits: a server that dies five times in two hours stays down, instead of cycling for ever. Loading a large model
    takes minutes, so a shorter window would never be reached.

    Type: attrs
  */
  startLimits = {
    StartLimitIntervalSec = 7200;
    StartLimitBurst = 5;
  };

  /**
    Restart policy. vLLM leaves with exit code 0 when its engine died, so `on-failure` would not bring it back. There is no
    WatchdogSec: no engine notifies systemd, which would kill a healthy server every time the interval passed.

    Type: attrs
  */
  restart = {
    Restart = "always";
    RestartSec = 30;
  };

  /**
    Memory of every server, in a container or not. GTT is not charged to cgroups: a lower MemoryMax would bound only what
    is not the problem. When memory runs out the server goes, not sshd.

    Type: attrs
  */
  memory = {
    MemoryMax = "infinity";
    OOMScoreAdjust = 500;
  };

  /**
    Hardening of a helper: a program that talks to the network, and writes into the directories that its unit names.

    Type: attrs
  */
  helper = {
    CapabilityBoundingSet = [ "" ];
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateMounts = true;
    PrivateTmp = true;
    ProcSubset = "pid";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_UNIX"
    ];
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
      "~@resources"
    ];
  };

  /**
    serviceConfig of a server that runs natively: the GPU and nothing else of the machine.

    Type: { accelerator, renderNode, unit, readOnlyPaths, jit } -> attrs
    - jit: the engine writes machine code at run time (PyTorch, Triton), so memory may not be write-xor-execute
  */
  service =
    {
      accelerator,
      renderNode,
      unit,
      readOnlyPaths,
      jit,
    }:
    {
      Type = "exec";
      DynamicUser = true;
      StateDirectory = unit;
      CacheDirectory = unit;
      WorkingDirectory = "/var/lib/${unit}";
      TimeoutStopSec = 120;

      LimitMEMLOCK = "infinity";

      SupplementaryGroups =
        if accelerator == "cpu" then
          [ ]
        else
          [
            "render"
            "video"
          ];
      DevicePolicy = "closed";
      DeviceAllow = gpuClasses.${accelerator} renderNode;
      # PrivateDevices would hide the GPU.
      PrivateDevices = false;

      BindReadOnlyPaths = readOnlyPaths;
      CapabilityBoundingSet = [ "" ];
      AmbientCapabilities = [ "" ];
      LockPersonality = true;
      MemoryDenyWriteExecute = !jit;
      NoNewPrivileges = true;
      PrivateMounts = true;
      PrivateTmp = true;
      ProtectClock = true;
      ProtectControlGroups = true;
      ProtectHome = true;
      ProtectHostname = true;
      ProtectKernelLogs = true;
      ProtectKernelModules = true;
      ProtectKernelTunables = true;
      ProtectProc = "invisible";
      ProtectSystem = "strict";
      RemoveIPC = true;
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_NETLINK"
        "AF_UNIX"
      ];
      RestrictNamespaces = true;
      RestrictRealtime = true;
      RestrictSUIDSGID = true;
      SystemCallArchitectures = "native";
      SystemCallErrorNumber = "EPERM";
      # @resources: NUMA and priority calls of PyTorch and OpenMP.
      SystemCallFilter = [
        "@system-service"
        "@resources"
        "~@privileged"
      ];
      UMask = "0077";
    };
}
